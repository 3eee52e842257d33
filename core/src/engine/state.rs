mod attempts;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Counts, ElementState, RunState};
use crate::elements::ElementSet;
use crate::id::{JobId, Tag};
use crate::journal::{Entry, HandBack, NotSent, Raised, Record, SubmissionKind, SubmissionRecord};
use crate::rundir::Selection;
use crate::scheduler::EndReason;
use crate::workflow::{Graph, TaskIndex};

pub(super) use attempts::MOST_REVIVALS;
pub use attempts::{Attempts, PastAttempt};

/// The state of a run: a fold over its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// By task.
    pub tasks: Vec<TaskState>,
    /// In the order in which they were announced.
    pub submissions: Vec<Submission>,
    pub(super) by_tag: HashMap<Tag, u32>,
    /// Elements that ended otherwise than by a result of their own, with the reason.
    pub verdicts: BTreeMap<(TaskIndex, u32), Arc<Verdict>>,
    /// How often elements came back unstarted.
    pub returns: HashMap<(TaskIndex, u32), u32>,
    /// Why elements failed, where their workers know more than that they did.
    pub causes: HashMap<(TaskIndex, u32), EndReason>,
    /// Elements that were tried more than once.
    pub attempts: BTreeMap<(TaskIndex, u32), Attempts>,
    /// How many requests of people were carried out.
    pub requests: u32,
    /// Whether the batch system has said that it takes no more of our jobs.
    pub is_limited: bool,
    /// Whether the cancellation of the run was seen.
    pub is_cancelled: bool,
    /// Why nothing can be queued for now.
    pub paused: Option<String>,
    /// How the run ended.
    pub finished: Option<RunState>,
    /// Whether the last record gives the lease back.
    pub is_released: bool,
    /// Submissions that ended, as far as the run is concerned, before their jobs did. Not for readers:
    /// dispatch takes them out and cancels the jobs.
    pub(super) abandoned: Vec<u32>,
}

/// The state of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskState {
    /// The number of its elements.
    pub width: Width,
    /// By element; empty until the width is known.
    pub elements: Vec<Element>,
    /// The numbers of `elements` by state.
    pub counts: Counts,
    /// Submissions that carry it and are not over, ascending.
    pub live: Vec<u32>,
    /// All its submissions, ascending.
    pub submissions: Vec<u32>,
    /// Numbers of entries of the lists that its elements returned.
    pub items: HashMap<u32, u32>,
    /// Whether an element came back, so that another submission carries it than the first.
    pub is_reissued: bool,
}

/// The number of elements of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// Not known yet.
    Unknown,
    /// That many.
    Known(u32),
    /// There will be none.
    Never {
        /// Failed, skipped or cancelled.
        state: ElementState,
        /// Why.
        message: String,
    },
}

/// The state of one element, in eight bytes: runs have a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// The submission that carries its newest try.
    pub submission: u32,
    /// Which try that is, from 1; 0 before the first.
    pub attempt: u16,
    /// As far as the journal knows: a running body counts as queued.
    pub state: ElementState,
}

/// Why an element ended, where no worker said so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// In the batch system's terms.
    pub reason: Option<EndReason>,
    /// In words.
    pub message: String,
}

/// One request to the batch system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// As it was announced.
    pub record: Arc<SubmissionRecord>,
    /// What the batch system calls it.
    pub job: Option<JobId>,
    /// How far it has come.
    pub phase: Phase,
    /// Elements that have not ended.
    pub open: u32,
    /// Packs made of its results.
    pub packs: u32,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Announced; whether it was sent is not known.
    Intended,
    /// In the batch system.
    Sent,
    /// Over, or never sent.
    Over,
}

