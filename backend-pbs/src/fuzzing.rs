//! The parsers, for the fuzz targets, the collected corpus, and benchmarks. Not for other use: it changes
//! with them.

use std::collections::HashSet;

use reflow_core::id::JobId;

use crate::config::{Dialect, Site};
use crate::parse::{self, Answer, Id};
use crate::{held, partition, status};

/// Reads an answer of `qstat -f -F json`, and makes states of it. Returns the number of parts of jobs that
/// are told apart, or none for what is no answer.
pub fn pbs_json(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let answer = parse::json(&text).ok()?;
    Some(states(Dialect::OpenPbs, &answer))
}

/// The same for an answer of `qstat -f`.
pub fn pbs_text(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let answer = parse::text(&text).ok()?;
    Some(states(Dialect::Torque, &answer))
}

/// Reads what a server and its queues say about themselves, as JSON and as text. Returns the number of
/// queues.
pub fn pbs_objects(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let server = parse::json_objects(&text, "Server")
        .unwrap_or_else(|| parse::text_objects(&text, "Server"));
    let queues =
        parse::json_objects(&text, "Queue").unwrap_or_else(|| parse::text_objects(&text, "Queue"));
    let attributes = server.into_iter().map(|(_, attributes)| attributes).next();
    let site = Site::read(Dialect::OpenPbs, &attributes.unwrap_or_default());
    let limits = partition::limits(&queues, &site.with_default_queue(&queues)).len();
    (limits > 0).then_some(limits)
}

fn states(dialect: Dialect, answer: &Answer) -> usize {
    let mut ids: Vec<Id<'_>> = (answer.records.iter())
        .filter_map(|record| Id::parse(&record.id))
        .collect();
    ids.dedup_by(|later, earlier| later.is_same_job(earlier));
    let jobs: HashSet<JobId> = (ids.iter())
        .filter_map(|id| JobId::new(id.whole()).ok())
        .collect();
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    let held: HashSet<String> = held::forgotten(answer)
        .map(|(record, _)| record.id.clone())
        .collect();
    let states = status::read(dialect, &jobs, answer, &held);
    states.iter().map(|state| state.elements.len().max(1)).sum()
}
