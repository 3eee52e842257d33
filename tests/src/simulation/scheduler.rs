use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    Capabilities, ElementStatus, EndReason, ExitStatus, Found, JobRequest, JobState, JobStatus,
    Rendered, Scheduler, SchedulerError, SchedulerErrorKind, SubmitError, Target,
};
use tokio::time::Instant;

use super::process::trace;
use super::world::{Index, IndexState, Job, World};

/// The model behind the trait.
#[derive(Debug, Clone)]
pub(super) struct SimScheduler {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) capabilities: Capabilities,
}

pub(super) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(kind: SchedulerErrorKind) -> SchedulerError {
    SchedulerError::new(kind, "as the simulation wants it")
}

/// What becomes of one submit.
#[derive(Debug)]
enum Fate {
    Arrives,
    Busy,
    NoRoom,
    AnswerLost,
    RequestLost,
}

impl SimScheduler {
    async fn takes(&self, most_ms: u64) {
        let delay = lock(&self.world).random.below(most_ms);
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }

    fn fails(&self) -> Result<(), SchedulerError> {
        let mut world = lock(&self.world);
        let per_mille = world.faults.no_answer;
        if world.random.happens(per_mille) {
            Err(error(SchedulerErrorKind::TimedOut))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Scheduler for SimScheduler {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, _request: &JobRequest) -> Result<Rendered, SchedulerError> {
        Err(error(SchedulerErrorKind::Unsupported))
    }

    async fn submit(&self, request: &JobRequest) -> Result<JobId, SubmitError> {
        self.takes(300).await;
        let (id, fate) = {
            let mut world = lock(&self.world);
            world.submits += 1;
            let faults = world.faults.clone();
            let queued: usize = world.jobs.iter().map(Job::queued).sum();
            let wanted = request.array.map_or(1, |array| array.count) as usize;
            let has_room = faults
                .limit
                .is_none_or(|limit| queued + wanted <= limit as usize);
            let fate = match () {
                () if !has_room => Fate::NoRoom,
                () if world.random.happens(faults.busy) => Fate::Busy,
                () if world.random.happens(faults.request_lost) => Fate::RequestLost,
                () if world.random.happens(faults.answer_lost) => Fate::AnswerLost,
                () => Fate::Arrives,
            };
            let id = JobId::new(format!("{}", world.submits)).expect("a number is an id");
            if matches!(fate, Fate::Arrives | Fate::AnswerLost) {
                // A request whose answer was lost may be on its way for as long as the message timeout.
                let delay = if matches!(fate, Fate::AnswerLost) {
                    world.random.below(9000)
                } else {
                    0
                };
                let count = request.array.map_or(1, |array| array.count);
                let pending = Index {
                    state: IndexState::Pending,
                    visible: Instant::now(),
                };
                let arrives = Instant::now() + Duration::from_millis(delay);
                world.jobs.push(Job {
                    id: id.clone(),
                    request: request.clone(),
                    arrives,
                    indices: vec![pending; count as usize],
                });
            }
            (id, fate)
        };
        trace(|| {
            format!(
                "{id} is {} of {:?} after {:?}: {fate:?}",
                request.tag, request.comment, request.dependencies
            )
        });
        self.takes(300).await;
        match fate {
            Fate::Arrives => Ok(id),
            Fate::Busy => Err(SubmitError::nothing_sent(error(SchedulerErrorKind::Busy))),
            Fate::NoRoom => Err(SubmitError::nothing_sent(error(
                SchedulerErrorKind::LimitReached,
            ))),
            Fate::AnswerLost | Fate::RequestLost => {
                Err(SubmitError::maybe_sent(error(SchedulerErrorKind::TimedOut)))
            }
        }
    }

    async fn status(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
        self.takes(200).await;
        self.fails()?;
        let mut world = lock(&self.world);
        Ok(jobs
            .iter()
            .map(|id| {
                let position = world
                    .jobs
                    .iter()
                    .position(|job| job.id == *id && job.arrives <= Instant::now());
                let Some(position) = position else {
                    return JobStatus {
                        job: id.clone(),
                        state: JobState::Unknown,
                        elements: Vec::new(),
                    };
                };
                let states: Vec<JobState> = (0..world.jobs[position].indices.len())
                    .map(|index| world.told(position, index))
                    .collect();
                let is_array = world.jobs[position].request.array.is_some();
                let state = match &states[..] {
                    [only] if !is_array => only.clone(),
                    all => all
                        .iter()
                        .find(|state| !state.is_ended())
                        .or(all.first())
                        .cloned()
                        .unwrap_or(JobState::Unknown),
                };
                let elements = if is_array {
                    (0..)
                        .zip(states)
                        .map(|(index, state)| ElementStatus { index, state })
                        .collect()
                } else {
                    Vec::new()
                };
                JobStatus {
                    job: id.clone(),
                    state,
                    elements,
                }
            })
            .collect())
    }

    async fn cancel(&self, targets: &[Target]) -> Result<(), SchedulerError> {
        self.takes(200).await;
        self.fails()?;
        let mut world = lock(&self.world);
        for target in targets {
            trace(|| format!("cancel {target:?}"));
            let Some(position) = world.jobs.iter().position(|job| job.id == target.job) else {
                continue;
            };
            for index in 0..world.jobs[position].indices.len() {
                let is_meant = target.index.is_none_or(|wanted| wanted as usize == index);
                let is_over = matches!(
                    world.jobs[position].indices[index].state,
                    IndexState::Ended { .. } | IndexState::Dispatching
                );
                if is_meant && !is_over {
                    world.end(position, index, ExitStatus::new(EndReason::Cancelled));
                }
            }
        }
        Ok(())
    }

    async fn find(&self, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
        self.takes(200).await;
        self.fails()?;
        let mut world = lock(&self.world);
        let early = world.faults.find_early;
        Ok(tags
            .iter()
            .map(|tag| {
                let ids: Vec<JobId> = world
                    .jobs
                    .iter()
                    .filter(|job| {
                        job.request.tag == *tag
                            && job.arrives <= Instant::now()
                            && !job.is_forgotten()
                    })
                    .map(|job| job.id.clone())
                    .collect();
                match ids.is_empty() {
                    _ if world.random.happens(early) => Found::Absent,
                    true if world.random.happens(200) => Found::Unknowable,
                    true => Found::Absent,
                    false => Found::Present(ids),
                }
            })
            .collect())
    }
}
