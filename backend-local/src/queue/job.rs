use std::collections::VecDeque;

use reflow_core::scheduler::{DependencyKind, EndReason, JobRequest};

use crate::element::{Element, Phase};

/// What one element holds while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Needs {
    pub(crate) cpus: u32,
    /// Bytes.
    pub(crate) memory: u64,
}

impl Needs {
    /// Returns whether this fits into `free`.
    pub(crate) fn fits(self, free: Self) -> bool {
        self.cpus <= free.cpus && self.memory <= free.memory
    }
}

/// A job, which is an array of one element where the request has none.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: JobRequest,
    pub(crate) needs: Needs,
    /// Number and kind of each dependency; no number where the parent is no job of this supervisor.
    pub(crate) parents: Vec<(Option<u64>, DependencyKind)>,
    pub(crate) elements: Vec<Element>,
    /// Why running elements are being ended, and remarks about ended ones.
    pub(crate) notes: Vec<(u32, String)>,
    /// Parents that must still end before any element may start.
    pub(super) unmet: u32,
    /// For element-wise dependencies, the same per element; empty without any.
    pub(super) element_unmet: Vec<u32>,
    /// The next element to look at, where elements become ready in order.
    pub(super) cursor: u32,
    /// Elements that became ready one by one; used with element-wise dependencies.
    pub(super) ready: VecDeque<u32>,
    /// Whether `not_before` has passed.
    pub(super) time_passed: bool,
    pub(super) pending: u32,
    pub(super) running: u32,
    pub(super) not_ok: u32,
    /// Running elements that are being ended: index and reason. As short as the machine is small.
    pub(super) killed: Vec<(u32, EndReason)>,
    pub(super) children: Vec<(u64, DependencyKind)>,
    /// Its place in the order of those that can start.
    pub(super) place: Option<u32>,
}

impl Job {
    /// Returns a job with the given elements.
    pub(crate) fn new(
        request: JobRequest,
        needs: Needs,
        parents: Vec<(Option<u64>, DependencyKind)>,
        elements: Vec<Element>,
    ) -> Self {
        let pending = elements
            .iter()
            .filter(|element| element.phase == Phase::Pending)
            .count() as u32;
        let running = elements
            .iter()
            .filter(|element| element.phase == Phase::Running)
            .count() as u32;
        let not_ok = elements
            .iter()
            .filter(|element| element.phase == Phase::Ended && !element.is_ok())
            .count() as u32;
        Self {
            request,
            needs,
            parents,
            elements,
            notes: Vec::new(),
            unmet: 0,
            element_unmet: Vec::new(),
            cursor: 0,
            ready: VecDeque::new(),
            time_passed: false,
            pending,
            running,
            not_ok,
            killed: Vec::new(),
            children: Vec::new(),
            place: None,
        }
    }

    /// Returns the number of elements.
    pub(crate) fn count(&self) -> u32 {
        self.elements.len() as u32
    }

    /// Returns whether all elements have ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.pending == 0 && self.running == 0
    }

    /// Returns whether elements wait to be started.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Returns the numbers of pending and running elements.
    pub(crate) fn open(&self) -> (u32, u32) {
        (self.pending, self.running)
    }

    /// Returns why pending elements wait.
    pub(crate) fn pending_reason(&self) -> &'static str {
        if self.unmet > 0 || (!self.element_unmet.is_empty() && self.ready.is_empty()) {
            "dependency"
        } else if !self.time_passed {
            "not before a later time"
        } else if self.at_limit() {
            "limit of running elements"
        } else {
            "resources"
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.not_ok == 0
    }

    fn at_limit(&self) -> bool {
        let at_most = self.request.array.and_then(|array| array.at_most);
        at_most.is_some_and(|limit| self.running >= limit)
    }

    fn is_pending(&self, index: u32) -> bool {
        self.elements[index as usize].phase == Phase::Pending
    }

    /// Returns the next element that may start, if the job may start any.
    pub(super) fn next_ready(&mut self) -> Option<u32> {
        if self.unmet > 0 || !self.time_passed || self.at_limit() || self.pending == 0 {
            return None;
        }
        if self.element_unmet.is_empty() {
            while self.cursor < self.count() && !self.is_pending(self.cursor) {
                self.cursor += 1;
            }
            (self.cursor < self.count()).then_some(self.cursor)
        } else {
            while self
                .ready
                .front()
                .is_some_and(|&index| !self.is_pending(index))
            {
                self.ready.pop_front();
            }
            self.ready.front().copied()
        }
    }
}
