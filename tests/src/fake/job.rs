//! The jobs of the queue and their elements.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::submission::Submission;
use super::text::Millis;

/// A job: plain, with one element, or an array.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its number in the cluster.
    pub number: u64,
    /// What it was asked to be.
    pub submission: Submission,
    /// When it was taken.
    pub submitted: Millis,
    /// When anything about it last changed.
    pub changed: Millis,
    /// What its dependencies say for the job as a whole.
    pub waiting: Waiting,
    /// Ascending by index.
    pub elements: Vec<Element>,
    /// How many elements are in which state.
    pub counts: Counts,
    /// The position of the element that ended last.
    pub last_ended: Option<usize>,
    /// When its first element was started.
    pub started: Option<Millis>,
    /// When its last element ended.
    pub ended: Option<Millis>,
    /// Whether clients are no longer told about it.
    pub forgotten: bool,
    /// Positions of the elements that could be started now.
    #[serde(skip)]
    pub(super) ready: BTreeSet<usize>,
}

/// An element of an array, or the only one of a plain job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Element {
    /// The index; none in a plain job.
    pub index: Option<u32>,
    /// Where it is.
    pub state: ElementState,
    /// What its own dependencies say, where elements wait each for another one.
    pub waiting: Waiting,
    /// Held by its owner: it is not started.
    pub held: bool,
    /// Started, and stopped for a while.
    pub suspended: bool,
    /// It is being ended, and why.
    pub stopping: Option<Cause>,
    /// When it was started.
    pub started: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// How it ended; set from [`ElementState::Exiting`] on.
    pub outcome: Option<Outcome>,
    /// Its process, which leads a session; 0 before it has one.
    pub process: u32,
    /// Whether somebody has sent it a signal.
    pub signalled: bool,
    /// Whether its output could not be delivered.
    pub undelivered: bool,
}

/// Where an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElementState {
    /// Not started.
    Pending,
    /// Its process is there.
    Running,
    /// Its process has ended, its output is being delivered.
    Exiting,
    /// Ended.
    Ended,
}

/// How many elements are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not started.
    pub pending: usize,
    /// Started.
    pub running: usize,
    /// Having their output delivered.
    pub exiting: usize,
    /// Ended with exit code 0.
    pub succeeded: usize,
    /// Ended in another way.
    pub failed: usize,
}

/// What dependencies say about a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// It can be started.
    No,
    /// Not yet.
    Yes,
    /// It will never be started, and stays.
    Never,
}

/// How an element ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What became of its process.
    pub how: How,
    /// Why it was ended from outside.
    pub cause: Option<Cause>,
}

impl Outcome {
    /// Whether it ended with exit code 0.
    pub fn is_success(&self) -> bool {
        self.how == How::Exited(0)
    }
}

/// What became of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It ended with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It could not be started.
    NotStarted,
    /// It was removed before it was to be started.
    NeverRan,
}

/// Why an element was ended from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its time was over.
    Limit,
    /// This user wanted it.
    Deleted(String),
    /// It used more memory than it may.
    Memory,
    /// Its dependencies cannot be satisfied, and the batch system removes such jobs.
    Dependency,
}

impl Job {
    /// Returns the position of the element with this index.
    pub fn position(&self, index: u32) -> Option<usize> {
        self.elements
            .binary_search_by_key(&Some(index), |element| element.index)
            .ok()
    }

    /// Whether every element has ended.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.submission.array.is_some()
    }

    /// Whether it could be started now but for its dependencies and holds.
    pub fn is_due(&self, now: Millis) -> bool {
        self.submission.not_before.is_none_or(|from| from <= now)
    }

    /// Returns the outcome of the element that ended last.
    pub fn last_outcome(&self) -> Option<&Outcome> {
        self.elements[self.last_ended?].outcome.as_ref()
    }

    /// Finds the elements that could be started, after something about the job has changed.
    pub(super) fn find_ready(&mut self, now: Millis) {
        self.ready.clear();
        if self.is_ended()
            || self.waiting != Waiting::No
            || !self.is_due(now)
            || self.submission.never.is_some()
        {
            return;
        }
        self.ready = (0..self.elements.len())
            .filter(|&position| {
                let element = &self.elements[position];
                element.state == ElementState::Pending
                    && element.waiting == Waiting::No
                    && !element.held
            })
            .collect();
    }

    /// Moves an element to `state`, with the counts kept.
    pub(super) fn move_to(&mut self, position: usize, state: ElementState, now: Millis) {
        let element = &mut self.elements[position];
        let succeeded = element.outcome.as_ref().is_some_and(Outcome::is_success);
        *self.counts.of(element.state, succeeded) -= 1;
        *self.counts.of(state, succeeded) += 1;
        element.state = state;
        self.changed = now;
        match state {
            ElementState::Running => {
                element.started = Some(now);
                self.started.get_or_insert(now);
            }
            ElementState::Ended => {
                element.ended = Some(now);
                self.last_ended = Some(position);
                if self.counts.succeeded + self.counts.failed == self.elements.len() {
                    self.ended = Some(now);
                }
            }
            ElementState::Pending | ElementState::Exiting => {}
        }
        if state != ElementState::Pending {
            self.ready.remove(&position);
        }
    }
}

impl Counts {
    fn of(&mut self, state: ElementState, succeeded: bool) -> &mut usize {
        match state {
            ElementState::Pending => &mut self.pending,
            ElementState::Running => &mut self.running,
            ElementState::Exiting => &mut self.exiting,
            ElementState::Ended if succeeded => &mut self.succeeded,
            ElementState::Ended => &mut self.failed,
        }
    }
}
