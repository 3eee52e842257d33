//! Checkpoints of the state of a run, which keep the fold over its journal short.
//!
//! `checkpoint/<n>` is the state after what counts of the terms below n, as the holder of term n found
//! it when it took the lease. It is right whenever the first record of term n counts, whoever wrote it
//! and however late:
//!
//! - Only the holder of term n writes it, and from what it measured: the same reading that gave the cuts
//!   in its first record. What it or anybody else appends later is not in it.
//! - Whoever takes a later term measures either with the first record of term n or without it. With it,
//!   the terms below n count as term n said, for a cut is never moved. Without it, the later term cuts
//!   term n to nothing. The newest term that began decides, and by the same argument the ones that it
//!   counted.
//! - So while term n is not cut to nothing, everything below it counts exactly as its holder measured;
//!   and once it is, the checkpoint is not read any more.
//!
//! The journal stays the truth. A checkpoint that is missing, damaged, of another run or of another
//! version is passed over.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::{
    Attempts, Counts, Element, ElementState, PastAttempt, Phase, RunState, State, Submission,
    TaskState, Verdict, Width,
};
use crate::elements::ElementSet;
use crate::id::JobId;
use crate::journal::{
    Journal, Raised, SubmissionKind, SubmissionRecord, read_journal_since, terms as numbers,
};
use crate::rundir::{RunDir, publish};
use crate::scheduler::EndReason;
use crate::segment::{append_frame, read_frames};
use crate::workflow::{Graph, TaskIndex};

/// The version of the format.
const SCHEMA: u32 = 2;
/// Records, or bytes of journal, since the last checkpoint that make a new one worth its while.
const MANY_RECORDS: usize = 256;
const MANY_BYTES: u64 = 1 << 20;
/// A state that takes more is not kept.
const MOST_BYTES: usize = 32 << 20;

/// A checkpoint that was read.
#[derive(Debug)]
pub(super) struct Checkpoint {
    term: u64,
    state: State,
}

impl Checkpoint {
    /// Returns the newest checkpoint that counts, and the journal from its term on.
    pub(super) fn newest(dir: &RunDir, graph: &Graph) -> io::Result<Option<(Self, Journal)>> {
        let terms = match numbers(&dir.inside("checkpoint")) {
            Ok(terms) => terms,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for term in terms.into_iter().rev().filter(|term| *term > 0) {
            let Some(state) = load(dir, graph, term) else {
                tracing::debug!(term, "the checkpoint cannot be used");
                continue;
            };
            let journal = read_journal_since(&dir.inside("journal"), term)?;
            if journal.since == term {
                return Ok(Some((Self { term, state }, journal)));
            }
        }
        Ok(None)
    }

    /// Returns the first term that it does not cover.
    pub(super) fn term(&self) -> u64 {
        self.term
    }
}

impl State {
    /// Reads the state of a run: the newest checkpoint that counts, and the journal since.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read. A checkpoint that cannot be used is no error.
    pub fn read(dir: &RunDir, graph: &Graph) -> io::Result<Self> {
        let (checkpoint, journal) = match Checkpoint::newest(dir, graph)? {
            Some((checkpoint, journal)) => (Some(checkpoint), journal),
            None => (None, read_journal_since(&dir.inside("journal"), 0)?),
        };
        Ok(Self::after(checkpoint, graph, &journal))
    }

