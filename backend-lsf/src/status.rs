use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use reflow_core::id::JobId;
use reflow_core::scheduler::{
    ElementStatus, EndReason, JobState, JobStatus, SchedulerError, client,
};

use crate::connect::Lsf;
use crate::parse::{self, Format, Row};
use crate::{fault, query};

/// Rows by job number.
type Rows = HashMap<String, Vec<Row>>;

/// Asks `bjobs` first, which knows every job for a while after its end, then the history for what it has
/// forgotten, and for who ended a job that failed.
pub(crate) async fn status(lsf: &Lsf, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
    let numbers = query::numbers(jobs);
    let mut queued = Rows::new();
    for part in client::parts(&numbers, client::LONGEST_ARGUMENT) {
        collect(&mut queued, ask_queue(lsf, part).await?);
    }
    let asked: Vec<&str> = numbers
        .into_iter()
        .filter(|number| queued.get(*number).is_none_or(|rows| needs_history(rows)))
        .collect();
    let mut recorded = Rows::new();
    for part in client::parts(&asked, client::LONGEST_ARGUMENT) {
        collect(&mut recorded, ask_history(lsf, part).await);
    }
    let none = Vec::new();
    Ok(jobs
        .iter()
        .map(|job| {
            let number = job.as_str();
            let queued = queued.get(number).unwrap_or(&none);
            let recorded = recorded.get(number).unwrap_or(&none);
            combine(job, queued, recorded)
        })
        .collect())
}

fn collect(into: &mut Rows, rows: Vec<Row>) {
    for row in rows {
        match into.get_mut(&row.job) {
            Some(known) => known.push(row),
            None => {
                into.insert(row.job.clone(), vec![row]);
            }
        }
    }
}

/// What these rows alone say of their jobs.
pub(crate) fn of_rows(rows: Vec<Row>) -> Vec<JobStatus> {
    let mut by_job = Rows::new();
    collect(&mut by_job, rows);
    by_job
        .iter()
        .filter_map(|(job, rows)| Some(combine(&JobId::new(job.clone()).ok()?, rows, &[])))
        .collect()
}

/// Whether an element was forgotten before others of its array, or failed for a reason that is not told.
fn needs_history(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.is_doubtful) || has_gaps(rows)
}

fn has_gaps(rows: &[Row]) -> bool {
    let highest = rows.iter().map(|row| row.index).max().unwrap_or(0);
    let listed = rows.iter().filter(|row| row.index > 0).count();
    (listed as u64) < u64::from(highest)
}

#[expect(
    clippy::disallowed_methods,
    reason = "LSF writes wall clock times without their year"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

async fn ask_queue(lsf: &Lsf, numbers: &[&str]) -> Result<Vec<Row>, SchedulerError> {
    let mut argv = vec!["bjobs"];
    argv.extend(lsf.format.state_arguments());
    argv.extend(numbers);
    let answer = query::ask(lsf, &argv).await?;
    let unread = "could not read the answer of `bjobs`";
    if answer.is_cut_off() {
        return Err(answer.error(unread));
    }
    let rows = match lsf.format {
        Format::Custom => parse::custom(&answer.stdout(), now())
            .map_err(|line| answer.error(unread).with_context("line", line))?,
        Format::Long => parse::long(&answer.stdout(), now()),
    };
    // The exit status says nothing: it is 255 where a single job is not known, and the others are printed.
    let is_missing = answer.stderr().lines().any(fault::is_nothing) || answer.is_nothing();
    if rows.is_empty() && !is_missing {
        return Err(answer.error(unread));
    }
    Ok(rows)
}

/// The history may be away or cut: what it does not tell is not known.
async fn ask_history(lsf: &Lsf, numbers: &[&str]) -> Vec<Row> {
    let logs = lsf.history_logs.map(|logs| logs.to_string());
    let mut argv = vec!["bhist", "-l"];
    argv.extend(logs.iter().flat_map(|logs| ["-n", logs.as_str()]));
    argv.extend(numbers);
    match query::ask(lsf, &argv).await {
        Ok(answer) => parse::long(&answer.stdout(), now()),
        Err(error) => {
            tracing::warn!(%error, "the history could not be asked");
            Vec::new()
        }
    }
}

/// Makes one answer of what `bjobs` and the history say. Of the history only ends count: `bjobs` knows
/// everything that has not ended.
fn combine(job: &JobId, queued: &[Row], recorded: &[Row]) -> JobStatus {
    let mut parts: BTreeMap<u32, JobState> = queued
        .iter()
        .map(|row| (row.index, row.state.clone()))
        .collect();
    for row in recorded {
        match parts.entry(row.index) {
            Entry::Occupied(mut known) => complete(known.get_mut(), row),
            Entry::Vacant(unknown) if row.state.is_ended() => {
                unknown.insert(row.state.clone());
            }
            Entry::Vacant(_) => {}
        }
    }
    let highest = parts.keys().copied().max().unwrap_or(0);
    let listed = parts.keys().filter(|index| **index > 0).count();
    let is_behind = (listed as u64) < u64::from(highest);
    JobStatus {
        job: job.clone(),
        state: client::summary(parts.values(), is_behind),
        elements: parts
            .into_iter()
            .filter_map(|(index, state)| {
                let index = index.checked_sub(1)?;
                Some(ElementStatus { index, state })
            })
            .collect(),
    }
}

/// Adds what only the history tells to a failure: that somebody asked for the end.
fn complete(known: &mut JobState, recorded: &Row) {
    let JobState::Ended(known) = known else {
        return;
    };
    if known.reason != EndReason::Failed {
        return;
    }
    match &recorded.state {
        JobState::Ended(end) if !matches!(end.reason, EndReason::Completed | EndReason::Failed) => {
            known.reason = end.reason;
            known.native = end.native.clone().or(known.native.take());
            known.code = None;
        }
        _ if recorded.was_killed => {
            known.reason = EndReason::Cancelled;
            known.code = None;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
