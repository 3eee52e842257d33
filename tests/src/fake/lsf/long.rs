//! `bjobs -l`.

use std::time::Duration;

use super::ends::{Ending, reason};
use super::select::{Row, pending_reason};
use super::text::{add, event_time, wrap};
use super::{id_of, kept, more, name_of};
use crate::fake::client::Client;
use crate::fake::{Dialect, ElementState, Job, Millis};

/// Between two jobs.
const RULE: &str =
    "------------------------------------------------------------------------------\n";

/// The thresholds of a queue that has none.
const PARAMETERS: &str = "\n SCHEDULING PARAMETERS:\n\
    \x20          r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n\
    \x20loadSched   -     -     -     -       -     -    -     -     -      -      -  \n\
    \x20loadStop    -     -     -     -       -     -    -     -     -      -      -  \n";

/// Returns the long form of elements, its lines wrapped or not (`-UF`).
pub(super) fn jobs(client: &Client, rows: &[Row], is_wrapped: bool) -> String {
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            text += RULE;
        }
        text += &one(client, *row, is_wrapped);
    }
    if !rows.is_empty() {
        text.push('\n');
    }
    text
}

fn one(client: &Client, row: Row, is_wrapped: bool) -> String {
    let (job, element) = (row.job, row.element());
    let fold = |text: String| if is_wrapped { wrap(&text) } else { text };
    let mut text = String::from("\n");
    text += &fold(format!(
        "{}, Status <{}>, Queue <{}>, Command <{}>\n",
        header(job, row.position),
        row.state(client),
        job.submission.queue,
        kept(job, more::COMMAND).unwrap_or_default()
    ));
    text += &fold(submitted(client, job));
    text += &limits(client, job);
    if let Some(at) = element.started {
        text += &fold(started(client, row, at));
    }
    if let (Some(ending), Some(at)) = (Ending::of(client.dialect, element), element.ended) {
        text += &fold(ended(client, row, ending, shown_end(client, row, at)));
    }
    if element.state == ElementState::Pending {
        add(
            &mut text,
            format_args!("\n PENDING REASONS:\n {}\n", pending_reason(client, row)),
        );
    }
    text += PARAMETERS;
    text
}

/// "Header `Job <43[2]>, Job Name <pa[2]>, ... Status <EXIT>`".
pub(super) fn header(job: &Job, position: usize) -> String {
    let named = match kept(job, more::NAMED) {
        Some(_) => format!(", Job Name <{}>", name_of(job, position)),
        None => String::new(),
    };
    format!(
        "Job <{}>{named}, User <{}>, Project <{}>",
        id_of(job, position),
        job.submission.user,
        kept(job, more::PROJECT).unwrap_or("default")
    )
}

fn submitted(client: &Client, job: &Job) -> String {
    let submission = &job.submission;
    let mut text = format!(
        "{}: Submitted from host <{}>",
        event_time(job.submitted),
        client.options.server
    );
    if submission.held {
        text += " on hold";
    }
    if let Some(at) = submission.not_before {
        add(
            &mut text,
            format_args!(", Specified Start Time <{}>", event_time(at)),
        );
    }
    add(
        &mut text,
        format_args!(", CWD <{}>", submission.directory.lossy()),
    );
    for (what, path) in [
        ("Output File", &submission.stdout),
        ("Error File", &submission.stderr),
    ] {
        if let Some(path) = path {
            add(&mut text, format_args!(", {what} <{}>", path.lossy()));
        }
    }
    if submission.cpus > 1 {
        add(
            &mut text,
            format_args!(", {} Processors Requested", submission.cpus),
        );
    }
    for (what, name) in [
        ("Requested Resources", more::REQUIREMENT),
        ("Dependency Condition", more::DEPENDENCY),
    ] {
        if let Some(value) = kept(job, name) {
            add(&mut text, format_args!(", {what} <{value}>"));
        }
    }
    text + ";\n"
}

/// "shown as `MEMLIMIT / 50000 K`".
fn limits(client: &Client, job: &Job) -> String {
    let mut text = String::new();
    if let Some(seconds) = job.submission.limit {
        let minutes = seconds as f64 / 60.0;
        let limit = format!(" {minutes:.1} min of {}", client.options.server);
        add(
            &mut text,
            format_args!("\n {:<24}\n{limit:<25}\n", "RUNLIMIT"),
        );
    }
    let memory = job.submission.more.get(more::MEMORY_LIMIT);
    if let Some(bytes) = memory.and_then(serde_json::Value::as_u64) {
        add(
            &mut text,
            format_args!("\n MEMLIMIT\n {:>6} K\n", bytes >> 10),
        );
    }
    text
}

fn started(client: &Client, row: Row, at: Millis) -> String {
    let submission = &row.job.submission;
    let begins = match row.element().index {
        Some(index) => format!(" [{index}] started on"),
        None => " Started on".to_owned(),
    };
    let hosts = vec![format!(" <{}>", client.options.server); submission.cpus.max(1) as usize];
    let count = match hosts.len() {
        1 => String::new(),
        count => format!(" {count} Hosts/Processors"),
    };
    format!(
        "{}:{begins}{count}{}, Execution Home </home/{}>, Execution CWD <{}>;\n",
        event_time(at),
        hosts.concat(),
        submission.user,
        submission.directory.lossy()
    )
}

/// When an element ended, for those who look: where limits run out faster than they should, one that reached
/// its limit is shown to have run for that long.
fn shown_end(client: &Client, row: Row, at: Millis) -> Millis {
    let limit = row.job.submission.limit;
    let Some((started, limit)) = row.element().started.zip(limit) else {
        return at;
    };
    let ran = Duration::from_millis(u64::try_from(at - started).unwrap_or(0));
    if ran < client.options.scaled(limit) {
        return at;
    }
    let asked = i64::try_from(limit).map_or(Millis::MAX, |limit| limit.saturating_mul(1000));
    at.max(started.saturating_add(asked))
}

fn ended(client: &Client, row: Row, ending: Ending, at: Millis) -> String {
    let at = event_time(at);
    let mut sentence = ending.sentence();
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    let mut text = format!("{at}: {sentence} The CPU time used is 0.0 seconds.\n");
    if client.dialect == Dialect::Lsf
        && let Some(reason) = reason(client.dialect, row.element())
    {
        // IBM: "Completed <exit>; TERM_OWNER: job killed by owner."
        add(
            &mut text,
            format_args!("{at}: Completed <exit>; {reason}.\n"),
        );
    }
    text
}
