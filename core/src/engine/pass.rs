//! One pass of dispatch, by the holder of the lease.

mod intents;
mod publish;
mod requests;
mod send;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use fs_err as fs;
use tokio::time::Instant;

use self::send::Sent;
pub(super) use self::send::targets;
use super::dispatch::{asker, wakes};
use super::ingest::{self, Spooled};
use super::observe::{self, Suspects};
use super::plan::{Action, Room, Snapshot, plan};
use super::remember::Remembering;
use super::{Dispatched, EngineError, Phase, Services, State};
use crate::id::Tag;
use crate::journal::{HEARTBEAT, Lease, LeaseError, Record, SubmissionKind};
use crate::results::ResultFinder;
use crate::rundir::RunDir;
use crate::scheduler::{FailedParent, Scheduler, Target};
use crate::workflow::Graph;

/// Refusals for now, in a row, after which a pass gives up.
const MOST_REFUSALS: u32 = 4;
/// Questions about jobs not answered, in a row, after which a pass leaves them to the next.
const MOST_UNANSWERED: u32 = 12;
/// How long a dispatch job waits for room in the queue before it gives up.
const LONGEST_SHUT_OUT: Duration = Duration::from_mins(10);
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
    remembering: Remembering<'a>,
    finder: ResultFinder,
    suspects: Suspects,
    /// When the batch system is asked about them again.
    ask_next: Option<Instant>,
    /// When requests of unknown fate were first looked up in vain.
    absent: BTreeMap<u32, Instant>,
    refusals: u32,
    /// Questions about jobs that were not answered, in a row.
    unanswered: u32,
    /// The words of the last refusal.
    refusal: String,
    /// What was refused for good.
    refused: Option<(String, String)>,
    /// How much may be queued, as far as this pass has found out.
    room: Room,
    /// How often elements were taken out of the queue to make room for a job that plans, since one was sent.
    displaced: u32,
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
            remembering: Remembering::new(dir, graph, None, true),
            suspects: Suspects::default(),
            ask_next: None,
            absent: BTreeMap::new(),
            refusals: 0,
            unanswered: 0,
            refusal: String::new(),
            refused: None,
            room: Room {
                jobs: dir.record().backend.max_queued,
                at_once: None,
            },
            displaced: 0,
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
        loop {
            if self.state.finished.is_some() {
                self.answer_requests().await?;
            }
            if self.state.finished.is_none() {
                self.settle_drivers().await?;
                if self.state.paused.is_some() {
                    self.record(Record::Resumed)?;
                }
                self.work().await?;
            }
            if self.state.finished.is_none() || !self.has_requests()? {
                break;
            }
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
    async fn settle_drivers(&mut self) -> Result<(), EngineError> {
        let mut over = Vec::new();
        let mut stuck = Vec::new();
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
                let is_own = Some(tag) == self.own.as_ref();
                if !is_own && !self.removes_children() {
                    stuck.push(tag.clone());
                }
                over.push(self.state.submission(position).record.tag.clone());
            }
        }
        self.cancel(&stuck).await?;
        over.into_iter()
            .try_for_each(|tag| self.record(Record::Closed { tag }))
    }

    /// Takes the requests to plan again. A dispatch job that asked is told by the removal of its request
    /// that it may end: it is recorded first that it will not plan.
    fn answer_wakes(&mut self) -> Result<(), EngineError> {
        for wake in wakes(self.dir)? {
            // Something has ended that nobody has looked at.
            self.ask_next = None;
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
        let mut shut_out_since = Instant::now();
        loop {
            // Done by what follows: the results that the requests are about are there already.
            self.answer_wakes()?;
            self.services.probe.reach("engine/ingest").await;
            let spooled = self.ingest()?;
            // After the results: what has one is not cancelled.
            self.answer_requests().await?;
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
                    if self.is_shut_out() && self.state.finished.is_none() {
                        if is_changed {
                            continue;
                        }
                        if self.own.is_none() || shut_out_since.elapsed() > LONGEST_SHUT_OUT {
                            self.give_up_sending()?;
                            return Ok(());
                        }
                        // Whatever takes the room ends at some time, and we are there already.
                        self.pause(observe::ASK_AGAIN).await?;
                        self.room.at_once = None;
                        continue;
                    }
                    shut_out_since = Instant::now();
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
        Ok(self.has_requests()? || !wakes(self.dir)?.is_empty())
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

    fn ingest(&mut self) -> Result<Spooled, EngineError> {
        let now = self.services.clock.now_ms();
        let (ingests, spooled) = self.lease.heart().during(|| {
            let collected = ingest::collect(self.dir, self.graph, &self.state, now);
            collected.map(|(mut ingests, spooled)| {
                // Before the records: what is recorded is not read again.
                for ingest in &mut ingests {
                    let remembered = std::mem::take(&mut ingest.remembered);
                    self.publish(ingest, remembered);
                }
                (ingests, spooled)
            })
        })?;
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
            room: self.room,
        };
        let capabilities = self.scheduler.capabilities();
        let actions =
            (self.lease.heart()).during(|| plan(snapshot, capabilities, &self.remembering));
        let mut is_changed = false;
        for action in actions {
            match action {
                Action::Record(record) => {
                    if let Record::Remembered {
                        tag,
                        task,
                        elements,
                        ..
                    } = &record
                    {
                        // The values first: the record says that they are there.
                        self.lease.check()?;
                        self.lease.heart().during(|| {
                            let mut frames = self.remembering.frames(*task, elements)?;
                            ingest::pack_remembered(self.dir, tag, &mut frames)
                        })?;
                    }
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
                    if self.has_requests()? {
                        return Ok(true);
                    }
                    match self.send(submission).await? {
                        Sent::Nothing => {}
                        Sent::Something => is_changed = true,
                        Sent::NoRoom => return Ok(true),
                    }
                    if self.refusals >= MOST_REFUSALS {
                        self.give_up_sending()?;
                        return Ok(true);
                    }
                }
                Action::Cancel(tags) => self.cancel(&tags).await?,
                Action::Withdraw(elements) => self.withdraw(&elements).await?,
            }
        }
        Ok(is_changed)
    }

    /// Cancels jobs whose elements have ended without them: they would pend for ever, and whatever
    /// waits for them with them.
    async fn cancel_abandoned(&mut self) -> Result<(), EngineError> {
        let does_it_itself = self.removes_children();
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

    /// Returns whether the batch system removes jobs that can never start, so that nobody else need.
    fn removes_children(&self) -> bool {
        let capabilities = self.scheduler.capabilities();
        capabilities.failed_parent == FailedParent::Cancelled && capabilities.releases_cancelled
    }

    async fn cancel(&mut self, tags: &[Tag]) -> Result<(), EngineError> {
        let job = |tag: &Tag| self.state.submission(self.state.position(tag)?).job.clone();
        let targets: Vec<Target> = tags.iter().filter_map(job).map(Target::whole).collect();
        self.cancel_targets(&targets).await
    }

    async fn cancel_targets(&mut self, targets: &[Target]) -> Result<(), EngineError> {
        if targets.is_empty() {
            return Ok(());
        }
        self.services.probe.reach("engine/cancel").await;
        self.lease.check()?;
        if !self.scheduler.capabilities().releases_cancelled {
            // What waits for them may be stuck now, and nobody else looks.
            self.begun = self.state.submissions.len() as u32;
            self.ask_next = None;
        }
        if let Err(error) = self.beating(self.scheduler.cancel(targets)).await? {
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

/// Removes a file that another process may have removed just before.
fn remove(path: &std::path::Path) -> Result<(), LeaseError> {
    crate::fault::reach("wake/answer");
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
