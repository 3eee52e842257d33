use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{
    ArrayRequest, Capabilities, Command, Dependency, DependencyKind, EndReason, ExitStatus, Found,
    JobRequest, JobState, JobStatus, OutputPaths, Resources, Scheduler, SubmitError, Target,
};
use tokio::time::{Instant, sleep};

use crate::{Failure, Setup};

/// How often a case looks.
const LOOK: Duration = Duration::from_millis(300);

/// What any user of a batch system has: the batch system, and a directory that its nodes see.
#[derive(Debug)]
pub struct Site {
    /// The batch system.
    pub scheduler: Arc<dyn Scheduler>,
    /// An empty directory of this case alone, shared with the nodes.
    pub directory: PathBuf,
    /// What every job asks for.
    pub resources: Resources,
    /// What the suite runs on.
    pub setup: Setup,
    /// How long a job of a moment may take to end.
    pub patience: Duration,
    left: Mutex<Left>,
}

/// What a case has to clean up.
#[derive(Debug, Default)]
struct Left {
    /// Jobs that it was told of.
    jobs: Vec<JobId>,
    /// Tags of requests that were not answered, or not with an id.
    tags: Vec<Tag>,
}

impl Site {
    pub(crate) fn new(setup: &Setup, directory: PathBuf) -> Self {
        Self {
            scheduler: setup.scheduler.clone(),
            directory,
            resources: setup.resources.clone(),
            setup: setup.clone(),
            patience: setup.patience,
            left: Mutex::default(),
        }
    }

