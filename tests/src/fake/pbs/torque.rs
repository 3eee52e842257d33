//! What Torque does otherwise, by its documentation; it was not run.
//!
//! From docs.adaptivecomputing.com 4-1-3 "Job arrays" and README.array_changes: "`qsub -t 0-9%3`, comma lists
//! and single index allowed; id `1098[].host`, element `1098[0].host`; env `PBS_ARRAYID` (not
//! PBS_ARRAY_INDEX); per-array dependencies are `afterokarray:1098[]`, `afteranyarray:`...; `qdel ID -t 3`;
//! output `name.o1098-3`; `-l nodes=1:ppn=N,mem=..`, `-d DIR` sets the directory; no `-F json` (`qstat -x` is
//! XML); finished jobs vanish after `keep_completed` seconds and show state C with `exit_status` (lower
//! case)." The names of further attributes are those of the manual of qstat, the numbers of errors those of
//! the header pbs_error.h (15018 a job's state, 15020 an unknown queue).

use serde_json::{Map, Value};

use crate::fake::client::Client;
use crate::fake::{Array, Cause, Dialect, FakeOptions, Outcome, Submission};

use super::attributes as open;
use super::directives::Line;
use super::low_byte;
use super::print::{plain, time};
use super::qstat::{Row, row_id};
use super::rules::exit_status;

/// The version that this fake says it is.
pub(super) const VERSION: &str = "6.1.2";

/// The options of `qsub`.
const QSUB_OPTIONS: &str = "a:A:b:c:C:d:D:e:fF:hIj:k:l:m:M:nN:o:p:P:q:r:S:t:T:u:v:VwW:xXz";

/// The options of `qstat`.
pub(super) const QSTAT_OPTIONS: &str = "aBcCefGilMnqQrRstu:x1";

/// Whether a dialect is Torque.
pub(super) fn is(dialect: Dialect) -> bool {
    dialect == Dialect::Torque
}

/// Returns what `--version` prints.
pub(super) fn version(client: &Client) -> String {
    if is(client.dialect) {
        format!("Version: {VERSION}\n")
    } else {
        format!("pbs_version = {}\n", super::VERSION)
    }
}

/// Returns the options of `qsub`, for Torque.
pub(super) fn options(dialect: Dialect) -> Option<&'static str> {
    is(dialect).then_some(QSUB_OPTIONS)
}

/// Carries out an option of `qsub` that is Torque's, and says whether it was one; nothing for an illegal
/// value.
pub(super) fn option(
    dialect: Dialect,
    submission: &mut Submission,
    letter: char,
    value: &str,
) -> Option<bool> {
    if !is(dialect) {
        return Some(false);
    }
    match letter {
        't' => submission.array = Some(array(value)?),
        'd' | 'w' if !value.is_empty() => {
            submission.more.insert("directory".to_owned(), value.into());
        }
        _ => return Some(false),
    }
    Some(true)
}

/// Reads the value of `-t`: "`0-9%3`, comma lists and single index allowed".
fn array(text: &str) -> Option<Array> {
    let (list, limit) = match text.split_once('%') {
        Some((list, limit)) => (list, Some(limit.parse().ok()?)),
        None => (text, None),
    };
    let mut indices = Vec::new();
    for part in list.split(',') {
        let (first, last): (u32, u32) = match part.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (part.parse().ok()?, part.parse().ok()?),
        };
        if first > last || last - first > 10_000_000 {
            return None;
        }
        indices.extend(first..=last);
    }
    indices.sort_unstable();
    indices.dedup();
    Some(Array {
        indices,
        written: list.to_owned(),
        limit,
    })
}

/// Returns the operands of `qdel`, with `-t` applied: "`qdel ID -t 3`".
pub(super) fn elements(line: &Line) -> Vec<String> {
    let list = line
        .options
        .iter()
        .find(|(letter, _)| *letter == 't')
        .and_then(|(_, value)| value.as_deref());
    let Some(list) = list else {
        return line.operands.clone();
    };
    line.operands
        .iter()
        .map(|text| {
            let (number, rest) = text.split_once("[]").unwrap_or((text, ""));
            format!("{number}[{list}]{rest}")
        })
        .collect()
}

