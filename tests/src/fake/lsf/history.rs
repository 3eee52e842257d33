//! `bhist`.

use super::ends::{Ending, reason, state};
use super::long::header;
use super::select::{Row, fetch, read_ids, rows};
use super::text::{add, event_time, long_time, seconds, wrap};
use super::{FAILED, cluster, kept, more, name_of};
use crate::fake::client::Client;
use crate::fake::{Cause, now};

const USAGE: &str = "Usage: bhist [-h] [-V] [-l] [-b] [-w] [-a] [-d] [-e] [-p] [-s] [-r]\n\
    \x20            [-f logfile_name | -n num_logfiles] [-m host_name] [-q queue_name]\n\
    \x20            [-J job_name] [-u user_name | -u all] [jobId | \"jobId[index]\" ...]";

/// Runs `bhist` and returns its exit code.
pub(super) fn bhist(client: &Client) -> u8 {
    let mut flags = String::new();
    let mut ids = Vec::new();
    let mut words = client.words().into_iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            None | Some("") => ids.push(word),
            Some("UF" | "cname") => flags.push('U'),
            Some(option)
                if option.starts_with(['n', 'm', 'q', 'J', 'u', 'f', 'P', 'S', 'D', 'C']) =>
            {
                if option.len() == 1 {
                    words.next();
                }
            }
            Some(option) if option.chars().all(|letter| "lbwadepsrVht".contains(letter)) => {
                flags.push_str(option);
            }
            Some(option) => {
                client.complain(&format!(
                    "bhist: invalid option -- '{}'\n{USAGE}",
                    &option[..1]
                ));
                return FAILED;
            }
        }
    }
    if flags.contains('V') {
        client.complain(cluster::version(client.dialect));
        return 0;
    }
    show(client, &flags, &ids).unwrap_or_else(|code| code)
}

/// "`bhist -l 42` works after the job left bjobs (reads the event log); `bhist 99999` -> `No matching job
/// found` [255]. Plain `bhist` has no status."
fn show(client: &Client, flags: &str, ids: &[String]) -> Result<u8, u8> {
    let named = read_ids(client, ids)?;
    let jobs = fetch(client, (!named.is_empty()).then_some(&named), true)?;
    let chosen: Vec<Row> = rows(&jobs)
        .into_iter()
        .filter(|row| {
            if named.is_empty() {
                let is_ended = matches!(row.state(client), "DONE" | "EXIT");
                row.job.submission.user == client.user
                    && (flags.contains('a') || is_ended == flags.contains(['d', 'e']))
            } else {
                named.iter().any(|id| id.has(*row))
            }
        })
        .collect();
    if chosen.is_empty() {
        client.complain("No matching job found");
        return Ok(FAILED);
    }
    let is_long = flags.contains(['l', 'U']);
    let mut text = String::new();
    if !is_long {
        text += "Summary of time in seconds spent in various states:\n\
            JOBID   USER    JOB_NAME  PEND    PSUSP   RUN     USUSP   SSUSP   UNKWN   TOTAL\n";
    }
    for (place, row) in chosen.iter().enumerate() {
        if is_long {
            if place > 0 {
                add(&mut text, format_args!("{}\n", "-".repeat(78)));
            }
            let one = long(client, *row);
            text += &if flags.contains('U') { one } else { wrap(&one) };
        } else {
            let (pending, run) = spent(*row);
            // Only the wide form has names in full (openlava's bhist.c).
            let name = name_of(row.job, row.position);
            let name = if flags.contains('w') {
                name
            } else {
                super::text::cut_front(&name, 9)
            };
            add(
                &mut text,
                format_args!(
                    "{:<7} {:<7} {:<9} {pending:<7} {:<7} {run:<7} {:<7} {:<7} {:<7} {:<7}\n",
                    super::id_of(row.job, row.position),
                    super::text::cut_end(&row.job.submission.user, 7),
                    name,
                    0,
                    0,
                    0,
                    0,
                    pending + run
                ),
            );
        }
    }
    client.print(&text);
    Ok(0)
}

/// Seconds that an element was pending and that it ran.
fn spent(row: Row) -> (i64, i64) {
    let until = row.element().ended.unwrap_or_else(now);
    match row.element().started {
        Some(started) => (seconds(row.job.submitted, started), seconds(started, until)),
        None => (seconds(row.job.submitted, until), 0),
    }
}

/// The long form: the events of a job.
fn long(client: &Client, row: Row) -> String {
    let (job, element) = (row.job, row.element());
    let submission = &job.submission;
    let host = &client.options.server;
    let directory = submission.directory.lossy();
    let mut text = format!(
        "\n{}, Command <{}>\n{}: Submitted from host <{host}>, to Queue <{}>, CWD <{directory}>;\n",
        header(job, row.position),
        kept(job, more::COMMAND).unwrap_or_default(),
        event_time(job.submitted),
        submission.queue,
    );
    if let Some(at) = element.started {
        let at = event_time(at);
        let index = element
            .index
            .map_or_else(String::new, |index| format!("[{index}] "));
        let word = if index.is_empty() {
            "Dispatched"
        } else {
            "dispatched"
        };
        add(
            &mut text,
            format_args!(
                "{at}: {index}{word} to <{host}>;\n{at}: {index}Starting (Pid {0});\n\
             {at}: {index}Running with execution home </home/{1}>, Execution CWD <{directory}>, \
             Execution Pid <{0}>;\n",
                element.process, submission.user,
            ),
        );
    }
    if let (Some(ending), Some(at)) = (Ending::of(client.dialect, element), element.ended) {
        let at = event_time(at);
        // In the words of openlava's bhist.c and of IBM's manual of `bhist`.
        if let Some(Cause::Deleted(user)) =
            element.outcome.as_ref().and_then(|end| end.cause.as_ref())
        {
            add(
                &mut text,
                format_args!("{at}: Signal <KILL> requested by user or administrator <{user}>;\n"),
            );
        }
        let sentence = ending.sentence();
        let sentence = sentence.trim_end_matches('.');
        let word = if ending == Ending::Done {
            "done"
        } else {
            "exit"
        };
        let why = reason(client.dialect, element)
            .map_or_else(String::new, |reason| format!("; {reason}"));
        add(
            &mut text,
            format_args!(
                "{at}: {sentence}. The CPU time used is 0.0 seconds;\n{at}: Completed <{word}>{why};\n"
            ),
        );
    } else if state(client.dialect, element) == "PEND" {
        add(
            &mut text,
            format_args!(
                "{}: Pending: {}\n",
                event_time(job.submitted),
                super::select::pending_reason(client, row)
            ),
        );
    }
    let (pending, run) = spent(row);
    add(
        &mut text,
        format_args!(
            "\nSummary of time in seconds spent in various states by  {}\n  \
         PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL\n  \
         {pending:<8} {:<8} {run:<8} {:<8} {:<8} {:<8} {:<8}\n",
            long_time(now()),
            0,
            0,
            0,
            0,
            pending + run
        ),
    );
    text
}
