use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use reflow_core::id::JobId;
use reflow_core::scheduler::client::summary;
use reflow_core::scheduler::{
    ElementStatus, EndReason, JobState, JobStatus, SchedulerError, SchedulerErrorKind,
};

use crate::connect::Slurm;
use crate::parse::{self, Part, Row};
use crate::query;

/// Lines by cluster and job number.
type Rows<'a> = HashMap<(Option<&'a str>, String), Vec<Row>>;

/// Asks the queue first, which remembers ended jobs for a while, then the accounting for what the
/// queue has forgotten.
pub(crate) async fn status(
    slurm: &Slurm,
    jobs: &[JobId],
) -> Result<Vec<JobStatus>, SchedulerError> {
    let mut queued = Rows::new();
    let mut recorded = Rows::new();
    for (cluster, numbers) in query::by_cluster(jobs) {
        for part in query::parts(&numbers) {
            let rows = ask_queue(slurm, cluster, &part.join(",")).await?;
            collect(&mut queued, cluster, rows);
        }
        let forgotten: Vec<&str> = numbers
            .into_iter()
            .filter(|number| {
                let rows = queued.get(&(cluster, (*number).to_owned()));
                rows.is_none_or(|rows| may_have_forgotten(rows) || has_failed(rows))
            })
            .collect();
        for part in query::parts(&forgotten) {
            let rows = ask_accounting(slurm, cluster, &part.join(",")).await;
            collect(&mut recorded, cluster, rows);
        }
    }
    let none = Vec::new();
    Ok(jobs
        .iter()
        .map(|job| {
            let key = (
                query::cluster(job),
                query::number(job).unwrap_or_default().to_owned(),
            );
            let queued = queued.get(&key).unwrap_or(&none);
            let recorded = recorded.get(&key).unwrap_or(&none);
            combine(job, queued, recorded)
        })
        .collect())
}

fn collect<'a>(into: &mut Rows<'a>, cluster: Option<&'a str>, rows: Vec<Row>) {
    for row in rows {
        into.entry((cluster, row.job.clone()))
            .or_default()
            .push(row);
    }
}

/// Whether the queue may have forgotten elements: never those of a plain job, nor of an array of
/// which nothing has started.
fn may_have_forgotten(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(row.part, Part::Element(_)))
}

/// Whether something did not end well: the accounting tells how much memory it had, and which of its
/// steps was killed for it.
fn has_failed(rows: &[Row]) -> bool {
    rows.iter().any(|row| match &row.state {
        JobState::Ended(end) => end.reason != EndReason::Completed && end.node.is_some(),
        _ => false,
    })
}

async fn ask_queue(
    slurm: &Slurm,
    cluster: Option<&str>,
    numbers: &str,
) -> Result<Vec<Row>, SchedulerError> {
    let user = query::user();
    let arguments = [
        "--noheader",
        "--all",
        "--states=all",
        &format!("--user={user}"),
        &format!("--jobs={numbers}"),
        &format!("--Format={}", parse::QUEUE_FIELDS),
    ];
    // A single id that the controller does not know is a failure, several are not.
    let is_empty = |stderr: &str| stderr.contains("Invalid job id");
    match query::ask(slurm, "squeue", cluster, &arguments, is_empty).await? {
        None => Ok(Vec::new()),
        Some(output) => parse::queue(&output.stdout_text()).map_err(|line| {
            output
                .error(
                    SchedulerErrorKind::UnexpectedOutput,
                    "could not read the answer of `squeue`",
                )
                .with_context("line", line)
        }),
    }
}

/// The accounting may be off, away or behind: what it does not tell is not known.
async fn ask_accounting(slurm: &Slurm, cluster: Option<&str>, numbers: &str) -> Vec<Row> {
    if !slurm.accounting {
        return Vec::new();
    }
    let arguments = [
        "--noheader",
        "--parsable2",
        &format!("--jobs={numbers}"),
        &format!("--format={}", parse::ACCOUNTING_FIELDS),
    ];
    match query::ask(slurm, "sacct", cluster, &arguments, |_| false).await {
        Ok(Some(output)) => parse::accounting(&output.stdout_text()).unwrap_or_else(|line| {
            tracing::warn!(line, "could not read the answer of `sacct`");
            Vec::new()
        }),
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "the accounting could not be asked");
            Vec::new()
        }
    }
}

/// Makes one answer of what the queue and the accounting say.
///
/// The queue knows everything that has not ended. So an accounting line that has not ended is out of
/// date, and makes what it is about unknown.
pub(crate) fn combine(job: &JobId, queued: &[Row], recorded: &[Row]) -> JobStatus {
    let mut elements: BTreeMap<u32, JobState> = BTreeMap::new();
    let mut whole = None;
    let mut is_behind = false;
    for row in queued {
        match &row.part {
            Part::Whole => whole = Some(row.state.clone()),
            Part::Element(index) => {
                elements.insert(*index, row.state.clone());
            }
            Part::Elements(indices) => {
                for index in indices {
                    elements.entry(*index).or_insert_with(|| row.state.clone());
                }
            }
        }
    }
    // The line of what waited together goes on to list elements that have got a line of their own
    // (`29_2` COMPLETED, `29_[2-3]` CANCELLED): their own lines come first.
    let (own, together): (Vec<&Row>, Vec<&Row>) =
        (recorded.iter()).partition(|row| !matches!(row.part, Part::Elements(_)));
    for row in own.into_iter().chain(together) {
        match &row.part {
            _ if !row.state.is_ended() => is_behind = true,
            // The line of a whole array stands for the elements that have no line of their own.
            Part::Whole => match &mut whole {
                Some(known) => complete(known, &row.state),
                None => whole = Some(row.state.clone()),
            },
            Part::Element(index) => match elements.entry(*index) {
                Entry::Occupied(mut known) => complete(known.get_mut(), &row.state),
                Entry::Vacant(unknown) => {
                    unknown.insert(row.state.clone());
                }
            },
            Part::Elements(indices) => {
                for index in indices {
                    elements.entry(*index).or_insert_with(|| row.state.clone());
                }
            }
        }
    }
    let state = summary(whole.iter().chain(elements.values()), is_behind);
    JobStatus {
        job: job.clone(),
        state,
        elements: elements
            .into_iter()
            .map(|(index, state)| ElementStatus { index, state })
            .collect(),
    }
}

/// Adds what only the accounting tells to an end that the queue knows.
fn complete(known: &mut JobState, recorded: &JobState) {
    if let (JobState::Ended(known), JobState::Ended(recorded)) = (known, recorded) {
        known.peak_memory = known.peak_memory.or(recorded.peak_memory);
        if known.reason == EndReason::Failed && recorded.reason == EndReason::Memory {
            known.reason = EndReason::Memory;
        }
    }
}

#[cfg(test)]
mod tests;
