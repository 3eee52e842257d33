//! Moving results from the spool into packs, and into the state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use fs_err as fs;

use super::observe::MOST_RETURNS;
use super::{ElementState, Phase, State};
use crate::cache::entry_of;
use crate::elements::ElementSet;
use crate::id::Tag;
use crate::identity::Digest;
use crate::journal::{Record, SubmissionKind};
use crate::results::{Outcome, ResultRecord, Spool, SpoolFrame, WorkerRecord, read_spool};
use crate::rundir::RunDir;
use crate::scheduler::{EndReason, ExitStatus, Memory};
use crate::segment::write_pack;
use crate::store::cache::CacheEntry;
use crate::workflow::{Graph, Items, TaskIndex};

/// What the spools say that the journal does not say yet.
#[derive(Debug, Default)]
pub(super) struct Spooled {
    /// Elements whose body was started, by submission.
    pub(super) started: HashMap<u32, BTreeSet<u32>>,
    /// Submissions and array indices whose file has bytes that are no result: what was started there is
    /// not known for certain. No index is named where a worker served many.
    pub(super) damaged: BTreeSet<(u32, Option<u32>)>,
    /// Bodies that were ended by a signal to their worker; the batch system knows why.
    pub(super) interrupted: BTreeMap<(u32, u32), ResultRecord>,
}

/// New results of one submission, ready to be recorded.
#[derive(Debug)]
pub(super) struct Ingest {
    pub(super) position: u32,
    pub(super) record: Record,
    /// What of it may be remembered: the identities and results.
    pub(super) remembered: Vec<(Digest, CacheEntry)>,
}

/// Returns the state that a result gives its element.
pub(super) fn state_of(outcome: Outcome) -> Option<ElementState> {
    match outcome {
        Outcome::Succeeded => Some(ElementState::Succeeded),
        Outcome::Cached => Some(ElementState::Cached),
        Outcome::Failed => Some(ElementState::Failed),
        Outcome::Skipped => Some(ElementState::Skipped),
        Outcome::Cancelled => Some(ElementState::Cancelled),
        Outcome::Restarted => Some(ElementState::Lost),
        Outcome::HandedBack | Outcome::Interrupted => None,
    }
}

/// Returns whether a task fans out over the lists that `task` returns.
pub(super) fn counts_items(graph: &Graph, task: TaskIndex) -> bool {
    graph.task(task).consumers.iter().any(|consumer| {
        graph
            .task(*consumer)
            .inputs
            .iter()
            .flat_map(|input| &input.sources)
            .any(|source| {
                source.task == task && matches!(source.items, Items::List | Items::Flatten)
            })
    })
}