    /// Returns what the batch system can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.scheduler.capabilities()
    }

    /// Returns a job that runs `argv` in the directory, its output in `NAME.out` and `NAME.err`.
    pub fn job(&self, name: &str, argv: &[&str]) -> JobRequest {
        JobRequest {
            tag: new_tag(),
            comment: Some(format!("reflow conformance {name}")),
            command: Command {
                argv: argv.iter().map(|&word| word.to_owned()).collect(),
                directory: self.directory.clone(),
                environment: BTreeMap::new(),
                setup: Vec::new(),
                serves_indices: false,
            },
            array: None,
            dependencies: Vec::new(),
            resources: self.resources.clone(),
            not_before: None,
            output: OutputPaths {
                stdout: self.directory.join(format!("{name}.out")),
                stderr: self.directory.join(format!("{name}.err")),
            },
            requeue: false,
            extra: Vec::new(),
        }
    }

    /// Returns a job that runs lines of bash. In an array, `$2` is the index.
    pub fn shell(&self, name: &str, script: &str) -> JobRequest {
        self.job(name, &["/bin/bash", "-c", script, name])
    }

    /// Returns an array of lines of bash.
    pub fn array(&self, name: &str, count: u32, script: &str) -> JobRequest {
        JobRequest {
            array: Some(ArrayRequest {
                count,
                at_most: None,
            }),
            ..self.shell(name, script)
        }
    }

    /// Submits a job; it is cancelled when the case is over.
    pub async fn submit(&self, request: &JobRequest) -> Result<JobId, Failure> {
        Ok(self.try_submit(request).await?)
    }

    /// Submits a job that may be refused.
    pub async fn try_submit(&self, request: &JobRequest) -> Result<JobId, SubmitError> {
        self.try_submit_to(&self.scheduler, request).await
    }

    /// The same through another connection to the same batch system.
    pub async fn try_submit_to(
        &self,
        scheduler: &Arc<dyn Scheduler>,
        request: &JobRequest,
    ) -> Result<JobId, SubmitError> {
        // First, for a case that is given up while it waits for the answer.
        self.left().tags.push(request.tag.clone());
        let job = scheduler.submit(request).await?;
        let mut left = self.left();
        left.jobs.push(job.clone());
        left.tags.retain(|tag| *tag != request.tag);
        Ok(job)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state of one job.
    pub async fn status(&self, job: &JobId) -> Result<JobStatus, Failure> {
        let answer = self.scheduler.status(std::slice::from_ref(job)).await?;
        let [status] = <[JobStatus; 1]>::try_from(answer)
            .map_err(|answer| Failure::new(format!("{} answers for one job", answer.len())))?;
        Ok(status)
    }

    /// Waits until `holds` of a job's state.
    pub async fn until(
        &self,
        job: &JobId,
        what: &str,
        holds: impl Fn(&JobStatus) -> bool,
    ) -> Result<JobStatus, Failure> {
        self.until_within(self.patience, job, what, holds).await
    }

    /// Waits until `holds` of a job's state, for at most `limit`.
    pub async fn until_within(
        &self,
        limit: Duration,
        job: &JobId,
        what: &str,
        holds: impl Fn(&JobStatus) -> bool,
    ) -> Result<JobStatus, Failure> {
        let started = Instant::now();
        loop {
            let status = self.status(job).await?;
            if holds(&status) {
                return Ok(status);
            }
            if started.elapsed() > limit {
                return Err(Failure::new(format!(
                    "job {job} was not {what} after {} s: {status:?}",
                    limit.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until a job, with all its elements, has ended: where the batch system keeps no history, until
    /// it is no longer known.
    pub async fn ended(&self, job: &JobId) -> Result<JobStatus, Failure> {
        let forgets = self.capabilities().history.is_none();
        self.until(job, "ended", |status| {
            status.state.is_ended() || forgets && status.state == JobState::Unknown
        })
        .await
    }

    /// Waits until a job runs.
    pub async fn running(&self, job: &JobId) -> Result<JobStatus, Failure> {
        self.until(job, "running", |status| {
            matches!(status.state, JobState::Running { .. })
        })
        .await
    }

    /// Waits until a job has ended, and returns how.
    pub async fn end(&self, job: &JobId) -> Result<ExitStatus, Failure> {
        match self.ended(job).await?.state {
            JobState::Ended(end) => Ok(end),
            JobState::Unknown => Err(Failure::does_not_apply(
                "the batch system forgets jobs when they end",
            )),
            other => Err(Failure::new(format!("job {job} is {other:?}"))),
        }
    }

    /// Submits a job, waits for its end, and fails unless it ended well.
    pub async fn succeed(&self, request: &JobRequest) -> Result<JobId, Failure> {
        let job = self.submit(request).await?;
        self.succeeded(&job).await?;
        Ok(job)
    }

    /// Waits for the end of a job, and fails unless it ended well, or nobody can say how.
    pub async fn succeeded(&self, job: &JobId) -> Result<(), Failure> {
        match self.ended(job).await?.state {
            JobState::Unknown => Ok(()),
            JobState::Ended(end)
                if end.reason == EndReason::Completed && end.code.is_none_or(|code| code == 0) =>
            {
                Ok(())
            }
            other => Err(Failure::new(format!("job {job} ended with {other:?}"))),
        }
    }

    /// Waits until a file of the case has appeared, and returns its content.
    pub async fn file(&self, name: &str) -> Result<String, Failure> {
        let path = self.directory.join(name);
        let started = Instant::now();
        while !path.exists() {
            if started.elapsed() > self.patience {
                return Err(Failure::new(format!("{name} did not appear")));
            }
            sleep(LOOK / 3).await;
        }
        Ok(fs_err::read_to_string(path)?)
    }

    /// Returns whether a file of the case exists.
    pub fn has(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }

    /// Returns the directory as text.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Cancels what the case has left, and returns what is still there after the usual time.
    pub(crate) async fn clean(&self) -> Vec<JobId> {
        let Left { mut jobs, tags } = std::mem::take(&mut *self.left());
        if !tags.is_empty()
            && let Ok(found) = self.scheduler.find(&tags).await
        {
            for one in found {
                if let Found::Present(more) = one {
                    jobs.extend(more);
                }
            }
        }
        let started = Instant::now();
        let mut cancelled = false;
        while !jobs.is_empty() {
            if let Ok(answer) = self.scheduler.status(&jobs).await {
                let is_there = |state: &JobState| {
                    matches!(state, JobState::Pending { .. } | JobState::Running { .. })
                };
                jobs = answer
                    .into_iter()
                    .filter(|status| is_there(&status.state))
                    .map(|status| status.job)
                    .collect();
            }
            if !jobs.is_empty() && !cancelled {
                let targets: Vec<Target> = jobs.iter().cloned().map(Target::whole).collect();
                cancelled = self.scheduler.cancel(&targets).await.is_ok();
            }
            if started.elapsed() > self.patience {
                break;
            }
            if !jobs.is_empty() {
                sleep(LOOK).await;
            }
        }
        jobs
    }
}

/// Adds a dependency to a request.
pub(crate) fn after(mut request: JobRequest, job: &JobId, kind: DependencyKind) -> JobRequest {
    request.dependencies.push(Dependency {
        job: job.clone(),
        kind,
    });
    request
}

/// Returns a tag that nobody has used.
pub(crate) fn new_tag() -> Tag {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = || RandomState::new().build_hasher().finish();
    let bits = u128::from(random()) << 64 | u128::from(random());
    let letters = (0..14).map(|place| char::from(LETTERS[(bits >> (5 * place) & 31) as usize]));
    Tag::new(std::iter::once('c').chain(letters).collect::<String>())
        .expect("a letter and 14 letters of base 32")
}
