//! The end of a run.

use super::{Action, Planner};
use crate::engine::{ElementState, RunState, TaskState, Width};
use crate::id::Tag;
use crate::journal::{Record, SubmissionKind};
use crate::scheduler::FailedParent;

impl Planner<'_> {
    /// Ends the run when everything in it has ended; says whether it did.
    pub(super) fn finish(&mut self) -> bool {
        if !self.state.tasks.iter().all(TaskState::is_ended) {
            return false;
        }
        let is_failed = self.state.tasks.iter().any(TaskState::is_broken);
        let state = if is_failed {
            RunState::Failed
        } else {
            RunState::Succeeded
        };
        let others = self.others();
        self.end(state, others);
        true
    }

    /// Returns what is in the batch system, ourselves and our guard apart: guards first, since the end of
    /// a dispatch by cancellation is what they wait for.
    fn others(&self) -> Vec<Tag> {
        let (mut guards, mut others) = (Vec::new(), Vec::new());
        for (_, submission) in self.state.live() {
            let tag = submission.record.tag.clone();
            match &submission.record.kind {
                _ if Some(&tag) == self.snapshot.own => {}
                SubmissionKind::Guard { of } if Some(of) == self.snapshot.own => {}
                SubmissionKind::Guard { .. } => guards.push(tag),
                _ => others.push(tag),
            }
        }
        guards.append(&mut others);
        guards
    }

    fn end(&mut self, state: RunState, others: Vec<Tag>) {
        if !others.is_empty() {
            self.actions.push(Action::Cancel(others));
        }
        self.record(Record::Finished { state });
        // Until now it might have been needed; from now on it would wait for our failure for ever.
        let guards = self.state.submissions.iter().filter(|it| {
            matches!(&it.record.kind, SubmissionKind::Guard { of } if Some(of) == self.snapshot.own)
        });
        let guards: Vec<Tag> = guards.map(|it| it.record.tag.clone()).collect();
        if !guards.is_empty() && self.capabilities.failed_parent != FailedParent::Cancelled {
            self.actions.push(Action::Cancel(guards));
        }
    }

    /// Ends the run as cancelled.
    pub(super) fn cancel(&mut self) {
        let others = self.others();
        let message = "the run was cancelled".to_owned();
        for task in self.snapshot.graph.order() {
            if self.state.task(*task).width == Width::Unknown {
                self.record(Record::Unexpanded {
                    task: *task,
                    state: ElementState::Cancelled,
                    message: message.clone(),
                });
                continue;
            }
            let elements = self.unended(*task, |_| true);
            if !elements.is_empty() {
                self.record(Record::Ended {
                    task: *task,
                    elements,
                    state: ElementState::Cancelled,
                    reason: None,
                    message: message.clone(),
                });
            }
        }
        self.end(RunState::Cancelled, others);
    }
}