/// Returns what a client says about an unknown job.
pub(super) fn unknown(client: &Client, program: &str, id: &str) -> String {
    if is(client.dialect) {
        format!("{program}: Unknown Job Id Error {id}")
    } else {
        format!("{program}: Unknown Job Id {id}")
    }
}

/// Says that a job has ended.
pub(super) fn complain_ended(client: &Client, id: &str) -> u8 {
    client.complain(&format!(
        "{}: Request invalid for state of job MSG=invalid state for job - COMPLETE {id}",
        client.name
    ));
    low_byte(15018)
}

/// Returns a status as `exit_status` shows it: "Job Exit Status" of the documentation has its own number for
/// a job over its walltime, -11 (JOB_EXEC_OVERLIMIT_WT).
fn status(outcome: &Outcome) -> Option<i32> {
    match outcome.cause {
        Some(Cause::Limit) => Some(-11),
        _ => exit_status(&outcome.how, outcome.cause.as_ref()),
    }
}

/// Returns the attributes of a row.
pub(super) fn attributes(options: &FakeOptions, (job, element): &Row) -> Map<String, Value> {
    let mut from = match element {
        Some(position) => open::element(options, job, *position),
        None => open::job(options, job),
    };
    let single = element.or((!job.is_array()).then_some(0));
    let ended = single.map_or(job.ended, |position| job.elements[position].ended);
    for name in [
        "Exit_status",
        "substate",
        "exec_vnode",
        "obittime",
        "jobdir",
        "Submit_arguments",
        "history_timestamp",
        "project",
        "Submit_Host",
        "comment",
        "array",
        "array_state_count",
        "array_indices_submitted",
        "array_indices_remaining",
        "array_id",
        "array_index",
        "max_run_subjobs",
        "run_count",
    ] {
        from.remove(name);
    }
    if let Some(started) = from.remove("stime") {
        from.insert("start_time".to_owned(), started);
        from.insert("start_count".to_owned(), 1.into());
    }
    if let Some(state) = from.get_mut("job_state") {
        // Complete: "state C". An array that has begun is as what of it is left.
        if ended.is_some() {
            *state = "C".into();
        } else if *state == "B" {
            *state = if job.counts.running > 0 { "R" } else { "Q" }.into();
        }
    }
    if let Some(Value::Object(list)) = from.get_mut("Resource_List") {
        list.remove("select");
        list.remove("place");
        let cpus = list.remove("ncpus").unwrap_or(1.into());
        if !list.contains_key("nodes") {
            list.insert("nodes".to_owned(), format!("1:ppn={cpus}").into());
        }
    }
    let status = single
        .and_then(|position| job.elements[position].outcome.as_ref())
        .and_then(status);
    if let (Some(status), Some(_)) = (status, ended) {
        from.insert("exit_status".to_owned(), status.into());
    }
    if let Some(index) = single.and_then(|position| job.elements[position].index) {
        from.insert("job_array_id".to_owned(), index.into());
    }
    from.insert("euser".to_owned(), job.submission.user.clone().into());
    if let Some(ended) = ended {
        from.insert("comp_time".to_owned(), time(ended).into());
    }
    from
}

/// Writes rows as XML: one line, an element for each attribute, those of a list within one of their own.
pub(super) fn xml(options: &FakeOptions, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut job = String::new();
        element(&mut job, "Job_Id", &escaped(&row_id(row, &options.server)));
        for (name, value) in &attributes(options, row) {
            let inside = match value {
                Value::Object(list) if name == "Variable_List" => {
                    let pairs: Vec<String> = list
                        .iter()
                        .map(|(name, value)| format!("{name}={}", plain(value)))
                        .collect();
                    escaped(&pairs.join(","))
                }
                Value::Object(list) => {
                    let mut inside = String::new();
                    for (name, value) in list {
                        element(&mut inside, name, &escaped(&plain(value)));
                    }
                    inside
                }
                value => escaped(&plain(value)),
            };
            element(&mut job, name, &inside);
        }
        element(&mut text, "Job", &job);
    }
    if text.is_empty() {
        return text;
    }
    format!("<Data>{text}</Data>\n")
}

fn element(text: &mut String, name: &str, inside: &str) {
    text.extend(["<", name, ">", inside, "</", name, ">"]);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
