//! Sending requests, and making do with what the batch system takes.

use std::collections::BTreeSet;
use std::time::Duration;

use fs_err as fs;

use super::{MOST_REFUSALS, Pass};
use crate::elements::ElementSet;
use crate::engine::request::{FileBuilder, job_request};
use crate::engine::{ElementState, EngineError, Phase, State, Submission, observe};
use crate::id::Tag;
use crate::journal::{HandBack, NotSent, Record, SubmissionKind, SubmissionRecord};
use crate::rundir::DispatchMode;
use crate::scheduler::{SchedulerErrorKind, SubmitError, Target};

/// How long to wait after the first refusal for now; twice as long after each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// How often a pass takes elements out of the queue to make room for a job that plans.
const MOST_DISPLACED: u32 = 3;

/// What came of sending a request.
pub(super) enum Sent {
    /// It was not sent, since what it depends on was not.
    Nothing,
    /// It was sent, or its refusal recorded.
    Something,
    /// There is no room for it: the plan must be made anew.
    NoRoom,
}

impl Pass<'_> {
    /// Returns whether a request is sent before it is known what has died: elements, and the guard of the
    /// guard that is planning.
    pub(super) fn is_due(&self, submission: &SubmissionRecord) -> bool {
        match &submission.kind {
            SubmissionKind::Elements { .. } => true,
            SubmissionKind::Guard { of } if self.own.as_ref() == Some(of) => true,
            // Where room is short, what drives the run comes before what it drives.
            SubmissionKind::Dispatch | SubmissionKind::Guard { .. } => self.state.is_limited,
            SubmissionKind::Watch { .. } => false,
        }
    }

    /// Announces and sends one request.
    pub(super) async fn send(&mut self, submission: SubmissionRecord) -> Result<Sent, EngineError> {
        let Some(request) = job_request(
            self.dir,
            self.graph,
            &self.state,
            self.scheduler.capabilities(),
            &submission,
            self.services.clock.now_ms(),
        ) else {
            return Ok(Sent::Nothing);
        };
        self.services.probe.reach("engine/write-submission").await;
        crate::fault::reach("engine/log-folder");
        fs::create_dir_all(self.dir.logs(&submission.tag))?;
        if let SubmissionKind::Elements {
            task,
            attempt,
            elements,
            batch,
            ..
        } = &submission.kind
        {
            let mut files = FileBuilder {
                dir: self.dir,
                graph: self.graph,
                state: &self.state,
                finder: &mut self.finder,
                remembering: &self.remembering,
            };
            files.write(&submission.tag, *task, *attempt, elements, *batch)?;
        }
        self.services.probe.reach("engine/intent").await;
        self.record(Record::Intent(submission.clone()))?;
        self.lease.sync()?;
        self.services.probe.reach("engine/submit").await;
        // Between announcing and sending: see `journal`.
        self.lease.check()?;
        let answer = self.beating(self.scheduler.submit(&request)).await?;
        self.services.probe.reach("engine/submitted").await;
        let tag = submission.tag.clone();
        match answer {
            Ok(job) => {
                self.refusals = 0;
                if submission.drives() {
                    self.displaced = 0;
                }
                self.record(Record::Submitted { tag, job })?;
                Ok(Sent::Something)
            }
            Err(failure) if failure.may_exist => {
                tracing::warn!(%tag, error = %failure, "it is not known whether the job exists");
                Ok(Sent::Something)
            }
            Err(failure) => self.refused(&submission, &failure).await,
        }
    }

    /// Takes in that a request was refused.
    async fn refused(
        &mut self,
        submission: &SubmissionRecord,
        failure: &SubmitError,
    ) -> Result<Sent, EngineError> {
        let tag = submission.tag.clone();
        let message = failure.to_string();
        self.refusal.clone_from(&message);
        match failure.error.kind() {
            SchedulerErrorKind::Rejected
            | SchedulerErrorKind::InvalidRequest
            | SchedulerErrorKind::Unsupported
            | SchedulerErrorKind::Permission => {
                let name = submission.task().map_or_else(
                    || "dispatch".to_owned(),
                    |task| self.graph.declared(task).name.to_string(),
                );
                self.refused = Some((name, message.clone()));
                if submission.is_driver() {
                    self.refusals = MOST_REFUSALS;
                }
                let why = NotSent::Rejected { message };
                self.record(Record::NotSent { tag, why })?;
            }
            SchedulerErrorKind::LimitReached => {
                let why = NotSent::Limit { message };
                self.record(Record::NotSent { tag, why })?;
                return self.no_room(submission).await;
            }
            _ => {
                let why = NotSent::Temporary { message };
                self.record(Record::NotSent { tag, why })?;
                self.refusals += 1;
                if self.refusals < MOST_REFUSALS {
                    self.beating(tokio::time::sleep(FIRST_DELAY * (1 << self.refusals)))
                        .await?;
                }
            }
        }
        Ok(Sent::Something)
    }

    /// Makes do with less: smaller arrays, then none, and for what drives the run the room of the elements
    /// that were sent last.
    async fn no_room(&mut self, submission: &SubmissionRecord) -> Result<Sent, EngineError> {
        match &submission.kind {
            SubmissionKind::Elements { .. } => {
                self.room.at_once = Some(submission.indices().unwrap_or(1) / 2);
            }
            SubmissionKind::Dispatch => {
                self.room.at_once = Some(0);
                if self.displaced >= MOST_DISPLACED {
                    // It is not for want of the room that our elements take.
                    return Ok(Sent::Nothing);
                }
                let Some(indices) = self.displace().await? else {
                    return Ok(Sent::Nothing);
                };
                self.displaced += 1;
                if !self.state.live().any(|(_, it)| !it.record.is_driver()) {
                    // Nothing is left that a dispatch could wait for: the same in smaller arrays.
                    self.room.at_once = Some(indices / 2);
                }
            }
            // The run goes on without them, as long as what they watch does its work.
            SubmissionKind::Guard { .. } | SubmissionKind::Watch { .. } => {
                return Ok(Sent::Nothing);
            }
        }
        Ok(Sent::NoRoom)
    }

    /// Takes the newest submission of which nothing has started, or what of it has not, out of the queue, and
    /// returns how many array indices it had; none where all have started.
    async fn displace(&mut self) -> Result<Option<u32>, EngineError> {
        let live: Vec<u32> = self.state.live().map(|(position, _)| position).collect();
        for position in live.into_iter().rev() {
            let submission = self.state.submission(position);
            let SubmissionKind::Elements { task, elements, .. } = &submission.record.kind else {
                continue;
            };
            if submission.job.is_none() {
                continue;
            }
            let mut queued = self
                .state
                .queued(*task, |element| elements.contains(element));
            let queued = queued.remove(&position).unwrap_or_default();
            let tag = submission.record.tag.clone();
            let indices = submission.record.indices().unwrap_or(1);
            self.lease.check()?;
            let elements = observe::take_back(self.dir, &self.state, position, queued)?;
            if !elements.is_empty() {
                self.record(Record::HandedBack {
                    tag: tag.clone(),
                    elements: elements.clone(),
                    why: HandBack::Displaced,
                })?;
                self.withdraw(&[(tag, elements)]).await?;
                return Ok(Some(indices));
            }
        }
        Ok(None)
    }

    /// Returns whether the run would be left without a job that plans again, for want of room.
    pub(super) fn is_shut_out(&self) -> bool {
        let drives = |submission: &Submission| {
            matches!(submission.record.kind, SubmissionKind::Dispatch)
                && (submission.job.is_some() || submission.phase == Phase::Intended)
        };
        self.room.at_once.is_some()
            && self.dir.record().dispatch != DispatchMode::Login
            && !self.state.live().any(|(_, submission)| drives(submission))
    }

    /// Records that nothing can be queued for now.
    pub(super) fn give_up_sending(&mut self) -> Result<(), EngineError> {
        let message = self.refusal.clone();
        self.record(Record::Paused { message })
    }

    /// Cancels what is left of elements in the batch system. Array indices that others share stay.
    pub(super) async fn withdraw(
        &mut self,
        withdrawn: &[(Tag, ElementSet)],
    ) -> Result<(), EngineError> {
        let targets: Vec<Target> = withdrawn
            .iter()
            .flat_map(|(tag, elements)| self.targets(tag, elements))
            .collect();
        self.cancel_targets(&targets).await
    }

    /// Returns what to cancel so that the elements, and no others, are gone.
    pub(super) fn targets(&self, tag: &Tag, elements: &ElementSet) -> Vec<Target> {
        targets(&self.state, tag, elements)
    }
}

