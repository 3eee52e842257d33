//! Jobs that PBS holds for ever, because of what became of a job that they wait for.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use reflow_core::scheduler::SchedulerError;

use crate::connect::Pbs;
use crate::parse::{Answer, Id, Part, Record};
use crate::query;
use crate::status::{self, ByNumber};

/// How long ago a parent must have ended, by the server's own time, before a child that is still held
/// counts as forgotten: the server releases it within moments.
const RELEASED_BY_THEN: Duration = Duration::from_mins(1);

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
    Ok(forgotten(&later).map(|record| record.id.clone()).collect())
}

/// Returns the held jobs of an answer that also tells of all their parents, as far as they are known.
pub(crate) fn forgotten(later: &Answer) -> impl Iterator<Item = &Record> {
    let by_number = status::by_number(later);
    let is_forgotten = move |record: &&Record| is_forgotten(record, &by_number, later.now);
    later
        .records
        .iter()
        .filter(|record| is_held(record))
        .filter(is_forgotten)
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

/// Whether what the job waits for cannot come any more: one parent has ended without having run or is not
/// known, or all have ended, and not just now.
///
/// At the end of a parent that ran the server takes it out of the list before it forgets it. One that is in
/// the list and not known was deleted before it ran, and there is no history to tell.
fn is_forgotten(record: &Record, known: &ByNumber<'_>, now: Option<SystemTime>) -> bool {
    let mut all_are_over = true;
    for parent in parents(record) {
        let known = Id::parse(&parent).and_then(|id| {
            let (_, known) = (known.get(id.number)?.iter())
                .find(|(known, _)| known.part == id.part && known.is_same_job(&id))?;
            Some(*known)
        });
        let Some(known) = known else {
            return true;
        };
        let has_ended = matches!(known.state, Some('F' | 'C'));
        if has_ended && has_never_run(known) {
            return true;
        }
        let long_ago = known.ended().zip(now).is_some_and(|(ended, now)| {
            now.duration_since(ended)
                .is_ok_and(|passed| passed > RELEASED_BY_THEN)
        });
        all_are_over &= has_ended && long_ago;
    }
    all_are_over
}
