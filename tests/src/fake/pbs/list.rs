//! What jobs a client is about, and `qselect`.

use crate::fake::client::Client;
use crate::fake::{Answer, Job, Request};

use super::directives::read;
use super::{ask, attributes, id, print, torque};

/// Returns all jobs that the server tells about.
pub(super) fn jobs(client: &Client, numbers: Option<Vec<u64>>) -> Result<Vec<Job>, u8> {
    match ask(client, &Request::List(numbers))? {
        Answer::Jobs(jobs) => Ok(jobs),
        _ => Ok(Vec::new()),
    }
}

/// Runs `qselect`: "`qselect -u USER`, `qselect -N NAME`, add `-x` for history; ids one per line; no match =
/// empty, exit 0".
pub(super) fn qselect(client: &Client) -> u8 {
    let line = match read(&client.words(), "a:A:c:h:HJl:N:p:q:r:s:t:Tu:xP:") {
        Ok(line) if line.operands.is_empty() => line,
        _ => {
            client.complain("usage: qselect [-a [op]date_time] [-A account_string] [-N name] [-q destination] [-s states] [-u user_list] [-J] [-T] [-x] [-H]");
            return 2;
        }
    };
    let has = |letter: char| line.options.iter().any(|(known, _)| *known == letter);
    let of = |letter: char| {
        line.options
            .iter()
            .find(|(known, _)| *known == letter)
            .and_then(|(_, value)| value.as_deref())
    };
    let all = match jobs(client, None) {
        Ok(all) => all,
        Err(code) => return code,
    };
    let server = &client.options.server;
    // By the manuals: "-x" is PBS's, and Torque selects among all that it knows, the complete among them.
    let history = torque::is(client.dialect) || has('x') || has('H');
    let mut text = String::new();
    for job in &all {
        let users = of('u').is_none_or(|users| {
            users
                .split(',')
                .any(|user| user.split('@').next() == Some(job.submission.user.as_str()))
        });
        let state = attributes::of_job(job).state;
        let is_chosen = users
            && of('N').is_none_or(|name| name == job.submission.name)
            && of('q').is_none_or(|queue| queue.split('@').next() == Some(&job.submission.queue))
            && of('s').is_none_or(|states| states.contains(state))
            && (!job.is_ended() || history)
            && (!has('H') || job.is_ended())
            && (!has('J') || job.is_array());
        if !is_chosen {
            continue;
        }
        if has('T') && job.is_array() {
            for position in 0..job.elements.len() {
                text.push_str(&id::of_element(job, position, server));
                text.push('\n');
            }
        } else {
            text.push_str(&id::of_job(job, server));
            text.push('\n');
        }
    }
    client.print(&text);
    0
}

/// Returns the rows of the default table: "Default `qstat` truncates ids and names
/// (`28[9890].localho*`, `a23456789012345*`)".
pub(super) fn row(client: &Client, job: &Job, element: Option<usize>) -> String {
    let server = &client.options.server;
    let (id, state) = match element {
        Some(position) => (
            id::of_element(job, position, server),
            attributes::of_element(job, position).state,
        ),
        None => (id::of_job(job, server), attributes::of_job(job).state),
    };
    let used = super::rules::used(job, element.unwrap_or(0))
        .and_then(|used| used.get("cput").map(print::plain))
        .unwrap_or_else(|| "0".to_owned());
    format!(
        "{:<17} {:<16} {:<16}  {used:>8} {state} {:<5}\n",
        cut(&id, 16),
        cut(&job.submission.name, 15),
        cut(&job.submission.user, 15),
        cut(&job.submission.queue, 15),
    )
}

/// The heading of the default table.
pub(super) const HEADING: &str = "\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
";

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width).chain(['*']).collect()
}
