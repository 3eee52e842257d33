//! What people want of the run.

use std::collections::BTreeMap;

use super::Pass;
use crate::elements::ElementSet;
use crate::engine::plan::{self, Snapshot};
use crate::engine::{ElementState, EngineError, Width, observe};
use crate::journal::{Record, Reopen, SubmissionKind};
use crate::results::Spool;
use crate::rundir::{Owner, Request, Selection};
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
                Some(Request::Cancel { what }) if what.is_empty() => self.cancel_run()?,
                Some(Request::Cancel { what }) => self.cancel_parts(&what).await?,
                Some(Request::Retry { what, .. }) => self.reopen(&what)?,
                None => {}
            }
            self.record(Record::Answered { number })?;
            self.lease.sync()?;
        }
        Ok(())
    }

    fn cancel_run(&mut self) -> Result<(), EngineError> {
        // What has ended stays as it is.
        if self.state.finished.is_some() {
            return Ok(());
        }
        self.record(Record::CancelRequested)
    }

    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            run: &self.dir.record().run_id,
            graph: self.graph,
            state: &self.state,
            dispatch: self.dir.record().dispatch,
            own: None,
            room: self.room,
        }
    }

    fn reopen(&mut self, what: &[Selection]) -> Result<(), EngineError> {
        let selected = plan::select(self.snapshot(), self.scheduler.capabilities(), what);
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
        let carried = self.state.carried(what);
        self.withdraw(&self.state.tagged(carried)).await?;
        for (position, elements) in self.state.carried(what) {
            self.seal(position, &elements)?;
        }
        // A result that was there before is one.
        self.ingest()?;
        let mut ends: Vec<(TaskIndex, ElementSet)> = Vec::new();
        let mut never = Vec::new();
        let known = |it: &&Selection| it.task.get() < self.state.tasks.len();
        for selection in what.iter().filter(known) {
            let task = self.state.task(selection.task);
            if task.width == Width::Unknown && selection.elements.is_none() {
                never.push(selection.task);
            }
            let elements = (0..)
                .zip(&task.elements)
                .filter(|(element, it)| {
                    !it.state.is_ended() && selection.contains(selection.task, *element)
                })
                .map(|(element, _)| element)
                .collect();
            ends.push((selection.task, elements));
        }
        // What would be tried again is not over.
        let again = plan::to_reopen(self.snapshot(), self.scheduler.capabilities());
        for (task, why, elements) in again {
            let elements: ElementSet = elements
                .iter()
                .filter(|element| what.iter().any(|it| it.contains(task, *element)))
                .collect();
            if !elements.is_empty() {
                self.record(Record::Reopened {
                    task,
                    elements: elements.clone(),
                    why,
                })?;
                ends.push((task, elements));
            }
        }
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

    /// Sees to it that no result of elements is found that is written from now on: what is downstream of
    /// them has nothing to begin with. Array indices that others share stay as they are.
    fn seal(&mut self, position: u32, elements: &ElementSet) -> Result<(), EngineError> {
        let submission = self.state.submission(position);
        let tag = submission.record.tag.clone();
        let SubmissionKind::Elements {
            elements: all,
            batch,
            ..
        } = &submission.record.kind
        else {
            return Ok(());
        };
        let batch = (*batch).max(1);
        let is_whole = *elements == *all;
        self.lease.check()?;
        if is_whole {
            match Owner::claim(&self.dir.owner(&tag), &Owner::Void)? {
                None | Some(Owner::Void) => return Ok(()),
                Some(Owner::Job(_) | Owner::Unreadable) => {}
            }
        }
        let mut indices: BTreeMap<u32, bool> = BTreeMap::new();
        for (rank, element) in (0u32..).zip(all.iter()) {
            *indices.entry(rank / batch).or_insert(true) &= elements.contains(element);
        }
        // An index that nobody has claimed needs no seal: its worker will see the request.
        let spool = Spool::new(self.dir.spool(&tag));
        for file in spool.files()? {
            if let Some(index) = Spool::index_of(&file)
                && indices.get(&index) == Some(&true)
            {
                spool.set_aside(index, &observe::nobody())?;
            }
        }
        Ok(())
    }
}
