//! Tries at elements beyond the first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Element, Phase, State, Verdict, Width};
use crate::elements::ElementSet;
use crate::engine::ElementState;
use crate::journal::{HandBack, Raised, Reopen};
use crate::scheduler::EndReason;
use crate::workflow::TaskIndex;

/// How often an element that was skipped may wait again since what it needs does: one whose worker skips
/// it each time, although all is there, ends as skipped.
pub(in crate::engine) const MOST_REVIVALS: u16 = 50;

/// What is kept of an element that was tried more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Tries that the task made by itself since somebody last asked for one.
    pub automatic: u16,
    /// How often it waited again since what it needs did.
    pub revived: u16,
    /// How often what it may use was raised.
    pub raised: Raised,
    /// Tries that have ended, the oldest first.
    pub past: Vec<PastAttempt>,
}

/// A try that has ended and was followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Which it was, from 1.
    pub attempt: u16,
    /// The submission that carried it.
    pub submission: u32,
    /// How it ended.
    pub state: ElementState,
    /// Why, in the batch system's terms, where that is known.
    pub reason: Option<EndReason>,
    /// Why in words, where no worker said so.
    pub message: Option<String>,
}

impl State {
    /// Returns why an element ended, in the batch system's terms, where that is known.
    pub fn reason(&self, task: TaskIndex, element: u32) -> Option<EndReason> {
        let verdict = self.verdicts.get(&(task, element));
        verdict
            .and_then(|verdict| verdict.reason)
            .or_else(|| self.causes.get(&(task, element)).copied())
    }

    pub(super) fn reopen(&mut self, task: TaskIndex, elements: &ElementSet, why: Reopen) {
        if why == Reopen::Request {
            self.is_cancelled = false;
        }
        self.finished = None;
        if matches!(self.tasks[task.get()].width, Width::Never { .. }) {
            let entry = &mut self.tasks[task.get()];
            entry.width = Width::Unknown;
            entry.elements.clear();
            entry.counts = super::Counts::default();
            return;
        }
        for element in elements.iter() {
            self.reopen_one(task, element, why);
        }
        self.tasks[task.get()].is_reissued = true;
    }

    fn reopen_one(&mut self, task: TaskIndex, element: u32, why: Reopen) {
        let reason = self.reason(task, element);
        let state = &mut self.tasks[task.get()];
        let Some(entry) = state.elements.get_mut(element as usize) else {
            return;
        };
        if !entry.state.is_ended() || entry.state.has_value() {
            return;
        }
        let Element {
            submission,
            attempt,
            state: ended,
        } = *entry;
        state.counts.move_one(ended, ElementState::Waiting);
        entry.state = ElementState::Waiting;
        state.items.remove(&element);
        self.returns.remove(&(task, element));
        self.causes.remove(&(task, element));
        let verdict: Option<Arc<Verdict>> = self.verdicts.remove(&(task, element));
        let attempts = self.attempts.entry((task, element)).or_default();
        match why {
            Reopen::Retries => attempts.automatic += 1,
            Reopen::Request => {
                attempts.automatic = 0;
                attempts.revived = 0;
            }
            Reopen::Upstream => attempts.revived += 1,
        }
        match reason {
            Some(EndReason::Memory) => {
                attempts.raised.mem = attempts.raised.mem.saturating_add(1);
            }
            Some(EndReason::Walltime) => {
                attempts.raised.time = attempts.raised.time.saturating_add(1);
            }
            _ => {}
        }
        let was_tried = attempt > 0 && attempts.past.last().is_none_or(|it| it.attempt < attempt);
        if was_tried && ended == ElementState::Skipped {
            // What it was to read was not there: no body was started, and none can be.
            entry.attempt -= 1;
        } else if was_tried {
            attempts.past.push(PastAttempt {
                attempt,
                submission,
                state: ended,
                reason,
                message: verdict.map(|verdict| verdict.message.clone()),
            });
        }
    }

    pub(super) fn hand_back(&mut self, position: u32, elements: &ElementSet, why: HandBack) {
        let Some(task) = self.submissions[position as usize].record.task() else {
            return;
        };
        self.tasks[task.get()].is_reissued |= !elements.is_empty();
        match why {
            HandBack::Unstarted | HandBack::Left | HandBack::Blocked => {
                for element in elements.iter() {
                    *self.returns.entry((task, element)).or_default() += 1;
                }
            }
            HandBack::Replaced | HandBack::Displaced => {}
        }
        if why == HandBack::Left {
            for element in elements.iter() {
                self.set(task, element, Some(position), ElementState::Waiting);
            }
        } else {
            self.give_back(position, task, elements);
        }
        // The others are taken out of the queue where they are handed back.
        if matches!(why, HandBack::Unstarted | HandBack::Left) {
            self.abandon(Some(position));
        }
    }

    /// Makes elements that never started wait again, in the same try.
    pub(super) fn give_back(&mut self, position: u32, task: TaskIndex, elements: &ElementSet) {
        for element in elements.iter() {
            if self.set(task, element, Some(position), ElementState::Waiting) {
                let entry = &mut self.tasks[task.get()].elements[element as usize];
                entry.attempt = entry.attempt.saturating_sub(1);
            }
        }
    }

    /// Notes a submission that is over although its job may still be queued.
    pub(super) fn abandon(&mut self, position: Option<u32>) {
        let Some(position) = position else { return };
        let is_over = self
            .submissions
            .get(position as usize)
            .is_some_and(|it| it.phase == Phase::Over && it.job.is_some());
        if is_over && self.abandoned.last() != Some(&position) {
            self.abandoned.push(position);
        }
    }
}
