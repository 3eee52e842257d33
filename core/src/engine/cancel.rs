use std::time::Duration;

use super::{DispatchOptions, Dispatched, EngineError, RunState, Services, State, dispatch};
use crate::id::{JobId, Tag};
use crate::journal::SubmissionKind;
use crate::rundir::{Request, RunDir};
use crate::scheduler::{Found, JobState, Scheduler, Target};
use crate::workflow::Graph;

/// How often it is looked whether anything is left, and how far apart.
const LOOKS: u32 = 30;
const APART: Duration = Duration::from_secs(1);

/// What a cancellation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReport {
    /// How the run has ended.
    pub state: RunState,
    /// Whether it had ended before, so that nothing was changed.
    pub was_over: bool,
    /// Jobs that the batch system still runs: their processes are being ended.
    pub left: Vec<JobId>,
}

/// Cancels a run: nothing of it starts after this returns.
///
/// The request is recorded first, outside the lease: dispatch looks for it before every request, workers
/// before every body. Then jobs that would plan again are cancelled, the lease is taken over from whoever
/// holds it, the rest is cancelled by id and by tag, and looked for until it is gone.
pub async fn cancel(
    dir: &RunDir,
    scheduler: &dyn Scheduler,
    services: &Services,
) -> Result<CancelReport, EngineError> {
    let graph = Graph::check(dir.record().description.clone())?;
    let state = State::read(dir, &graph)?;
    if let Some(finished) = state.finished {
        return Ok(CancelReport {
            state: finished,
            was_over: true,
            left: Vec::new(),
        });
    }
    services.probe.reach("engine/cancel-request").await;
    dir.request(&Request::Cancel { what: Vec::new() })?;
    let (mut guards, mut drivers) = (Vec::new(), Vec::new());
    for (_, submission) in state.live() {
        match (&submission.record.kind, &submission.job) {
            (SubmissionKind::Guard { .. }, Some(job)) => guards.push(Target::whole(job.clone())),
            (SubmissionKind::Dispatch, Some(job)) => drivers.push(Target::whole(job.clone())),
            _ => {}
        }
    }
    guards.append(&mut drivers);
    if !guards.is_empty()
        && let Err(error) = scheduler.cancel(&guards).await
    {
        tracing::warn!(%error, "dispatch jobs could not be cancelled; they stop by themselves");
    }
    loop {
        match dispatch(
            dir,
            scheduler,
            services,
            &DispatchOptions {
                own: None,
                force: true,
            },
        )
        .await
        {
            Ok(Dispatched::Done {
                finished: Some(_), ..
            }) => break,
            // A dispatch that was about to end took the lease in between; it has seen the request by now.
            Ok(_) | Err(EngineError::TakenOver) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
    let state = State::read(dir, &graph)?;
    let left = sweep(&state, scheduler).await?;
    Ok(CancelReport {
        state: state.finished.unwrap_or(RunState::Cancelled),
        was_over: false,
        left,
    })
}

/// Cancels everything that carries a tag of the run until nothing of it is left, twice in a row.
async fn sweep(state: &State, scheduler: &dyn Scheduler) -> Result<Vec<JobId>, EngineError> {
    let tags: Vec<Tag> = state
        .submissions
        .iter()
        .map(|submission| submission.record.tag.clone())
        .collect();
    let mut left = Vec::new();
    let mut empty = 0;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(APART).await;
        }
        let mut jobs: Vec<JobId> = Vec::new();
        for found in scheduler.find(&tags).await? {
            if let Found::Present(found) = found {
                jobs.extend(found);
            }
        }
        jobs.extend(
            state
                .submissions
                .iter()
                .filter_map(|submission| submission.job.clone()),
        );
        jobs.sort();
        jobs.dedup();
        let statuses = scheduler.status(&jobs).await?;
        let is_left =
            |state: &JobState| matches!(state, JobState::Pending { .. } | JobState::Running { .. });
        left = statuses
            .into_iter()
            .filter(|status| is_left(&status.state))
            .map(|status| status.job)
            .collect();
        if left.is_empty() {
            empty += 1;
            if empty == 2 {
                break;
            }
        } else {
            empty = 0;
            let targets: Vec<Target> = left.iter().cloned().map(Target::whole).collect();
            scheduler.cancel(&targets).await?;
        }
    }
    Ok(left)
}