/// Returns what to cancel so that elements of a submission, and no others, are gone from the batch system.
pub(in crate::engine) fn targets(state: &State, tag: &Tag, elements: &ElementSet) -> Vec<Target> {
    let Some(position) = state.position(tag) else {
        return Vec::new();
    };
    let submission = state.submission(position);
    let (
        Some(job),
        SubmissionKind::Elements {
            task,
            elements: all,
            batch,
            ..
        },
    ) = (&submission.job, &submission.record.kind)
    else {
        return Vec::new();
    };
    let entries = &state.task(*task).elements;
    let is_wanted = |element: u32| {
        !elements.contains(element)
            && entries
                .get(element as usize)
                .is_some_and(|it| it.submission == position && it.state == ElementState::Queued)
    };
    let mut wanted = BTreeSet::new();
    let mut unwanted = BTreeSet::new();
    for (rank, element) in (0u32..).zip(all.iter()) {
        let index = rank / (*batch).max(1);
        if is_wanted(element) {
            wanted.insert(index);
        } else if elements.contains(element) {
            unwanted.insert(index);
        }
    }
    if wanted.is_empty() {
        return vec![Target::whole(job.clone())];
    }
    unwanted
        .difference(&wanted)
        .map(|index| Target::element(job.clone(), *index))
        .collect()
}