    /// Returns the state after a journal that begins at the checkpoint, or else at the first term.
    pub(super) fn after(checkpoint: Option<Checkpoint>, graph: &Graph, journal: &Journal) -> Self {
        match checkpoint {
            Some(checkpoint) if checkpoint.term == journal.since => checkpoint.state,
            _ => Self::new(graph),
        }
        .followed_by(&journal.entries)
    }
}

/// Returns whether so much has been recorded since the last checkpoint that a new one pays.
pub(super) fn is_due(journal: &Journal) -> bool {
    journal.entries.len() >= MANY_RECORDS || journal.bytes >= MANY_BYTES
}

/// Writes the checkpoint of `term`, and removes those older than `since`, the one that it was made from.
///
/// That it fails is no fault of the run: the journal has it all.
pub(super) fn write(dir: &RunDir, term: u64, since: u64, state: &State) {
    if let Err(error) = try_write(dir, term, since, state) {
        tracing::debug!(term, %error, "no checkpoint was written");
    }
}

fn try_write(dir: &RunDir, term: u64, since: u64, state: &State) -> io::Result<()> {
    let payload = serde_json::to_vec(&Stored {
        schema: SCHEMA,
        run: Cow::Borrowed(dir.record().run_id.as_str()),
        term,
        state: StoredState::of(state),
    })?;
    if payload.len() > MOST_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    append_frame(&mut bytes, &payload);
    let checkpoints = dir.inside("checkpoint");
    fs::create_dir_all(&checkpoints)?;
    publish(&checkpoints.join(term.to_string()), &bytes)?;
    for old in numbers(&checkpoints)? {
        if old < since {
            fs::remove_file(checkpoints.join(old.to_string()))?;
        }
    }
    Ok(())
}

/// Reads a checkpoint, unless it is damaged, of another run or of another version.
fn load(dir: &RunDir, graph: &Graph, term: u64) -> Option<State> {
    let bytes = fs::read(dir.inside("checkpoint").join(term.to_string())).ok()?;
    let payload = read_frames(&bytes).next()?;
    let version: Version = serde_json::from_slice(payload).ok()?;
    if version.schema != SCHEMA {
        return None;
    }
    let stored: Stored = serde_json::from_slice(payload).ok()?;
    let is_ours = stored.run == dir.record().run_id.as_str() && stored.term == term;
    is_ours
        .then(|| stored.state.into_state(graph.len()))
        .flatten()
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    schema: u32,
    run: Cow<'a, str>,
    term: u64,
    state: StoredState<'a>,
}

/// A state without what follows from the rest; elements of a kind in one piece.
#[derive(Serialize, Deserialize)]
struct StoredState<'a> {
    tasks: Vec<StoredTask<'a>>,
    submissions: Vec<StoredSubmission<'a>>,
    verdicts: Vec<(TaskIndex, ElementSet, Option<EndReason>, Cow<'a, str>)>,
    returns: Vec<(TaskIndex, u32, ElementSet)>,
    causes: Vec<(TaskIndex, EndReason, ElementSet)>,
    attempts: Vec<StoredAttempts<'a>>,
    requests: u32,
    is_limited: bool,
    is_cancelled: bool,
    paused: Option<Cow<'a, str>>,
    finished: Option<RunState>,
    is_released: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredTask<'a> {
    width: Cow<'a, Width>,
    /// How many in a row: submission, attempt and state of each.
    elements: Vec<(u32, u32, u16, ElementState)>,
    /// A number of entries, and the elements whose lists have as many.
    items: Vec<(u32, ElementSet)>,
    is_reissued: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredAttempts<'a> {
    task: TaskIndex,
    element: u32,
    automatic: u16,
    revived: u16,
    raised: Raised,
    past: Cow<'a, [PastAttempt]>,
}

#[derive(Serialize, Deserialize)]
struct StoredSubmission<'a> {
    record: Cow<'a, SubmissionRecord>,
    job: Option<Cow<'a, JobId>>,
    phase: Phase,
    open: u32,
    packs: u32,
}

/// Groups numbered things by what they have in common.
fn grouped<K: Ord>(pairs: impl Iterator<Item = (u32, K)>) -> BTreeMap<K, ElementSet> {
    let mut pairs: Vec<(u32, K)> = pairs.collect();
    pairs.sort_unstable_by_key(|(element, _)| *element);
    let mut groups: BTreeMap<K, ElementSet> = BTreeMap::new();
    for (element, key) in pairs {
        groups.entry(key).or_default().insert(element);
    }
    groups
}

impl<'a> StoredState<'a> {
    fn of(state: &'a State) -> Self {
        let mut verdicts: HashMap<(TaskIndex, &Verdict), ElementSet> = HashMap::new();
        for ((task, element), verdict) in &state.verdicts {
            let same = verdicts.entry((*task, verdict.as_ref())).or_default();
            same.insert(*element);
        }
        let returns = state
            .returns
            .iter()
            .map(|((task, element), times)| (*element, (*task, *times)));
        let returns = grouped(returns).into_iter();
        let mut causes: HashMap<(TaskIndex, EndReason), Vec<u32>> = HashMap::new();
        for ((task, element), cause) in &state.causes {
            causes.entry((*task, *cause)).or_default().push(*element);
        }
        let attempts = state.attempts.iter();
        Self {
            tasks: state.tasks.iter().map(StoredTask::of).collect(),
            submissions: state.submissions.iter().map(StoredSubmission::of).collect(),
            verdicts: verdicts
                .into_iter()
                .map(|((task, verdict), elements)| {
                    let message = Cow::Borrowed(verdict.message.as_str());
                    (task, elements, verdict.reason, message)
                })
                .collect(),
            returns: returns
                .map(|((task, times), elements)| (task, times, elements))
                .collect(),
            causes: causes
                .into_iter()
                .map(|((task, cause), mut elements)| {
                    elements.sort_unstable();
                    (task, cause, elements.into_iter().collect())
                })
                .collect(),
            attempts: attempts
                .map(|((task, element), it)| StoredAttempts {
                    task: *task,
                    element: *element,
                    automatic: it.automatic,
                    revived: it.revived,
                    raised: it.raised,
                    past: Cow::Borrowed(&it.past),
                })
                .collect(),
            requests: state.requests,
            is_limited: state.is_limited,
            is_cancelled: state.is_cancelled,
            paused: state.paused.as_deref().map(Cow::Borrowed),
            finished: state.finished,
            is_released: state.is_released,
        }
    }

