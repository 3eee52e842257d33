//! What people want of the run.

use super::Pass;
use crate::elements::ElementSet;
use crate::engine::plan::{self, Snapshot};
use crate::engine::{ElementState, EngineError, Width};
use crate::id::Tag;
use crate::journal::{Record, Reopen};
use crate::rundir::{Request, Selection};
use crate::scheduler::Target;
use crate::workflow::TaskIndex;

impl Pass<'_> {
    /// Returns whether there is a request that was not carried out and can be.
    pub(super) fn has_requests(&self) -> Result<bool, EngineError> {
        let requests = self.dir.requests_since(self.state.requests)?;
        Ok(requests
            .first()
            .is_some_and(|(_, request)| !self.is_for_others(request.as_ref())))
    }

    /// Returns whether a request is about a later version of the workflow than we know.
    fn is_for_others(&self, request: Option<&Request>) -> bool {
        matches!(request, Some(Request::Retry { updates, .. }) if *updates > self.dir.updates())
    }

    /// Carries requests out, in their order. The cancellation of the run is the last: what comes after it
    /// is about what it has left.
    pub(super) async fn answer_requests(&mut self) -> Result<(), EngineError> {
        for (number, request) in self.dir.requests_since(self.state.requests)? {
            if self.state.is_cancelled && self.state.finished.is_none()
                || self.is_for_others(request.as_ref())
            {
                break;
            }
            self.services.probe.reach("engine/request").await;
            self.lease.check()?;
            match request {
                Some(Request::Cancel { what }) if what.is_empty() => {
                    if self.state.finished.is_none() {
                        self.record(Record::CancelRequested)?;
                    }
                }
                Some(Request::Cancel { what }) => self.cancel_parts(&what).await?,
                Some(Request::Retry { what, .. }) => self.reopen(&what)?,
                None => {}
            }
            self.record(Record::Answered { number })?;
            self.lease.sync()?;
        }
        Ok(())
    }

    fn reopen(&mut self, what: &[Selection]) -> Result<(), EngineError> {
        let snapshot = Snapshot {
            run: &self.dir.record().run_id,
            graph: self.graph,
            state: &self.state,
            dispatch: self.dir.record().dispatch,
            own: None,
            room: self.room,
        };
        let selected = plan::select(snapshot, self.scheduler.capabilities(), what);
        for (task, elements) in selected {
            self.record(Record::Reopened {
                task,
                elements,
                why: Reopen::Request,
            })?;
        }
        Ok(())
    }

    /// Cancels elements: first in the batch system, so that it is asked again should we die in between.
    async fn cancel_parts(&mut self, what: &[Selection]) -> Result<(), EngineError> {
        let known = |it: &&Selection| it.task.get() < self.state.tasks.len();
        let mut ends: Vec<(TaskIndex, ElementSet)> = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        let mut never = Vec::new();
        for selection in what.iter().filter(known) {
            let task = self.state.task(selection.task);
            if task.width == Width::Unknown && selection.elements.is_none() {
                never.push(selection.task);
                continue;
            }
            let elements: ElementSet = (0..)
                .zip(&task.elements)
                .filter(|(element, it)| {
                    !it.state.is_ended() && selection.contains(selection.task, *element)
                })
                .map(|(element, _)| element)
                .collect();
            for position in &task.live {
                let carried: ElementSet = elements
                    .iter()
                    .filter(|element| {
                        let entry = task.elements[*element as usize];
                        entry.submission == *position && entry.state == ElementState::Queued
                    })
                    .collect();
                if !carried.is_empty() {
                    let tag: Tag = self.state.submission(*position).record.tag.clone();
                    targets.extend(self.targets(&tag, &carried));
                }
            }
            ends.push((selection.task, elements));
        }
        self.cancel_targets(&targets).await?;
        let message = "it was cancelled";
        for task in never {
            self.record(Record::Unexpanded {
                task,
                state: ElementState::Cancelled,
                message: message.to_owned(),
            })?;
        }
        for (task, elements) in ends {
            if !elements.is_empty() {
                self.record(Record::Ended {
                    task,
                    elements,
                    state: ElementState::Cancelled,
                    reason: None,
                    message: message.to_owned(),
                })?;
            }
        }
        Ok(())
    }
}
