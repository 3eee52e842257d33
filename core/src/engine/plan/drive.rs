//! Seeing to it that somebody plans again.

use std::collections::BTreeSet;

use super::send::DRIVERS;
use super::{MOST_AWAITED, Planner};
use crate::engine::{Phase, Submission, TaskState, Width};
use crate::id::Tag;
use crate::journal::{Edge, SubmissionKind};
use crate::rundir::DispatchMode;
use crate::scheduler::DependencyKind;
use crate::workflow::{Delivery, Items, TaskIndex};

impl Planner<'_> {
    fn is_driver_live(&self) -> bool {
        self.state.live().any(|(position, submission)| {
            matches!(submission.record.kind, SubmissionKind::Dispatch) && self.is_usable(position)
        })
    }

    /// Returns whether dispatch jobs can be sent.
    pub(super) fn is_driven(&self) -> bool {
        self.snapshot.dispatch != DispatchMode::Login && self.state.paused.is_none()
    }

    /// Sees to it that somebody plans again: when a width becomes known, or else when everything that
    /// was sent has ended.
    pub(super) fn drive(&mut self) {
        if !self.is_driven() {
            return;
        }
        let graph = self.snapshot.graph;
        for task in graph
            .order()
            .iter()
            .filter(|task| self.state.task(**task).width == Width::Unknown)
            .copied()
            .collect::<Vec<_>>()
        {
            let awaited = self.width_sources(task);
            if !awaited.is_empty() && !self.is_awaited(&awaited) {
                if self.snapshot.room.jobs.is_some() && self.live_drivers() + 2 > DRIVERS {
                    // The dispatch that waits for the oldest plans for all of them.
                    self.is_held = true;
                    continue;
                }
                self.dispatch_after(&awaited);
            }
        }
        if self.is_held {
            // Room comes when something of what is queued has ended: most likely the oldest first.
            let oldest: BTreeSet<u32> = self
                .state
                .live()
                .filter(|(position, it)| !it.record.is_driver() && self.is_usable(*position))
                .map(|(position, _)| position)
                .take(1)
                .collect();
            if !oldest.is_empty() && !self.is_awaited(&oldest) {
                self.dispatch_after(&oldest);
            }
        }
        if !self.is_driver_live() {
            let sinks = self.sinks();
            if !sinks.is_empty() {
                self.dispatch_after(&sinks);
            }
        }
        self.watch();
    }

    /// Sees to it that somebody looks from time to time where a job may stay in the queue for ever, and
    /// with it all that would plan after it.
    fn watch(&mut self) {
        if !self.capabilities.may_stall || !self.capabilities.not_before || self.is_held {
            return;
        }
        let is_watch = |it: &Submission| matches!(it.record.kind, SubmissionKind::Watch { .. });
        if self.is_driver_live() && !self.state.live().any(|(_, it)| is_watch(it)) {
            let round = self
                .state
                .submissions
                .iter()
                .filter(|it| is_watch(it))
                .count();
            let round = u32::try_from(round).unwrap_or(u32::MAX);
            self.submit(SubmissionKind::Watch { round }, Vec::new(), None);
        }
    }

    /// Returns how many jobs that plan are in the queue.
    fn live_drivers(&self) -> u32 {
        let drivers = self.state.live().filter(|(_, it)| it.record.is_driver());
        u32::try_from(drivers.count()).unwrap_or(u32::MAX)
    }

    /// Returns the submissions that must end before the width of `task` can be known.
    fn width_sources(&self, task: TaskIndex) -> BTreeSet<u32> {
        let mut awaited = BTreeSet::new();
        for input in self
            .snapshot
            .graph
            .task(task)
            .inputs
            .iter()
            .filter(|input| input.delivery == Delivery::Spread)
        {
            for source in &input.sources {
                if matches!(source.items, Items::List | Items::Flatten) {
                    awaited.extend(
                        self.state
                            .task(source.task)
                            .live
                            .iter()
                            .filter(|position| self.is_usable(**position)),
                    );
                }
            }
        }
        awaited
    }

    /// Returns whether a dispatch is queued that starts no later than `awaited` have ended.
    fn is_awaited(&self, awaited: &BTreeSet<u32>) -> bool {
        self.state.live().any(|(position, submission)| {
            matches!(submission.record.kind, SubmissionKind::Dispatch)
                && self.is_usable(position)
                && submission.record.after.iter().all(|edge| {
                    self.state.position(&edge.tag).is_none_or(|parent| {
                        awaited.contains(&parent)
                            || self.state.submission(parent).phase == Phase::Over
                    })
                })
        })
    }

    /// Returns the live submissions that no other live one comes after.
    fn sinks(&self) -> BTreeSet<u32> {
        let elements = || {
            self.state.live().filter(|(position, submission)| {
                !submission.record.is_driver() && self.is_usable(*position)
            })
        };
        let parents: BTreeSet<&Tag> = elements()
            .flat_map(|(_, submission)| submission.record.after.iter().map(|edge| &edge.tag))
            .collect();
        elements()
            .filter(|(_, submission)| !parents.contains(&submission.record.tag))
            .map(|(position, _)| position)
            .collect()
    }

    fn dispatch_after(&mut self, awaited: &BTreeSet<u32>) {
        let after = awaited
            .iter()
            .rev()
            .take(MOST_AWAITED)
            .map(|position| Edge {
                tag: self.state.submission(*position).record.tag.clone(),
                kind: DependencyKind::Any,
            })
            .collect();
        let dispatch = self.submit(SubmissionKind::Dispatch, after, None);
        self.guard(dispatch);
    }

    pub(super) fn guard(&mut self, of: Tag) {
        if self.capabilities.after_not_ok {
            let after = vec![Edge {
                tag: of.clone(),
                kind: DependencyKind::NotOk,
            }];
            self.submit(SubmissionKind::Guard { of }, after, None);
        }
    }

    /// Guards the guard that is planning, before it sends anything else: nobody would go on if it were
    /// killed then.
    pub(super) fn guard_own(&mut self) {
        let Some(own) = self.snapshot.own else { return };
        if !self.is_driven() || self.state.tasks.iter().all(TaskState::is_ended) {
            return;
        }
        let is_guard = self.state.position(own).is_some_and(|position| {
            matches!(
                self.state.submission(position).record.kind,
                SubmissionKind::Guard { .. }
            )
        });
        let is_guarded = self.state.submissions.iter().any(|submission| {
            matches!(&submission.record.kind, SubmissionKind::Guard { of } if of == own)
        });
        if is_guard && !is_guarded {
            self.guard(own.clone());
        }
    }
}