    /// Returns the state of a run of `tasks` tasks, unless the parts do not fit together.
    fn into_state(self, tasks: usize) -> Option<State> {
        if self.tasks.len() != tasks {
            return None;
        }
        let tasks: Option<Vec<TaskState>> =
            self.tasks.into_iter().map(StoredTask::into_task).collect();
        let mut tasks = tasks?;
        let mut by_tag = HashMap::new();
        let mut submissions = Vec::with_capacity(self.submissions.len());
        for (position, stored) in (0..).zip(self.submissions) {
            let submission = stored.into_submission();
            if let SubmissionKind::Elements { task, .. } = submission.record.kind {
                let task = tasks.get_mut(task.get())?;
                task.submissions.push(position);
                if submission.phase != Phase::Over {
                    task.live.push(position);
                }
            }
            by_tag.insert(submission.record.tag.clone(), position);
            submissions.push(submission);
        }
        let mut queued = vec![0; submissions.len()];
        for element in tasks.iter().flat_map(|task| &task.elements) {
            if element.attempt > 0 || element.state == ElementState::Queued {
                let queued: &mut u32 = queued.get_mut(element.submission as usize)?;
                *queued += u32::from(element.state == ElementState::Queued);
            }
        }
        if queued.iter().zip(&submissions).any(|(n, it)| it.open < *n) {
            return None;
        }
        let mut verdicts = BTreeMap::new();
        for (task, elements, reason, message) in self.verdicts {
            let message = message.into_owned();
            let verdict = Arc::new(Verdict { reason, message });
            verdicts.extend(elements.iter().map(|it| ((task, it), Arc::clone(&verdict))));
        }
        let mut returns = HashMap::new();
        for (task, times, elements) in self.returns {
            returns.extend(elements.iter().map(|it| ((task, it), times)));
        }
        let mut causes = HashMap::new();
        for (task, cause, elements) in self.causes {
            causes.extend(elements.iter().map(|it| ((task, it), cause)));
        }
        let attempts = self.attempts.into_iter().map(|it| {
            let attempts = Attempts {
                automatic: it.automatic,
                revived: it.revived,
                raised: it.raised,
                past: it.past.into_owned(),
            };
            ((it.task, it.element), attempts)
        });
        Some(State {
            tasks,
            submissions,
            by_tag,
            verdicts,
            returns,
            causes,
            attempts: attempts.collect(),
            requests: self.requests,
            is_limited: self.is_limited,
            is_cancelled: self.is_cancelled,
            paused: self.paused.map(Cow::into_owned),
            finished: self.finished,
            is_released: self.is_released,
            abandoned: Vec::new(),
        })
    }
}

impl<'a> StoredTask<'a> {
    fn of(task: &'a TaskState) -> Self {
        let runs = task.elements.chunk_by(|a, b| a == b);
        let items = grouped(
            task.items
                .iter()
                .map(|(element, number)| (*element, *number)),
        );
        Self {
            width: Cow::Borrowed(&task.width),
            elements: runs
                .map(|run| {
                    (
                        run.len() as u32,
                        run[0].submission,
                        run[0].attempt,
                        run[0].state,
                    )
                })
                .collect(),
            items: items.into_iter().collect(),
            is_reissued: task.is_reissued,
        }
    }

    fn into_task(self) -> Option<TaskState> {
        let width = self.width.into_owned();
        let runs = self.elements.iter();
        let total: u64 = runs.map(|(count, ..)| u64::from(*count)).sum();
        let fits = match width {
            Width::Unknown => total == 0,
            Width::Known(width) => total == u64::from(width),
            Width::Never { .. } => u32::try_from(total).is_ok(),
        };
        if !fits {
            return None;
        }
        let mut elements = Vec::with_capacity(total as usize);
        let mut counts = Counts::default();
        for (count, submission, attempt, state) in self.elements {
            let element = Element {
                submission,
                attempt,
                state,
            };
            elements.resize(elements.len() + count as usize, element);
            counts.add(state, count);
        }
        let mut items = HashMap::new();
        for (number, set) in self.items {
            items.extend(set.iter().map(|element| (element, number)));
        }
        Some(TaskState {
            width,
            elements,
            counts,
            live: Vec::new(),
            submissions: Vec::new(),
            items,
            is_reissued: self.is_reissued,
        })
    }
}

impl<'a> StoredSubmission<'a> {
    fn of(submission: &'a Submission) -> Self {
        Self {
            record: Cow::Borrowed(&submission.record),
            job: submission.job.as_ref().map(Cow::Borrowed),
            phase: submission.phase,
            open: submission.open,
            packs: submission.packs,
        }
    }

    fn into_submission(self) -> Submission {
        Submission {
            record: Arc::new(self.record.into_owned()),
            job: self.job.map(Cow::into_owned),
            phase: self.phase,
            open: self.open,
            packs: self.packs,
        }
    }
}
