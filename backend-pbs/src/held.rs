//! Jobs that PBS holds for ever, because of what became of a job that they wait for.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use reflow_core::scheduler::SchedulerError;

use crate::connect::Pbs;
use crate::parse::{Answer, Id, Part, Record};
use crate::query;
use crate::status::{self, ByNumber};

/// How long ago a parent must have ended, by the server's own time, before a child that is still held
/// counts as forgotten: the server releases it within moments.
const RELEASED_BY_THEN: Duration = Duration::from_mins(1);

/// How long the server takes at most to release or delete the children of a job that it has forgotten.
const MOMENT: Duration = Duration::from_secs(1);

/// Returns the ids of those held jobs in `answer` that will never be released.
///
/// When a parent is deleted before it ever ran, its children stay held, those with `afterany` too (OpenPBS
/// 23.06.06). Nothing is said about it on them, so the parents are asked about, in one further question
/// and only where something is held.
pub(crate) async fn for_ever(
    pbs: &Pbs,
    answer: &Answer,
) -> Result<HashSet<String>, SchedulerError> {
    let held: Vec<&Record> = answer
        .records
        .iter()
        .filter(|record| is_held(record))
        .collect();
    let mut ids: Vec<String> = held.iter().flat_map(|record| parents(record)).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    // The held jobs are asked about again, after their parents: one that is still held although its
    // parent was gone before has been passed over.
    ids.extend(held.iter().map(|record| record.id.clone()));
    let later = query::jobs(pbs, &ids, false).await?;
    let found: HashMap<String, Proof> = forgotten(&later)
        .map(|(record, proof)| (record.id.clone(), proof))
        .collect();
    let is_sure = found.values().all(|proof| *proof == Proof::Sure);
    let mut held: HashSet<String> = found.into_keys().collect();
    if !is_sure {
        // A parent that has just ended may be forgotten a moment before its children are released or deleted.
        tokio::time::sleep(MOMENT).await;
        let again = query::jobs(pbs, &ids, false).await?;
        let still: HashSet<&str> = forgotten(&again).map(|(it, _)| it.id.as_str()).collect();
        held.retain(|id| still.contains(id.as_str()));
    }
    Ok(held)
}

/// How sure it is that a held job will never be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// What became of a parent says so.
    Sure,
    /// A parent is not known: it was deleted before it ran, or it has ended just now.
    Missing,
}

/// Returns the held jobs of an answer that also tells of all their parents, as far as they are known.
pub(crate) fn forgotten(later: &Answer) -> impl Iterator<Item = (&Record, Proof)> {
    let by_number = status::by_number(later);
    let held = later.records.iter().filter(|record| is_held(record));
    held.filter_map(move |record| Some((record, proof(record, &by_number, later.now)?)))
}

fn is_held(record: &Record) -> bool {
    let is_element = Id::parse(&record.id).is_some_and(|id| matches!(id.part, Part::Element(_)));
    record.state == Some('H') && record.depend.is_some() && !is_element
}

/// The ids in `afterok:39.localhost@localhost,afterany:40.localhost@localhost:41[].localhost@localhost`.
fn parents(record: &Record) -> Vec<String> {
    let depend = record.depend.as_deref().unwrap_or_default();
    depend
        .split([':', ','])
        .filter_map(Id::parse)
        // The port of a server, which may follow its name, looks like a short id.
        .filter(|id| !id.server.is_empty())
        .map(|id| id.whole())
        .collect()
}

/// Whether the job was deleted before it ran: OpenPBS keeps it with substate 91; Torque as completed, with
/// neither a start nor an exit status (`src/server/req_delete.c`).
fn has_never_run(record: &Record) -> bool {
    let is_deleted =
        record.substate == Some(91) || (record.state == Some('C') && record.exit.is_none());
    is_deleted && !record.has_run()
}

/// Returns why what the job waits for cannot come any more, if it cannot: one parent has ended without having
/// run, or is not known, or all have ended, and not just now.
///
/// At the end of a parent that ran the server takes it out of the list. One that is in the list and not known
/// was deleted before it ran, and there is no history to tell.
fn proof(record: &Record, known: &ByNumber<'_>, now: Option<SystemTime>) -> Option<Proof> {
    let (mut all_are_over, mut one_is_missing) = (true, false);
    for parent in parents(record) {
        let known = Id::parse(&parent).and_then(|id| {
            let (_, known) = (known.get(id.number)?.iter())
                .find(|(known, _)| known.part == id.part && known.is_same_job(&id))?;
            Some(*known)
        });
        let Some(known) = known else {
            one_is_missing = true;
            continue;
        };
        let has_ended = matches!(known.state, Some('F' | 'C'));
        if has_ended && has_never_run(known) {
            return Some(Proof::Sure);
        }
        let long_ago = known.ended().zip(now).is_some_and(|(ended, now)| {
            now.duration_since(ended)
                .is_ok_and(|passed| passed > RELEASED_BY_THEN)
        });
        all_are_over &= has_ended && long_ago;
    }
    match (one_is_missing, all_are_over) {
        (true, _) => Some(Proof::Missing),
        (false, true) => Some(Proof::Sure),
        (false, false) => None,
    }
}
