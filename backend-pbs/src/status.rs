use std::collections::{BTreeMap, HashMap, HashSet};

use reflow_core::id::JobId;
use reflow_core::scheduler::client::summary;
use reflow_core::scheduler::{ElementStatus, JobState, JobStatus, SchedulerError};

use crate::config::Dialect;
use crate::connect::Pbs;
use crate::parse::{Answer, Id, Part, Record};
use crate::{held, outcome, query};

/// Asks about all jobs at once, and once more about those that jobs wait for where one is held.
pub(crate) async fn status(pbs: &Pbs, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
    let ids = query::known_forms(jobs);
    let answer = query::jobs(pbs, &ids, true).await?;
    let held = held::for_ever(pbs, &answer).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "it is not known what held jobs wait for");
        HashSet::new()
    });
    Ok(read(pbs.dialect, jobs, &answer, &held))
}

/// Records by the number of their job.
pub(crate) type ByNumber<'a> = HashMap<&'a str, Vec<(Id<'a>, &'a Record)>>;

pub(crate) fn by_number(answer: &Answer) -> ByNumber<'_> {
    let mut by_number = ByNumber::new();
    for record in &answer.records {
        if let Some(id) = Id::parse(&record.id) {
            by_number.entry(id.number).or_default().push((id, record));
        }
    }
    by_number
}

/// Makes the states of `jobs` out of an answer. `held` are jobs that wait for what cannot come.
pub(crate) fn read(
    dialect: Dialect,
    jobs: &[JobId],
    answer: &Answer,
    held: &HashSet<String>,
) -> Vec<JobStatus> {
    let by_number = by_number(answer);
    jobs.iter()
        .map(|job| {
            let asked = Id::parse(job.as_str());
            let parts = asked
                .and_then(|asked| by_number.get(asked.number))
                .into_iter()
                .flatten()
                .filter(|(id, _)| asked.is_some_and(|asked| asked.is_same_job(id)));
            combine(dialect, job, parts, held)
        })
        .collect()
}

/// Makes one answer of the records of a job: the elements where there are any, since neither the state nor
/// the exit status of an array tells what became of them.
fn combine<'a>(
    dialect: Dialect,
    job: &JobId,
    parts: impl Iterator<Item = &'a (Id<'a>, &'a Record)>,
    held: &HashSet<String>,
) -> JobStatus {
    let mut whole = None;
    let mut own: Vec<(u32, &Record)> = Vec::new();
    for (id, record) in parts {
        match id.part {
            Part::Element(index) => own.push((index, record)),
            Part::Job | Part::Array => whole = Some(*record),
        }
    }
    let is_held = whole.is_some_and(|whole| held.contains(&whole.id));
    let elements: BTreeMap<u32, JobState> = own
        .into_iter()
        .map(|(index, record)| (index, outcome::state(dialect, record, whole, is_held)))
        .collect();
    let state = match whole {
        Some(whole) if elements.is_empty() => outcome::state(dialect, whole, None, is_held),
        // Elements that are not listed may still have to run.
        Some(whole) => {
            let may_be_missing = !matches!(whole.state, Some('F' | 'C'));
            summary(elements.values(), may_be_missing)
        }
        None => summary(elements.values(), false),
    };
    JobStatus {
        job: job.clone(),
        state,
        elements: elements
            .into_iter()
            .map(|(index, state)| ElementStatus { index, state })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
