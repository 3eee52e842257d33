//! The parsers, for the fuzz targets, the collected corpus, and benchmarks. Not for other use: it changes
//! with them.

use reflow_core::id::JobId;

use crate::config::Site;
use crate::parse::{self, Row};
use crate::{partition, status};

/// Reads an answer of `squeue`, and makes states of it. Returns the number of parts of jobs that are told
/// apart, or none for what is no answer.
pub fn slurm_queue(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    Some(states(&parse::queue(&text).ok()?, &[]))
}

/// The same for an answer of `sacct`.
pub fn slurm_accounting(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    Some(states(&[], &parse::accounting(&text).ok()?))
}

/// Reads an answer of `sinfo`, and of `scontrol show config`. Returns the number of partitions.
pub fn slurm_partitions(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    Site::parse(&text);
    let partitions = partition::parse(&text).len();
    (partitions > 0).then_some(partitions)
}

fn states(queued: &[Row], recorded: &[Row]) -> usize {
    let mut jobs: Vec<&str> = queued
        .iter()
        .chain(recorded)
        .map(|row| row.job.as_str())
        .collect();
    jobs.sort_unstable();
    jobs.dedup();
    let of = |rows: &[Row], job: &str| -> Vec<Row> {
        let rows = rows.iter().filter(|row| row.job == job);
        rows.cloned().collect()
    };
    jobs.into_iter()
        .filter_map(|job| {
            let id = JobId::new(job).ok()?;
            let state = status::combine(&id, &of(queued, job), &of(recorded, job));
            Some(state.elements.len().max(1))
        })
        .sum()
}
