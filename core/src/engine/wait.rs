use std::time::Duration;

use tokio::time::Instant;

use super::{DispatchOptions, EngineError, RunState, RunStatus, Services, State, dispatch, status};
use crate::id::JobId;
use crate::rundir::{DispatchMode, RunDir};
use crate::scheduler::{JobState, Scheduler};
use crate::workflow::Graph;

/// How often the run directory is looked at: it costs nobody else anything.
const LOOK: Duration = Duration::from_millis(100);
/// How often the batch system is asked, while somebody waits.
const ASK: Duration = Duration::from_secs(2);
const SLOWEST_ASK: Duration = Duration::from_mins(1);
/// How soon it is asked again when it did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How a run is waited for.
#[derive(Debug, Clone, Copy)]
pub struct WaitOptions {
    /// The longest time between two looks at the run directory, while nothing happens.
    pub slowest_look: Duration,
    /// Whether the run is planned from here in any case, and not only where nobody else does.
    pub plans: bool,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            slowest_look: Duration::from_millis(500),
            plans: false,
        }
    }
}

/// Waits for the end of a run, and goes on with it where nobody else does.
///
/// `progress` is called with every new state. The future may be dropped at any time: the run goes on.
pub async fn wait(
    dir: &RunDir,
    scheduler: &dyn Scheduler,
    services: &Services,
    options: &WaitOptions,
    mut progress: impl FnMut(&RunStatus),
) -> Result<RunStatus, EngineError> {
    let mut look = LOOK.min(options.slowest_look);
    // Whoever plans does so at once; others give the run time to go on by itself.
    let mut ask = if options.plans { Duration::ZERO } else { ASK };
    let mut asked = Instant::now();
    let mut last: Option<RunStatus> = None;
    loop {
        let started = Instant::now();
        let now = status(dir)?;
        let cost = started.elapsed();
        if last.as_ref() == Some(&now) {
            look = (look * 2).min(options.slowest_look);
        } else {
            progress(&now);
            look = LOOK.min(options.slowest_look);
        }
        if now.state.is_final() {
            return Ok(now);
        }
        let is_on_us = options.plans
            || matches!(now.state, RunState::Stalled | RunState::Paused)
            || dir.record().dispatch == DispatchMode::Login;
        if is_on_us && last.as_ref().is_some_and(|last| *last != now) {
            // What has just ended may be what others wait for.
            ask = ask.min(ASK);
        }
        if asked.elapsed() >= ask {
            let is_driven = if is_on_us {
                Some(false)
            } else {
                is_driven(dir, scheduler).await
            };
            let mut has_answered = is_driven.is_some();
            if is_driven == Some(false) {
                match dispatch(dir, scheduler, services, &DispatchOptions::default()).await {
                    Ok(_) | Err(EngineError::TakenOver) => {}
                    Err(EngineError::Scheduler(error)) => {
                        tracing::warn!(%error, "the batch system could not be reached; trying again");
                        has_answered = false;
                    }
                    Err(error) => return Err(error),
                }
            }
            asked = Instant::now();
            ask = if has_answered {
                (ask * 2).clamp(ASK, SLOWEST_ASK)
            } else {
                ASK_AGAIN
            };
        }
        last = Some(now);
        // Looking must not cost more than a part of one core, however large the run is.
        tokio::time::sleep(look.max(cost * 10)).await;
    }
}

/// Returns whether a job is queued or runs that will plan again, where that is known. Asks about all such
/// jobs in one call.
async fn is_driven(dir: &RunDir, scheduler: &dyn Scheduler) -> Option<bool> {
    let drivers = || -> Result<Vec<JobId>, EngineError> {
        let graph = Graph::check(dir.record().description.clone())?;
        let state = State::read(dir, &graph)?;
        Ok(state
            .live()
            .filter(|(_, submission)| submission.record.drives())
            .filter_map(|(_, submission)| submission.job.clone())
            .collect())
    };
    let drivers = drivers().ok()?;
    let statuses = scheduler.status(&drivers).await.ok()?;
    Some(statuses.iter().any(|status| {
        matches!(
            status.state,
            JobState::Pending { never: false, .. } | JobState::Running { .. }
        )
    }))
}
