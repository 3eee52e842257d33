use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{JobRequest, SchedulerError, SchedulerErrorKind, Target};

use super::run::{Reply, Supervisor};
use crate::clock;
use crate::protocol::{Answer, Head, Question};
use crate::queue::Job;
use crate::{check, codec, ids, log};

/// How many remarks are told of one job.
const NOTES: usize = 1000;

impl Supervisor {
    /// Answers a question, or has it answered once what it changes is written down.
    pub(super) fn question(&mut self, question: Question, reply: Reply) {
        let (answer, bytes) = match question {
            Question::Submit(request) => match self.submit(*request) {
                Ok(id) => (Answer::Submitted(id), Vec::new()),
                Err(error) => (refused(&error), Vec::new()),
            },
            Question::Status(ids) => self.status(&ids),
            Question::Cancel(targets) => {
                self.cancel(&targets);
                (Answer::Done, Vec::new())
            }
            Question::Find(tags) => (Answer::Found(self.find(&tags)), Vec::new()),
            Question::Stop { force } => {
                let (mut pending, mut running) = (0, 0);
                for (waits, runs) in self
                    .queue
                    .open()
                    .filter_map(|job| Some(self.queue.job(job)?.open()))
                {
                    pending += u64::from(waits);
                    running += u64::from(runs);
                }
                if pending + running > 0 && !force {
                    (Answer::Open { running, pending }, Vec::new())
                } else {
                    self.stopping.push(reply);
                    self.stop();
                    return;
                }
            }
        };
        self.replies.push((reply, answer, bytes));
    }

    /// Cancels everything, and ends when nothing is left.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        let now = clock::now();
        let open: Vec<u64> = self.queue.open().collect();
        for job in open {
            self.queue.cancel(now, job, None);
        }
    }

    fn submit(&mut self, request: JobRequest) -> Result<JobId, SchedulerError> {
        if self.is_stopping {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Busy,
                "the supervisor is being stopped",
            ));
        }
        check::check(&request, &self.settings)?;
        let needs = check::needs(&request, self.queue.capacity())?;
        let parents = ids::parents(&self.instance, &request.dependencies);
        let elements = log::fresh_elements(&request);
        for &(parent, kind) in &parents {
            let parent = parent.and_then(|parent| self.queue.job(parent));
            if kind.is_element_wise()
                && let Some(parent) = parent
                && parent.elements.len() != elements.len()
            {
                return Err(SchedulerError::new(
                    SchedulerErrorKind::InvalidRequest,
                    format!(
                        "an element-wise dependency needs arrays of one length, and these have {} and {}",
                        parent.elements.len(),
                        elements.len()
                    ),
                ));
            }
        }
        let now = clock::now();
        let number = self.next;
        self.log
            .submitted(number, now.wall, &request)
            .map_err(|error| {
                SchedulerError::new(
                    SchedulerErrorKind::Io,
                    format!("the supervisor could not write the job down: {error}"),
                )
            })?;
        self.next += 1;
        let job = Job::new(request, needs, parents, elements);
        self.queue.insert(now, number, job);
        Ok(ids::job_id(&self.instance, number))
    }

    /// Returns the job of an id of this supervisor.
    fn number(&self, id: &JobId) -> Option<u64> {
        let (instance, number) = ids::parse(id)?;
        (instance == self.instance).then_some(number)
    }

    fn status(&self, ids: &[JobId]) -> (Answer, Vec<u8>) {
        let mut bytes = Vec::new();
        let capacity = self.queue.capacity();
        let jobs = ids
            .iter()
            .map(|id| {
                let job = self.queue.job(self.number(id)?)?;
                codec::encode(&job.elements, &mut bytes);
                let is_waiting = job.has_pending();
                Some(Head {
                    is_array: job.request.array.is_some(),
                    reason: is_waiting.then(|| job.pending_reason().to_owned()),
                    never: is_waiting && !job.needs.fits(capacity),
                    notes: job.notes.iter().take(NOTES).cloned().collect(),
                })
            })
            .collect();
        let node = self.node.clone();
        (Answer::Status { node, jobs }, bytes)
    }

    fn cancel(&mut self, targets: &[Target]) {
        let now = clock::now();
        for target in targets {
            if let Some(number) = self.number(&target.job) {
                self.queue.cancel(now, number, target.index);
            }
        }
    }

    fn find(&self, tags: &[Tag]) -> Vec<Vec<JobId>> {
        tags.iter()
            .map(|tag| {
                let jobs = self.queue.tagged(tag).iter();
                jobs.map(|&number| ids::job_id(&self.instance, number))
                    .collect()
            })
            .collect()
    }
}

fn refused(error: &SchedulerError) -> Answer {
    Answer::Refused {
        kind: error.kind(),
        message: error.message().to_owned(),
    }
}