impl State {
    /// Returns the state before the first record.
    pub fn new(graph: &Graph) -> Self {
        let tasks = (0..graph.len() as u32).map(|index| {
            let mut task = TaskState {
                width: Width::Unknown,
                elements: Vec::new(),
                counts: Counts::default(),
                live: Vec::new(),
                submissions: Vec::new(),
                items: HashMap::new(),
                is_reissued: false,
            };
            if !graph.is_array(TaskIndex(index)) {
                task.expand(1);
            }
            task
        });
        Self {
            tasks: tasks.collect(),
            submissions: Vec::new(),
            by_tag: HashMap::new(),
            verdicts: BTreeMap::new(),
            returns: HashMap::new(),
            causes: HashMap::new(),
            attempts: BTreeMap::new(),
            requests: 0,
            is_limited: false,
            is_cancelled: false,
            paused: None,
            finished: None,
            is_released: false,
            abandoned: Vec::new(),
        }
    }

    /// Returns the state after `entries`.
    pub fn fold<'a>(graph: &Graph, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        Self::new(graph).followed_by(entries)
    }

    /// Returns the state after further entries.
    pub(super) fn followed_by<'a>(mut self, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        for entry in entries {
            self.apply(&entry.record);
        }
        self.abandoned.clear();
        self
    }

    /// Returns the state of a task.
    pub fn task(&self, index: TaskIndex) -> &TaskState {
        &self.tasks[index.get()]
    }

    /// Returns the position of a submission.
    pub fn position(&self, tag: &Tag) -> Option<u32> {
        self.by_tag.get(tag).copied()
    }

    /// Returns a submission.
    pub fn submission(&self, position: u32) -> &Submission {
        &self.submissions[position as usize]
    }

    /// Returns the submissions that are not over, ascending.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Submission)> {
        (0..)
            .zip(&self.submissions)
            .filter(|(_, submission)| submission.phase != Phase::Over)
    }

    /// Returns the queued elements of a task that `is_wanted` holds for, by the submission that carries them.
    pub(super) fn queued(
        &self,
        task: TaskIndex,
        is_wanted: impl Fn(u32) -> bool,
    ) -> BTreeMap<u32, ElementSet> {
        let mut queued: BTreeMap<u32, ElementSet> = BTreeMap::new();
        for (element, entry) in (0..).zip(&self.task(task).elements) {
            if entry.state == ElementState::Queued && is_wanted(element) {
                queued.entry(entry.submission).or_default().insert(element);
            }
        }
        queued
    }

    /// Returns the queued elements of selections, by the submission that carries them. Of a task that is
    /// not known there are none.
    pub(super) fn carried(&self, what: &[Selection]) -> BTreeMap<u32, ElementSet> {
        let mut carried: BTreeMap<u32, ElementSet> = BTreeMap::new();
        let known = |it: &&Selection| it.task.get() < self.tasks.len();
        for selection in what.iter().filter(known) {
            let task = selection.task;
            for (position, elements) in self.queued(task, |it| selection.contains(task, it)) {
                let entry = carried.entry(position).or_default();
                elements.iter().for_each(|element| entry.insert(element));
            }
        }
        carried
    }

    /// Returns what queued elements are withdrawn by: their submissions' tags.
    pub(super) fn tagged(&self, queued: BTreeMap<u32, ElementSet>) -> Vec<(Tag, ElementSet)> {
        queued
            .into_iter()
            .map(|(position, elements)| (self.submission(position).record.tag.clone(), elements))
            .collect()
    }

    /// Adds one record.
    pub fn apply(&mut self, record: &Record) {
        self.is_released = false;
        match record {
            Record::Term { .. } => {}
            Record::Expanded { task, width } => self.tasks[task.get()].expand(*width),
            Record::Unexpanded {
                task,
                state,
                message,
            } => {
                self.tasks[task.get()].width = Width::Never {
                    state: *state,
                    message: message.clone(),
                };
            }
            Record::Intent(submission) => self.intend(submission),
            Record::Submitted { tag, job } => {
                if let Some(position) = self.position(tag) {
                    let submission = &mut self.submissions[position as usize];
                    submission.job = Some(job.clone());
                    if submission.phase == Phase::Intended {
                        submission.phase = Phase::Sent;
                    }
                }
            }
            Record::NotSent { tag, why } => self.not_sent(tag, why),
            Record::Ingested {
                tag,
                pack,
                ended,
                handed_back,
                items,
                causes,
            } => {
                let Some(position) = self.position(tag) else {
                    return;
                };
                let submission = &mut self.submissions[position as usize];
                submission.packs = submission.packs.max(pack + 1);
                let SubmissionKind::Elements { task, .. } = submission.record.kind else {
                    return;
                };
                for (element, number) in items {
                    let current = self.tasks[task.get()].elements.get(*element as usize);
                    if current.is_some_and(|element| element.submission == position) {
                        self.tasks[task.get()].items.insert(*element, *number);
                    }
                }
                for (state, elements) in ended {
                    for element in elements.iter() {
                        self.set(task, element, Some(position), *state);
                    }
                }
                for (cause, elements) in causes {
                    self.causes
                        .extend(elements.iter().map(|element| ((task, element), *cause)));
                }
                if !handed_back.is_empty() {
                    self.hand_back(position, handed_back, HandBack::Unstarted);
                }
            }
            Record::Remembered {
                tag,
                task,
                elements,
                items,
            } => self.remember(tag, *task, elements, items),
            Record::Ended {
                task,
                elements,
                state,
                reason,
                message,
            } => {
                let verdict = Arc::new(Verdict {
                    reason: *reason,
                    message: message.clone(),
                });
                for element in elements.iter() {
                    let carrier = self.tasks[task.get()]
                        .elements
                        .get(element as usize)
                        .map(|entry| entry.submission);
                    if self.set(*task, element, None, *state) {
                        if *state == ElementState::Skipped {
                            self.abandon(carrier);
                        }
                        self.verdicts.insert((*task, element), Arc::clone(&verdict));
                    }
                }
            }
            Record::HandedBack { tag, elements, why } => {
                if let Some(position) = self.position(tag) {
                    self.hand_back(position, elements, *why);
                }
            }
            Record::Reopened {
                task,
                elements,
                why,
            } => self.reopen(*task, elements, *why),
            Record::Answered { number } => self.requests = number + 1,
            Record::Closed { tag } => {
                if let Some(position) = self.position(tag) {
                    self.close(position);
                }
            }
            Record::CancelRequested => self.is_cancelled = true,
            Record::Paused { message } => self.paused = Some(message.clone()),
            Record::Resumed => self.paused = None,
            Record::Released => self.is_released = true,
            Record::Finished { state } => {
                self.finished = Some(*state);
                self.is_released = true;
                // What is still queued was cancelled: should the run go on, it does not drive it.
                let live: Vec<u32> = self.live().map(|(position, _)| position).collect();
                for position in live {
                    self.close(position);
                }
            }
        }
    }

    fn intend(&mut self, record: &SubmissionRecord) {
        let position = self.submissions.len() as u32;
        let mut open = 0;
        if let SubmissionKind::Elements {
            task,
            attempt,
            elements,
            ..
        } = &record.kind
        {
            let task = &mut self.tasks[task.get()];
            for element in elements.iter() {
                let Some(entry) = task.elements.get_mut(element as usize) else {
                    continue;
                };
                task.counts.move_one(entry.state, ElementState::Queued);
                *entry = Element {
                    submission: position,
                    attempt: u16::try_from(*attempt).unwrap_or(u16::MAX),
                    state: ElementState::Queued,
                };
                open += 1;
            }
            task.live.push(position);
            task.submissions.push(position);
        }
        self.by_tag.insert(record.tag.clone(), position);
        self.submissions.push(Submission {
            record: Arc::new(record.clone()),
            job: None,
            phase: Phase::Intended,
            open,
            packs: 0,
        });
    }

    fn remember(
        &mut self,
        tag: &Tag,
        index: TaskIndex,
        elements: &ElementSet,
        items: &[(u32, u32)],
    ) {
        let position = self.submissions.len() as u32;
        let task = &mut self.tasks[index.get()];
        for element in elements.iter() {
            let Some(entry) = task.elements.get_mut(element as usize) else {
                continue;
            };
            if entry.state != ElementState::Waiting {
                continue;
            }
            task.counts.move_one(entry.state, ElementState::Cached);
            *entry = Element {
                submission: position,
                attempt: entry.attempt.saturating_add(1),
                state: ElementState::Cached,
            };
        }
        task.items.extend(items.iter().copied());
        task.submissions.push(position);
        self.by_tag.insert(tag.clone(), position);
        self.submissions.push(Submission {
            record: Arc::new(SubmissionRecord {
                tag: tag.clone(),
                kind: SubmissionKind::Elements {
                    task: index,
                    attempt: 1,
                    elements: elements.clone(),
                    batch: 1,
                    raised: Raised::default(),
                },
                after: Vec::new(),
                at_most: None,
            }),
            job: None,
            phase: Phase::Over,
            open: 0,
            packs: 1,
        });
    }

    fn not_sent(&mut self, tag: &Tag, why: &NotSent) {
        let Some(position) = self.position(tag) else {
            return;
        };
        self.is_limited |= matches!(why, NotSent::Limit { .. });
        let record = Arc::clone(&self.submissions[position as usize].record);
        if let SubmissionKind::Elements { task, elements, .. } = &record.kind {
            match why {
                NotSent::Temporary { .. } | NotSent::Limit { .. } => {
                    self.tasks[task.get()].is_reissued = true;
                    self.give_back(position, *task, elements);
                }
                NotSent::Rejected { message } => {
                    let verdict = Arc::new(Verdict {
                        reason: Some(EndReason::StartFailure),
                        message: format!("the batch system refused the job: {message}"),
                    });
                    for element in elements.iter() {
                        if self.set(*task, element, Some(position), ElementState::Failed) {
                            self.verdicts.insert((*task, element), Arc::clone(&verdict));
                        }
                    }
                }
            }
        }
        self.close(position);
    }

    /// Moves an element that has not ended; with `by`, only if that submission carries its newest try.
    fn set(&mut self, task: TaskIndex, element: u32, by: Option<u32>, to: ElementState) -> bool {
        let task = &mut self.tasks[task.get()];
        let Some(entry) = task.elements.get_mut(element as usize) else {
            return false;
        };
        let is_newest = by.is_none_or(|by| entry.attempt > 0 && entry.submission == by);
        if entry.state.is_ended() || !is_newest || entry.state == to {
            return false;
        }
        let was_queued = entry.state == ElementState::Queued;
        task.counts.move_one(entry.state, to);
        entry.state = to;
        if was_queued {
            let position = entry.submission;
            let submission = &mut self.submissions[position as usize];
            submission.open -= 1;
            if submission.open == 0 {
                self.close(position);
            }
        }
        true
    }

    fn close(&mut self, position: u32) {
        let submission = &mut self.submissions[position as usize];
        submission.phase = Phase::Over;
        if let SubmissionKind::Elements { task, .. } = submission.record.kind {
            self.tasks[task.get()].live.retain(|live| *live != position);
        }
    }
}

