//! The cluster as it is: its options, and the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::job::{Counts, Element, ElementState, Job, Waiting};
use super::options::{Dialect, FakeOptions};
use super::submission::Submission;
use super::text::Millis;

/// The cluster as it is. [`Rules`](super::Rules) look at it, the [`Engine`](super::Engine) changes it.
#[derive(Debug)]
pub struct Cluster {
    /// Which batch system it is.
    pub dialect: Dialect,
    /// What it is like.
    pub options: FakeOptions,
    /// The jobs by number, the forgotten ones among them: what waits for them needs their end.
    pub jobs: BTreeMap<u64, Job>,
    /// The fake's own directory.
    pub(super) directory: PathBuf,
    /// The number of the next job.
    pub(super) next: u64,
    /// The jobs that have not ended.
    pub(super) active: BTreeSet<u64>,
    /// The elements that have been started and have not ended.
    pub(super) running: BTreeSet<(u64, usize)>,
    /// The slots that they occupy.
    pub(super) used: u32,
}

impl Cluster {
    /// Returns an empty one.
    pub(super) fn new(dialect: Dialect, options: FakeOptions, directory: PathBuf) -> Self {
        Self {
            dialect,
            options,
            jobs: BTreeMap::new(),
            directory,
            next: 0,
            active: BTreeSet::new(),
            running: BTreeSet::new(),
            used: 0,
        }
    }

    /// Returns a job that clients can be told about.
    pub fn known(&self, number: u64) -> Option<&Job> {
        self.jobs.get(&number).filter(|job| !job.forgotten)
    }

    /// Returns how many slots are free.
    pub fn free(&self) -> u32 {
        self.options.slots.saturating_sub(self.used)
    }

    /// Puts a job into the queue.
    pub(super) fn insert(&mut self, number: u64, submission: Submission, now: Millis) {
        let element = |index| Element {
            index,
            state: ElementState::Pending,
            waiting: Waiting::No,
            held: submission.held,
            suspended: false,
            stopping: None,
            started: None,
            ended: None,
            outcome: None,
            process: 0,
            signalled: false,
            undelivered: false,
        };
        let mut elements: Vec<Element> = match &submission.array {
            Some(array) => array
                .indices
                .iter()
                .map(|&index| element(Some(index)))
                .collect(),
            None => vec![element(None)],
        };
        let mut waiting = Waiting::No;
        if let Some(condition) = &submission.condition {
            waiting = Waiting::Yes;
            if condition.is_element_wise() {
                for element in &mut elements {
                    element.waiting = Waiting::Yes;
                }
            }
        }
        let job = Job {
            number,
            submitted: now,
            changed: now,
            waiting,
            counts: Counts {
                pending: elements.len(),
                ..Counts::default()
            },
            elements,
            last_ended: None,
            started: None,
            ended: None,
            forgotten: false,
            ready: BTreeSet::new(),
            submission,
        };
        self.jobs.insert(number, job);
        self.active.insert(number);
    }
}