/// Reads the spools of all live submissions and packs what is new.
pub(super) fn collect(
    dir: &RunDir,
    graph: &Graph,
    state: &State,
    now_ms: u64,
) -> io::Result<(Vec<Ingest>, Spooled)> {
    let mut ingests = Vec::new();
    let mut spooled = Spooled::default();
    for (position, submission) in state.live() {
        let SubmissionKind::Elements { task, .. } = submission.record.kind else {
            continue;
        };
        let tag = &submission.record.tag;
        let is_ours = |element: u32| {
            state
                .task(task)
                .elements
                .get(element as usize)
                .is_some_and(|entry| {
                    entry.state == ElementState::Queued && entry.submission == position
                })
        };
        let mut new: BTreeMap<u32, ResultRecord> = BTreeMap::new();
        let mut handed_back = BTreeSet::new();
        let spool = Spool::new(dir.spool(tag));
        let mut files = spool.files()?;
        // A holder of the lease that died right after setting a file aside may have left results in it.
        files.extend(spool.late_files()?);
        for file in files {
            let content = match read_spool(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if content.is_damaged {
                tracing::warn!(file = %file.display(), "bytes that are no result were set aside");
                spooled.damaged.insert((position, Spool::index_of(&file)));
            }
            spooled
                .started
                .entry(position)
                .or_default()
                .extend(content.started);
            for mut result in content.ended {
                if !is_ours(result.element) {
                    continue;
                }
                result.worker.clone_from(&content.worker);
                let returns = state.returns.get(&(task, result.element));
                if result.outcome == Outcome::HandedBack
                    && returns.is_some_and(|returns| *returns >= MOST_RETURNS)
                {
                    // All inputs were recorded each time: trying again will not bring them back.
                    result.outcome = Outcome::Failed;
                }
                match result.outcome {
                    Outcome::HandedBack => {
                        handed_back.insert(result.element);
                    }
                    Outcome::Interrupted => {
                        spooled
                            .interrupted
                            .insert((position, result.element), result);
                    }
                    _ => {
                        new.insert(result.element, result);
                    }
                }
            }
        }
        if new.is_empty() && handed_back.is_empty() {
            continue;
        }
        let remembered = remembered(dir, graph, tag, task, &new, now_ms)?;
        let record = pack(dir, graph, tag, submission.packs, task, new, handed_back)?;
        ingests.push(Ingest {
            position,
            record,
            remembered,
        });
    }
    Ok((ingests, spooled))
}

/// Returns what of new results later runs may use.
fn remembered(
    dir: &RunDir,
    graph: &Graph,
    tag: &Tag,
    task: TaskIndex,
    new: &BTreeMap<u32, ResultRecord>,
    now_ms: u64,
) -> io::Result<Vec<(Digest, CacheEntry)>> {
    let choices = &dir.record().cache;
    let declared = graph.declared(task);
    if choices.store.is_none() || !declared.cache.enabled {
        return Ok(Vec::new());
    }
    let run_dir = dir.path().to_str().unwrap_or_default();
    let forced = choices.force.contains(&declared.name);
    let entries = new
        .values()
        .map(|result| entry_of(result, tag, &declared.returns, run_dir, now_ms, forced));
    entries.filter_map(Result::transpose).collect()
}

fn pack(
    dir: &RunDir,
    graph: &Graph,
    tag: &Tag,
    number: u32,
    task: TaskIndex,
    new: BTreeMap<u32, ResultRecord>,
    handed_back: BTreeSet<u32>,
) -> io::Result<Record> {
    let counted = counts_items(graph, task);
    let mut ended: BTreeMap<ElementState, ElementSet> = BTreeMap::new();
    let mut items = Vec::new();
    let mut causes: HashMap<EndReason, ElementSet> = HashMap::new();
    let mut records = Vec::with_capacity(new.len());
    for (element, result) in new {
        if let Some(state) = state_of(result.outcome) {
            ended.entry(state).or_default().insert(element);
        }
        if counted
            && let Some(number) = result
                .value
                .as_ref()
                .and_then(crate::rundir::ValueRef::items)
        {
            items.push((element, number));
        }
        if let Some(cause) = result.cause {
            causes.entry(cause).or_default().insert(element);
        }
        records.push((
            element,
            serde_json::to_vec(&SpoolFrame::End(Box::new(result)))?,
        ));
    }
    let number = write_free(dir, tag, number, records)?;
    Ok(Record::Ingested {
        tag: tag.clone(),
        pack: number,
        ended: ended.into_iter().collect(),
        handed_back: handed_back.into_iter().collect(),
        items,
        causes: causes.into_iter().collect(),
    })
}

/// Writes a pack under the first number from `number` on that is free, and returns that. A number may be
/// taken by a holder of the lease that was replaced before it recorded its pack; the results in it are
/// results all the same.
fn write_free(
    dir: &RunDir,
    tag: &Tag,
    number: u32,
    mut records: Vec<(u32, Vec<u8>)>,
) -> io::Result<u32> {
    let mut number = number;
    while !write_pack(&dir.pack(tag, number), &mut records)? {
        number += 1;
    }
    Ok(number)
}

/// Puts together what is known of an element whose end was decided otherwise than by a result: what its
/// worker saw, and what the batch system says.
pub(super) fn told(
    element: u32,
    seen: Option<&ResultRecord>,
    exit: Option<&ExitStatus>,
) -> Option<ResultRecord> {
    if seen.is_none() && exit.is_none() {
        return None;
    }
    let mut result = seen
        .cloned()
        .unwrap_or_else(|| ResultRecord::new(element, Outcome::Interrupted));
    if let Some(exit) = exit {
        if result.exit_status.is_none() && result.signal.is_none() {
            (result.exit_status, result.signal) = (exit.code, exit.signal);
        }
        let elapsed = exit.elapsed.map_or(0, |elapsed| elapsed.as_millis() as u64);
        result.wall_ms = result.wall_ms.max(elapsed);
        let peak = exit.peak_memory.map_or(0, Memory::kibibytes);
        result.peak_kib = result.peak_kib.max(peak);
        if result.worker.is_none() {
            result.worker = exit.node.as_ref().map(|node| WorkerRecord {
                job: None,
                node: node.clone(),
                log: String::new(),
            });
        }
    }
    Some(result)
}

/// Writes the pack of a submission that was never sent: what earlier runs had, as frames by element.
pub(super) fn pack_remembered(
    dir: &RunDir,
    tag: &Tag,
    frames: &mut [(u32, Vec<u8>)],
) -> io::Result<()> {
    // A pack of that name is of a holder of the lease that died before it could record it: the same elements,
    // with values that are as good.
    write_pack(&dir.pack(tag, 0), frames)?;
    crate::fault::reach("ingest/close-remembered");
    fs::write(dir.closed(tag), b"")
}

/// Writes a pack of what is known of elements whose end was decided otherwise than by a result, so that
/// it, and their output, are still found.
pub(super) fn pack_told(
    dir: &RunDir,
    state: &State,
    position: u32,
    told: Vec<ResultRecord>,
) -> io::Result<Option<Record>> {
    if told.is_empty() {
        return Ok(None);
    }
    let submission = state.submission(position);
    let tag = submission.record.tag.clone();
    let mut records = Vec::with_capacity(told.len());
    for result in told {
        records.push((
            result.element,
            serde_json::to_vec(&SpoolFrame::End(Box::new(result)))?,
        ));
    }
    let pack = write_free(dir, &tag, submission.packs, records)?;
    Ok(Some(Record::Ingested {
        tag,
        pack,
        ended: Vec::new(),
        handed_back: ElementSet::new(),
        items: Vec::new(),
        causes: Vec::new(),
    }))
}

/// Marks a submission as over and removes its spool, when nothing more can come from it.
pub(super) fn close_spool(dir: &RunDir, state: &State, position: u32) -> io::Result<()> {
    let submission = state.submission(position);
    if submission.phase != Phase::Over {
        return Ok(());
    }
    let tag = &submission.record.tag;
    crate::fault::reach("ingest/close");
    fs::write(dir.closed(tag), b"")?;
    crate::fault::reach("ingest/unspool");
    match fs::remove_dir_all(dir.spool(tag)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::SubmissionRecord;
    use crate::results::IndexClaim;
    use crate::rundir::testing::empty_run;

    /// Returns what is recorded when the only element came back, after it did so `returns` times.
    fn after(returns: u32) -> (Vec<(ElementState, ElementSet)>, ElementSet) {
        let keep = tempfile::tempdir().unwrap();
        let dir = empty_run(&keep.path().join("run"));
        let description =
            json!({"schema": 1, "name": "w", "tasks": [{"name": "t", "returns": "int"}]});
        let graph = Graph::check(serde_json::from_value(description).unwrap()).unwrap();
        let mut state = State::new(&graph);
        let task = TaskIndex(0);
        let tag = Tag::from_digest('t', &blake3::hash(b"t"));
        let all = ElementSet::range(0, 1);
        state.apply(&Record::Intent(SubmissionRecord {
            tag: tag.clone(),
            kind: SubmissionKind::Elements {
                task,
                attempt: 1,
                elements: all,
                batch: 1,
                raised: crate::journal::Raised::default(),
            },
            after: Vec::new(),
            at_most: None,
        }));
        state.returns.insert((task, 0), returns);
        let worker = WorkerRecord {
            job: None,
            node: "n1".to_owned(),
            log: "0/0".to_owned(),
        };
        let IndexClaim::Claimed(mut writer) =
            Spool::new(dir.spool(&tag)).claim(0, &worker).unwrap()
        else {
            panic!("not claimed")
        };
        let result = ResultRecord::new(0, Outcome::HandedBack).with_message("`up` is missing");
        writer.end_element(result).unwrap();
        let (ingests, _) = collect(&dir, &graph, &state, 0).unwrap();
        match ingests.into_iter().next().unwrap().record {
            Record::Ingested {
                ended, handed_back, ..
            } => (ended, handed_back),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_element_does_not_come_back_for_ever() {
        let all = ElementSet::range(0, 1);
        assert_eq!(after(MOST_RETURNS - 1), (Vec::new(), all.clone()));
        assert_eq!(
            after(MOST_RETURNS),
            (vec![(ElementState::Failed, all)], ElementSet::new())
        );
    }
}