impl TaskState {
    fn expand(&mut self, width: u32) {
        self.width = Width::Known(width);
        self.elements = vec![
            Element {
                submission: 0,
                attempt: 0,
                state: ElementState::Waiting
            };
            width as usize
        ];
        self.counts = Counts::default();
        self.counts.add(ElementState::Waiting, width);
    }

    /// Returns the number of elements that ended without a value.
    pub fn broken(&self) -> u32 {
        self.counts.failed + self.counts.lost + self.counts.cancelled + self.counts.skipped
    }

    /// Returns whether a value of it will be missing for good.
    pub fn is_broken(&self) -> bool {
        matches!(self.width, Width::Never { .. }) || self.broken() > 0
    }

    /// Returns whether every element has a value.
    pub fn is_complete(&self) -> bool {
        matches!(self.width, Width::Known(width) if self.counts.succeeded + self.counts.cached == width)
    }

    /// Returns whether nothing more will happen to it.
    pub fn is_ended(&self) -> bool {
        match self.width {
            Width::Unknown => false,
            Width::Known(_) => self.counts.waiting + self.counts.queued + self.counts.running == 0,
            Width::Never { .. } => true,
        }
    }

    /// Returns the elements in `state`.
    pub fn in_state(&self, state: ElementState) -> ElementSet {
        (0..)
            .zip(&self.elements)
            .filter(|(_, element)| element.state == state)
            .map(|(index, _)| index)
            .collect()
    }
}
