//! A batch system that cannot be reached for a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::config::EnvironmentPolicy;
use reflow_core::engine::EngineError;
use reflow_core::id::{JobId, Tag};
use reflow_core::rundir::{BackendRecord, RunDir};
use reflow_core::scheduler::{
    Capabilities, Found, JobRequest, JobStatus, Rendered, Scheduler, SchedulerError,
    SchedulerErrorKind, SubmitError, Target,
};
use tokio::sync::OnceCell;

use crate::backends;
use crate::surroundings::Surroundings;

/// How long after a question that could not be asked it is asked again.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

/// Returns whether nobody was reached, and somebody may be later.
pub(crate) fn is_unreachable(error: &SchedulerError) -> bool {
    matches!(
        error.kind(),
        SchedulerErrorKind::Unreachable
            | SchedulerErrorKind::TimedOut
            | SchedulerErrorKind::Busy
            | SchedulerErrorKind::UnexpectedOutput
    )
}

/// Returns what was wrong, in one line: with what the batch system's program said last.
pub(crate) fn words(error: &SchedulerError) -> String {
    let said = error
        .context()
        .iter()
        .find(|(name, _)| *name == "stderr")
        .and_then(|(_, text)| text.trim().lines().last())
        .map(str::trim)
        .filter(|line| !line.is_empty());
    match said {
        Some(line) => format!("{}: {line}", error.message()),
        None => error.message().to_owned(),
    }
}

/// Tells people something.
pub(crate) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// The batch system of a run, for somebody who goes on where it cannot be reached: it is connected to
/// when that can be done, and both the loss and the return are told once.
pub(crate) struct Patient {
    surroundings: Surroundings,
    backend: BackendRecord,
    launcher: Vec<String>,
    policy: EnvironmentPolicy,
    capabilities: Capabilities,
    connected: OnceCell<Arc<dyn Scheduler>>,
    absence: Absence,
    is_lost: AtomicBool,
    tell: Tell,
}

/// What it means that the batch system's programs are not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// That what was asked for cannot be done from here.
    IsFinal,
    /// No more than that it cannot be reached: the run can be watched all the same.
    Passes,
}

impl Patient {
    /// Returns the batch system of a run, connected to if it can be reached now.
    ///
    /// # Errors
    /// When it will not be reached later either: settings that do not fit, programs that are not there.
    pub(crate) async fn of(
        run: &RunDir,
        surroundings: &Surroundings,
        policy: EnvironmentPolicy,
        absence: Absence,
        tell: Tell,
    ) -> Result<Self, SchedulerError> {
        let record = run.record();
        let mut patient = Self {
            surroundings: surroundings.clone(),
            backend: record.backend.clone(),
            launcher: record.launcher.clone(),
            policy,
            capabilities: record.capabilities.clone(),
            connected: OnceCell::new(),
            absence,
            is_lost: AtomicBool::new(false),
            tell,
        };
        match patient.scheduler().await.cloned() {
            Ok(scheduler) => {
                scheduler
                    .capabilities()
                    .clone_into(&mut patient.capabilities);
                Ok(patient)
            }
            Err(error) if patient.is_lost.load(Ordering::Relaxed) => {
                tracing::debug!(%error, "not connected yet");
                Ok(patient)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the batch system can be reached, trying again for `time`.
    ///
    /// # Errors
    /// With what came last when the time is over, or when waiting does not help.
    pub(crate) async fn reached(&self, time: Duration) -> Result<(), SchedulerError> {
        let started = tokio::time::Instant::now();
        loop {
            let Err(error) = self.scheduler().await else {
                return Ok(());
            };
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() || !is_unreachable(&error) {
                return Err(error);
            }
            tokio::time::sleep(AGAIN.min(left)).await;
        }
    }

    /// Does again what could not be done since the batch system was not reached, until it is done.
    ///
    /// # Errors
    /// For everything else that goes wrong.
    pub(crate) async fn until_reached<T, F>(&self, work: impl Fn() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        loop {
            match work().await {
                Err(EngineError::Scheduler(error)) if is_unreachable(&error) => {
                    self.note(&error);
                    tokio::time::sleep(AGAIN).await;
                }
                done => return done,
            }
        }
    }

    async fn scheduler(&self) -> Result<&Arc<dyn Scheduler>, SchedulerError> {
        let connect = || {
            backends::connect(
                &self.surroundings,
                &self.backend,
                &self.launcher,
                &self.policy,
            )
        };
        if let Some(scheduler) = self.connected.get() {
            return Ok(scheduler);
        }
        self.noted(self.connected.get_or_try_init(connect).await)
    }

    /// Tells of a loss or a return, if the answer is one.
    fn noted<T>(&self, answer: Result<T, SchedulerError>) -> Result<T, SchedulerError> {
        match &answer {
            Ok(_) => self.found(),
            Err(error) => self.note(error),
        }
        answer
    }

    fn note(&self, error: &SchedulerError) {
        let is_absent = error.kind() == SchedulerErrorKind::NotInstalled;
        let may_return = is_unreachable(error) || (is_absent && self.absence == Absence::Passes);
        if may_return && !self.is_lost.swap(true, Ordering::Relaxed) {
            (self.tell)(&format!(
                "the batch system cannot be reached ({}); trying again every {} s",
                words(error),
                AGAIN.as_secs()
            ));
        }
    }

    fn found(&self) {
        if self.is_lost.swap(false, Ordering::Relaxed) {
            (self.tell)("the batch system answers again");
        }
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient")
            .field("backend", &self.backend.name)
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Scheduler for Patient {
    fn name(&self) -> &str {
        &self.backend.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn render(&self, request: &JobRequest) -> Result<Rendered, SchedulerError> {
        match self.connected.get() {
            Some(scheduler) => scheduler.render(request),
            None => Err(SchedulerError::new(
                SchedulerErrorKind::Unreachable,
                "the batch system has not been reached yet",
            )),
        }
    }

    async fn submit(&self, request: &JobRequest) -> Result<JobId, SubmitError> {
        let scheduler = self.scheduler().await.map_err(SubmitError::nothing_sent)?;
        let answer = scheduler.submit(request).await;
        match &answer {
            Ok(_) => self.found(),
            // What is refused for now is the run's business, not a loss.
            Err(failed) if failed.error.kind() == SchedulerErrorKind::Busy => {}
            Err(failed) => self.note(&failed.error),
        }
        answer
    }

    async fn status(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError> {
        self.noted(self.scheduler().await?.status(jobs).await)
    }

    async fn cancel(&self, targets: &[Target]) -> Result<(), SchedulerError> {
        self.noted(self.scheduler().await?.cancel(targets).await)
    }

    async fn find(&self, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
        self.noted(self.scheduler().await?.find(tags).await)
    }
}
