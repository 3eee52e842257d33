//! Watching what is under way.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{MOST_UNANSWERED, Pass, Wait};
use crate::elements::ElementSet;
use crate::engine::ingest::{self, Spooled};
use crate::engine::{ElementState, EngineError, Phase, observe};
use crate::id::JobId;
use crate::journal::{HandBack, Record, SubmissionKind};
use crate::results::{Outcome, Spool};

impl Pass<'_> {
    /// Asks the batch system about what was under way when this pass began, and ends what has died. What
    /// was sent since is the business of the dispatch that waits for it.
    pub(super) async fn observe(&mut self, spooled: &Spooled) -> Result<Wait, EngineError> {
        let jobs: Vec<(u32, JobId)> = self
            .state
            .live()
            .filter(|(position, submission)| {
                *position < self.begun
                    && !matches!(submission.record.kind, SubmissionKind::Guard { .. })
            })
            .filter_map(|(position, submission)| Some((position, submission.job.clone()?)))
            .collect();
        if jobs.is_empty() {
            self.suspects.clear();
            return Ok(Wait::Nothing);
        }
        if let Some(left) = self.asked_lately() {
            return Ok(Wait::For(left));
        }
        self.services.probe.reach("engine/status").await;
        let ids: Vec<JobId> = jobs.iter().map(|(_, job)| job.clone()).collect();
        let statuses = match self.beating(self.scheduler.status(&ids)).await? {
            Ok(statuses) if statuses.len() == ids.len() => statuses,
            Ok(_) => return Ok(self.ask_again()),
            Err(error) => {
                tracing::warn!(%error, "the batch system does not say how the jobs are");
                return Ok(self.ask_again());
            }
        };
        self.unanswered = 0;
        let grace = observe::Grace::new(Duration::from_millis(self.dir.record().latency_ms));
        let watched: Vec<_> = jobs
            .into_iter()
            .map(|(position, _)| position)
            .zip(statuses)
            .collect();
        let judged = observe::judge(
            self.dir,
            &self.state,
            spooled,
            &watched,
            &mut self.suspects,
            grace,
        );
        let mut is_changed = false;
        for verdict in judged.verdicts {
            self.services.probe.reach("engine/verdict").await;
            is_changed |= self.pronounce(verdict, spooled).await?;
        }
        self.ask_next = None;
        Ok(match judged.wait {
            _ if is_changed => Wait::Changed,
            Some(wait) => {
                self.ask_next = Some(Instant::now() + wait);
                Wait::For(wait)
            }
            None => Wait::Nothing,
        })
    }

    /// Returns how long to wait before the batch system is asked again: what it said of the suspects holds,
    /// and is acted on when their time has come. Results are looked for meanwhile.
    fn asked_lately(&self) -> Option<Duration> {
        let left = self.ask_next?.checked_duration_since(Instant::now())?;
        let is_suspect = |(position, element): &(u32, u32)| {
            let submission = self.state.submission(*position);
            match submission.record.task() {
                Some(task) => {
                    let entry = self.state.task(task).elements.get(*element as usize);
                    entry.is_some_and(|it| {
                        it.submission == *position && it.state == ElementState::Queued
                    })
                }
                None => submission.phase != Phase::Over,
            }
        };
        let is_any = self.suspects.keys().any(is_suspect);
        (is_any && !left.is_zero()).then_some(left)
    }

    /// Waits for an answer, for some time: nothing can be said of the jobs until then.
    fn ask_again(&mut self) -> Wait {
        self.unanswered += 1;
        if self.unanswered < MOST_UNANSWERED {
            Wait::For(observe::ASK_AGAIN)
        } else {
            Wait::Nothing
        }
    }

    async fn pronounce(
        &mut self,
        verdict: observe::Verdict,
        spooled: &Spooled,
    ) -> Result<bool, EngineError> {
        match verdict {
            observe::Verdict::Closed(position) => {
                let tag = self.state.submission(position).record.tag.clone();
                self.record(Record::Closed { tag })?;
            }
            observe::Verdict::Ended {
                position,
                task,
                elements,
                state,
                reason,
                message,
                exits,
            } => {
                // Results that were written since they were looked for come first.
                if self.set_aside(position, &elements)? {
                    return Ok(true);
                }
                let told = elements.iter().filter_map(|element| {
                    let result = spooled.interrupted.get(&(position, element));
                    ingest::told(element, result, exits.get(&element))
                });
                if let Some(record) =
                    ingest::pack_told(self.dir, &self.state, position, told.collect())?
                {
                    self.record(record)?;
                }
                self.record(Record::Ended {
                    task,
                    elements,
                    state,
                    reason,
                    message,
                })?;
                self.lease.sync()?;
                self.lease.check()?;
                ingest::close_spool(self.dir, &self.state, position)?;
            }
            observe::Verdict::Blocked { position, elements } => {
                return self.unblock(position, elements).await;
            }
            observe::Verdict::NeverStarted { position, elements } => {
                let tag = self.state.submission(position).record.tag.clone();
                self.lease.check()?;
                let taken = observe::take_back(self.dir, &self.state, position, elements.clone())?;
                let left: ElementSet = elements
                    .iter()
                    .filter(|element| !taken.contains(*element))
                    .collect();
                // A worker has claimed their index, and is gone with its job.
                if !left.is_empty() {
                    if self.set_aside(position, &left)? {
                        return Ok(true);
                    }
                    self.record(Record::HandedBack {
                        tag: tag.clone(),
                        elements: left,
                        why: HandBack::Left,
                    })?;
                }
                if taken.is_empty() {
                    return Ok(true);
                }
                let elements = taken;
                self.record(Record::HandedBack {
                    tag,
                    elements,
                    why: HandBack::Unstarted,
                })?;
            }
        }
        Ok(true)
    }

    /// Takes a job out of the queue that waits for what will never come. It is cancelled before its end is
    /// recorded: should we die in between, the next one finds it cancelled.
    async fn unblock(&mut self, position: u32, elements: ElementSet) -> Result<bool, EngineError> {
        let tag = self.state.submission(position).record.tag.clone();
        if elements.is_empty() {
            self.cancel(std::slice::from_ref(&tag)).await?;
            self.record(Record::Closed { tag })?;
            return Ok(true);
        }
        self.lease.check()?;
        let elements = observe::take_back(self.dir, &self.state, position, elements)?;
        if elements.is_empty() {
            return Ok(false);
        }
        let withdrawn = [(tag.clone(), elements.clone())];
        self.withdraw(&withdrawn).await?;
        self.record(Record::HandedBack {
            tag,
            elements,
            why: HandBack::Blocked,
        })?;
        Ok(true)
    }

    /// Sees to it that nothing that a worker of these elements writes from now on counts, should one live
    /// on. Says whether there are results of theirs that nobody has taken in yet.
    fn set_aside(&self, position: u32, elements: &ElementSet) -> Result<bool, EngineError> {
        let record = &self.state.submission(position).record;
        let SubmissionKind::Elements {
            elements: all,
            batch,
            ..
        } = &record.kind
        else {
            return Ok(false);
        };
        let spool = Spool::new(self.dir.spool(&record.tag));
        let indices: BTreeSet<u32> = elements
            .iter()
            .map(|element| all.rank(element) / (*batch).max(1))
            .collect();
        let mut are_there = false;
        for index in indices {
            self.lease.check()?;
            if let Some(content) = spool.set_aside(index, &observe::nobody())? {
                are_there |= content.ended.iter().any(|result| {
                    result.outcome != Outcome::Interrupted && elements.contains(result.element)
                });
            }
        }
        Ok(are_there)
    }
}
