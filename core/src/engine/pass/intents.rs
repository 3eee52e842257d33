//! Requests that were announced and have no job id.

use std::time::Duration;

use tokio::time::Instant;

use super::Pass;
use crate::engine::{EngineError, Phase};
use crate::id::{JobId, Tag};
use crate::journal::{NotSent, Record};
use crate::results::{Spool, read_spool};
use crate::rundir::Owner;
use crate::scheduler::Found;

impl Pass<'_> {
    /// Finds out what became of requests that were announced and have no job id. Returns how long to
    /// wait before looking again.
    pub(super) async fn resolve_intents(&mut self) -> Result<Option<Duration>, EngineError> {
        let open: Vec<(u32, Tag)> = self
            .state
            .live()
            .filter(|(_, submission)| submission.phase == Phase::Intended)
            .map(|(position, submission)| (position, submission.record.tag.clone()))
            .collect();
        let mut unknown = Vec::new();
        for (position, tag) in open {
            match Owner::read(&self.dir.owner(&tag))? {
                Some(Owner::Job(job)) => self.record(Record::Submitted { tag, job })?,
                Some(Owner::Void) => self.never_sent(tag, "it was given up")?,
                // The results tell the job of an overwritten claim, if they have come to that.
                Some(Owner::Unreadable) => match self.job_of_results(&tag)? {
                    Some(job) => self.record(Record::Submitted { tag, job })?,
                    None => unknown.push((position, tag)),
                },
                None => unknown.push((position, tag)),
            }
        }
        if unknown.is_empty() {
            return Ok(None);
        }
        self.services.probe.reach("engine/find").await;
        let tags: Vec<Tag> = unknown.iter().map(|(_, tag)| tag.clone()).collect();
        let answers = match self.beating(self.scheduler.find(&tags)).await? {
            Ok(answers) if answers.len() == tags.len() => answers,
            Ok(_) => vec![Found::Unknowable; tags.len()],
            Err(error) => {
                tracing::warn!(%error, "requests could not be looked up");
                vec![Found::Unknowable; tags.len()]
            }
        };
        let patience = self.scheduler.capabilities().message_timeout;
        let mut wait: Option<Duration> = None;
        for ((position, tag), answer) in unknown.into_iter().zip(answers) {
            if let Found::Present(jobs) = answer
                && let Some(job) = jobs.into_iter().next()
            {
                self.record(Record::Submitted { tag, job })?;
                continue;
            }
            // Not found is no proof: the request may still be on its way. After the batch system's own
            // message timeout it is given up, and the owner file sees to it that no job of it runs.
            let first = *self.absent.entry(position).or_insert_with(Instant::now);
            match patience
                .checked_sub(first.elapsed())
                .filter(|left| !left.is_zero())
            {
                Some(left) => wait = Some(wait.map_or(left, |wait| wait.min(left))),
                None => self.give_up(tag)?,
            }
        }
        Ok(wait)
    }

    fn give_up(&mut self, tag: Tag) -> Result<(), EngineError> {
        self.lease.check()?;
        match Owner::claim(&self.dir.owner(&tag), &Owner::Void)? {
            None | Some(Owner::Void) => self.never_sent(tag, "no job of it was found"),
            Some(Owner::Job(job)) => self.record(Record::Submitted { tag, job }),
            Some(Owner::Unreadable) => match self.job_of_results(&tag)? {
                Some(job) => self.record(Record::Submitted { tag, job }),
                // None of its workers has begun an index, and no further one can own it.
                None => self.never_sent(tag, "no job of it was found"),
            },
        }
    }

    /// Returns the job whose workers have begun an index of a submission, if one has.
    fn job_of_results(&self, tag: &Tag) -> Result<Option<JobId>, EngineError> {
        for file in Spool::new(self.dir.spool(tag)).files()? {
            let worker = read_spool(&file)?.worker;
            if let Some(job) = worker.and_then(|worker| worker.job)
                && let Ok(job) = JobId::new(job)
            {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    fn never_sent(&mut self, tag: Tag, why: &str) -> Result<(), EngineError> {
        self.record(Record::NotSent {
            tag,
            why: NotSent::Temporary {
                message: why.to_owned(),
            },
        })
    }
}
