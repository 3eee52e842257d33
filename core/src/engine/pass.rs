//! One pass of dispatch, by the holder of the lease.

mod intents;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use fs_err as fs;
use tokio::time::Instant;

use super::dispatch::{asker, wakes};
use super::ingest::{self, Spooled};
use super::observe::{self, Suspects};
use super::plan::{Action, NothingRemembered, Snapshot, plan};
use super::request::{FileBuilder, job_request};
use super::{Dispatched, EngineError, Phase, Services, State};
use crate::id::Tag;
use crate::journal::{
    HEARTBEAT, Lease, LeaseError, NotSent, Record, SubmissionKind, SubmissionRecord,
};
use crate::results::ResultFinder;
use crate::rundir::RunDir;
use crate::scheduler::{FailedParent, JobRequest, Scheduler, SchedulerErrorKind, Target};
use crate::workflow::Graph;

/// Refusals for now, in a row, after which a pass gives up.
const MOST_REFUSALS: u32 = 4;
/// Questions about jobs not answered, in a row, after which a pass leaves them to the next.
const MOST_UNANSWERED: u32 = 12;
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// How often a pass that waits looks for requests.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Pass<'a> {
    dir: &'a RunDir,
    graph: &'a Graph,
    scheduler: &'a dyn Scheduler,
    services: &'a Services,
    lease: Lease,
    state: State,
    own: Option<Tag>,
    /// The number of submissions when this pass began.
    begun: u32,
    finder: ResultFinder,
    suspects: Suspects,
    /// When requests of unknown fate were first looked up in vain.
    absent: BTreeMap<u32, Instant>,
    refusals: u32,
    /// Questions about jobs that were not answered, in a row.
    unanswered: u32,
    /// The words of the last refusal.
    refusal: String,
    /// What was refused for good.
    refused: Option<(String, String)>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        dir: &'a RunDir,
        graph: &'a Graph,
        scheduler: &'a dyn Scheduler,
        services: &'a Services,
        lease: Lease,
        state: State,
        own: Option<Tag>,
    ) -> Self {
        Self {
            begun: state.submissions.len() as u32,
            dir,
            graph,
            scheduler,
            services,
            lease,
            state,
            own,
            finder: ResultFinder::new(dir.clone()),
            suspects: Suspects::default(),
            absent: BTreeMap::new(),
            refusals: 0,
            unanswered: 0,
            refusal: String::new(),
            refused: None,
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a record is made where it is recorded"
    )]
    fn record(&mut self, record: Record) -> Result<(), EngineError> {
        self.lease.append(record.clone())?;
        self.state.apply(&record);
        Ok(())
    }

    /// Shows that we are there while something takes long.
    async fn beating<F: Future>(&self, work: F) -> Result<F::Output, EngineError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return Ok(output),
                () = tokio::time::sleep(HEARTBEAT) => self.lease.beat()?,
            }
        }
    }

    pub(super) async fn run(&mut self) -> Result<Dispatched, EngineError> {
        if self.state.finished.is_none() {
            self.settle_drivers()?;
            if self.state.paused.is_some() {
                self.record(Record::Resumed)?;
            }
            self.work().await?;
        }
        if self.state.finished.is_some() {
            self.answer_wakes()?;
        }
        self.services.probe.reach("engine/release").await;
        // What was written after somebody took over does not count; it must not look like a result.
        self.lease.check()?;
        self.record(Record::Released)?;
        self.lease.sync()?;
        Ok(Dispatched::Done {
            finished: self.state.finished,
            paused: self.state.paused.clone(),
            refused: self.refused.take(),
        })
    }

    /// Closes our own job, which will not plan again, and guards that have nothing left to guard.
    fn settle_drivers(&mut self) -> Result<(), EngineError> {
        let mut over = Vec::new();
        for (position, submission) in self.state.live() {
            let tag = &submission.record.tag;
            let is_over = match &submission.record.kind {
                _ if Some(tag) == self.own.as_ref() => true,
                SubmissionKind::Guard { of } => self
                    .state
                    .position(of)
                    .is_none_or(|of| self.state.submission(of).phase == Phase::Over),
                _ => false,
            };
            if is_over {
                over.push(self.state.submission(position).record.tag.clone());
            }
        }
        over.into_iter()
            .try_for_each(|tag| self.record(Record::Closed { tag }))
    }

    /// Takes the requests to plan again. A dispatch job that asked is told by the removal of its request
    /// that it may end: it is recorded first that it will not plan.
    fn answer_wakes(&mut self) -> Result<(), EngineError> {
        for wake in wakes(self.dir)? {
            if self.state.finished.is_none()
                && let Some(tag) = asker(&wake)?
                && self
                    .state
                    .position(&tag)
                    .is_some_and(|position| self.state.submission(position).phase != Phase::Over)
            {
                self.lease.check()?;
                self.record(Record::Closed { tag })?;
            }
            remove(&wake)?;
        }
        Ok(())
    }

    async fn work(&mut self) -> Result<(), EngineError> {
        let mut patience = LOOK;
        loop {
            // Done by what follows: the results that the requests are about are there already.
            self.answer_wakes()?;
            if !self.state.is_cancelled && self.dir.is_cancelled()? {
                self.record(Record::CancelRequested)?;
            }
            self.services.probe.reach("engine/ingest").await;
            let spooled = self.ingest()?;
            let intents_wait = self.resolve_intents().await?;
            let is_changed = self.plan_and_act(Drivers::Later).await?;
            self.cancel_abandoned().await?;
            if self.state.finished.is_some() {
                return Ok(());
            }
            if is_changed || self.is_called()? {
                patience = LOOK;
                continue;
            }
            let watch_wait = self.observe(&spooled).await?;
            let wait = match (intents_wait, watch_wait) {
                (_, Wait::Changed) => continue,
                (Some(a), Wait::For(b)) => a.min(b),
                (Some(a), Wait::Nothing) => a,
                (None, Wait::For(b)) => b,
                (None, Wait::Nothing) => {
                    // Only now: a dispatch that waits for jobs which are gone would start at once, and
                    // find no more than we do.
                    let is_changed = self.plan_and_act(Drivers::Now).await?;
                    let is_unsure = self.state.live().any(|(_, it)| it.phase == Phase::Intended);
                    if self.is_called()?
                        || (is_changed && (is_unsure || self.state.paused.is_some()))
                    {
                        continue;
                    }
                    return Ok(());
                }
            };
            // What is awaited is mostly a matter of moments: a result that was written since it was
            // looked for, a job on its way into the history.
            self.pause(wait.min(patience)).await?;
            patience = (patience * 2).min(observe::ASK_AGAIN);
        }
    }

    /// Returns whether somebody wants something of us.
    fn is_called(&self) -> Result<bool, EngineError> {
        Ok(self.is_cancel_new()? || !wakes(self.dir)?.is_empty())
    }

    /// Waits, but no longer than until somebody asks for something.
    async fn pause(&self, wait: Duration) -> Result<(), EngineError> {
        let started = Instant::now();
        loop {
            self.lease.check()?;
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() || self.is_called()? {
                return Ok(());
            }
            self.beating(tokio::time::sleep(left.min(LOOK))).await?;
        }
    }

    fn is_cancel_new(&self) -> Result<bool, EngineError> {
        Ok(!self.state.is_cancelled && self.dir.is_cancelled()?)
    }

    fn ingest(&mut self) -> Result<Spooled, EngineError> {
        let (ingests, spooled) = ingest::collect(self.dir, self.graph, &self.state)?;
        let positions: Vec<u32> = ingests.iter().map(|ingest| ingest.position).collect();
        for ingest in ingests {
            self.record(ingest.record)?;
        }
        if !positions.is_empty() {
            // The record first: a spool is removed only when its pack is known to everybody.
            self.lease.sync()?;
            self.lease.check()?;
            for position in positions {
                ingest::close_spool(self.dir, &self.state, position)?;
            }
        }
        Ok(spooled)
    }

    // --- planning ---

    /// Plans and carries the plan out; says whether anything was done.
    async fn plan_and_act(&mut self, drivers: Drivers) -> Result<bool, EngineError> {
        let snapshot = Snapshot {
            run: &self.dir.record().run_id,
            graph: self.graph,
            state: &self.state,
            dispatch: self.dir.record().dispatch,
            own: self.own.as_ref(),
        };
        let actions = plan(snapshot, self.scheduler.capabilities(), &NothingRemembered);
        let mut is_changed = false;
        for action in actions {
            match action {
                Action::Record(record) => {
                    if matches!(record, Record::Finished { .. }) {
                        self.services.probe.reach("engine/finish").await;
                        self.lease.check()?;
                    }
                    self.record(record)?;
                    is_changed = true;
                }
                Action::Send(submission)
                    if drivers == Drivers::Later && !self.is_due(&submission) => {}
                Action::Send(submission) => {
                    if self.is_cancel_new()? {
                        return Ok(true);
                    }
                    is_changed |= self.send(submission).await?;
                    if self.refusals >= MOST_REFUSALS {
                        let message = self.refusal.clone();
                        self.record(Record::Paused { message })?;
                        return Ok(true);
                    }
                }
                Action::Cancel(tags) => self.cancel(&tags).await?,
            }
        }
        Ok(is_changed)
    }

    /// Returns whether a request is sent before it is known what has died: elements, and the guard of the
    /// guard that is planning.
    fn is_due(&self, submission: &SubmissionRecord) -> bool {
        match &submission.kind {
            SubmissionKind::Elements { .. } => true,
            SubmissionKind::Dispatch => false,
            SubmissionKind::Guard { of } => self.own.as_ref() == Some(of),
        }
    }

    /// Announces and sends one request; says whether anything was done.
    async fn send(&mut self, submission: SubmissionRecord) -> Result<bool, EngineError> {
        let Some(request) = job_request(self.dir, self.graph, &self.state, &submission) else {
            return Ok(false);
        };
        self.services.probe.reach("engine/write-submission").await;
        crate::fault::reach("engine/log-folder");
        fs::create_dir_all(self.dir.logs(&submission.tag))?;
        let mut name = "dispatch".to_owned();
        if let SubmissionKind::Elements {
            task,
            attempt,
            elements,
            batch,
        } = &submission.kind
        {
            let mut files = FileBuilder {
                dir: self.dir,
                graph: self.graph,
                state: &self.state,
                finder: &mut self.finder,
            };
            files.write(&submission.tag, *task, *attempt, elements, *batch)?;
            self.graph
                .declared(*task)
                .name
                .as_str()
                .clone_into(&mut name);
        }
        self.services.probe.reach("engine/intent").await;
        let tag = submission.tag.clone();
        self.record(Record::Intent(submission))?;
        self.lease.sync()?;
        self.services.probe.reach("engine/submit").await;
        // Between announcing and sending: see `journal`.
        self.lease.check()?;
        let answer = self.beating(self.scheduler.submit(&request)).await?;
        self.services.probe.reach("engine/submitted").await;
        match answer {
            Ok(job) => {
                self.refusals = 0;
                self.record(Record::Submitted { tag, job })?;
            }
            Err(failure) if failure.may_exist => {
                tracing::warn!(%tag, error = %failure, "it is not known whether the job exists");
            }
            Err(failure) => {
                let message = failure.to_string();
                let is_final = matches!(
                    failure.error.kind(),
                    SchedulerErrorKind::Rejected
                        | SchedulerErrorKind::InvalidRequest
                        | SchedulerErrorKind::Unsupported
                        | SchedulerErrorKind::Permission
                );
                self.refusal.clone_from(&message);
                if is_final {
                    self.refused = Some((name, message.clone()));
                }
                let why = if is_final {
                    NotSent::Rejected { message }
                } else {
                    NotSent::Temporary { message }
                };
                self.record(Record::NotSent { tag, why })?;
                if is_final && request_is_driver(&request) {
                    self.refusals = MOST_REFUSALS;
                } else if !is_final {
                    self.refusals += 1;
                    if self.refusals < MOST_REFUSALS {
                        self.beating(tokio::time::sleep(FIRST_DELAY * (1 << self.refusals)))
                            .await?;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Cancels jobs whose elements have ended without them: they would pend for ever, and whatever
    /// waits for them with them.
    async fn cancel_abandoned(&mut self) -> Result<(), EngineError> {
        let does_it_itself = self.scheduler.capabilities().failed_parent == FailedParent::Cancelled;
        let abandoned = std::mem::take(&mut self.state.abandoned);
        let tags: Vec<Tag> = abandoned
            .into_iter()
            .map(|position| self.state.submission(position))
            .filter(|submission| !does_it_itself || submission.record.after.is_empty())
            .map(|submission| submission.record.tag.clone())
            .collect();
        if tags.is_empty() {
            Ok(())
        } else {
            self.cancel(&tags).await
        }
    }

    async fn cancel(&mut self, tags: &[Tag]) -> Result<(), EngineError> {
        let job = |tag: &Tag| self.state.submission(self.state.position(tag)?).job.clone();
        let targets: Vec<Target> = tags.iter().filter_map(job).map(Target::whole).collect();
        if targets.is_empty() {
            return Ok(());
        }
        self.services.probe.reach("engine/cancel").await;
        self.lease.check()?;
        if let Err(error) = self.beating(self.scheduler.cancel(&targets)).await? {
            tracing::warn!(%error, "jobs that have nothing to do any more could not be cancelled");
        }
        Ok(())
    }
}

/// When dispatch jobs are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drivers {
    /// Not in this turn.
    Later,
    /// Now.
    Now,
}

/// What there is to wait for.
enum Wait {
    Nothing,
    Changed,
    For(Duration),
}

fn request_is_driver(request: &JobRequest) -> bool {
    request.requeue
}

/// Removes a file that another process may have removed just before.
fn remove(path: &std::path::Path) -> Result<(), LeaseError> {
    crate::fault::reach("wake/answer");
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
