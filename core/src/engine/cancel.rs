use std::time::Duration;

use super::pass::targets;
use super::{DispatchOptions, EngineError, RunState, Services, State, Width, dispatch};
use crate::id::{JobId, Tag};
use crate::journal::SubmissionKind;
use crate::rundir::{Request, RunDir, Selection};
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

/// Cancels elements of a run, or where none are named the run: nothing of it starts after this returns.
///
/// The request is recorded first, outside the lease: dispatch looks for it before every request, workers
/// before every body. For the whole run, jobs that would plan again are cancelled then, the lease is taken
/// over from whoever holds it, the rest is cancelled by id and by tag, and looked for until it is gone.
///
/// A body that runs in the same array index as others (`batch`) runs to its end when only it is cancelled.
pub async fn cancel(
    dir: &RunDir,
    scheduler: &dyn Scheduler,
    services: &Services,
    what: &[Selection],
) -> Result<CancelReport, EngineError> {
    let graph = Graph::check(dir.record().description.clone())?;
    let state = State::read(dir, &graph)?;
    let nothing = |state: &State| CancelReport {
        state: state.finished.unwrap_or(RunState::Running),
        was_over: true,
        left: Vec::new(),
    };
    if state.finished == Some(RunState::Cancelled) && what.is_empty() {
        // Whoever cancelled it may not have come to the end of it.
        let (left, was_any) = sweep(&state, scheduler).await?;
        return Ok(CancelReport {
            was_over: !was_any,
            left,
            ..nothing(&state)
        });
    }
    if state.finished.is_some() {
        return Ok(nothing(&state));
    }
    if !what.is_empty() {
        return cancel_parts(dir, &graph, &state, scheduler, services, what).await;
    }
    services.probe.reach("engine/cancel-request").await;
    let number = dir.request(&Request::Cancel { what: Vec::new() })?;
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
    let after = loop {
        let options = DispatchOptions {
            own: None,
            force: true,
        };
        match dispatch(dir, scheduler, services, &options).await {
            // A dispatch that was about to end took the lease in between; it has seen the request by now.
            Ok(_) | Err(EngineError::TakenOver) => {}
            Err(error) => return Err(error),
        }
        let after = State::read(dir, &graph)?;
        if after.requests > number && (after.finished.is_some() || !after.is_cancelled) {
            break after;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // Where somebody asked for a retry meanwhile, what was sent since is not ours to cancel.
    let is_over = after.finished.is_some();
    let (left, _) = sweep(if is_over { &after } else { &state }, scheduler).await?;
    let state = after;
    Ok(CancelReport {
        state: state.finished.unwrap_or(RunState::Cancelled),
        was_over: false,
        left,
    })
}

/// Cancels elements and verifies that their jobs are gone.
async fn cancel_parts(
    dir: &RunDir,
    graph: &Graph,
    before: &State,
    scheduler: &dyn Scheduler,
    services: &Services,
    what: &[Selection],
) -> Result<CancelReport, EngineError> {
    let mut is_over = true;
    for selection in what {
        let task = before.task(selection.task);
        if task.width == Width::Unknown && selection.elements.is_some() {
            let name = &graph.declared(selection.task).name;
            return Err(EngineError::Invalid(format!(
                "it is not known yet how many elements `{name}` has: cancel the whole task, or wait"
            )));
        }
        is_over &= task.width != Width::Unknown;
        is_over &= !(0..).zip(&task.elements).any(|(element, entry)| {
            !entry.state.is_ended() && selection.contains(selection.task, element)
        });
    }
    if is_over {
        return Ok(CancelReport {
            state: RunState::Running,
            was_over: true,
            left: Vec::new(),
        });
    }
    let targets: Vec<Target> = before
        .tagged(before.carried(what))
        .iter()
        .flat_map(|(tag, elements)| targets(before, tag, elements))
        .collect();
    services.probe.reach("engine/cancel-request").await;
    let number = dir.request(&Request::Cancel {
        what: what.to_vec(),
    })?;
    let state = loop {
        match dispatch(dir, scheduler, services, &DispatchOptions::default()).await {
            Ok(_) | Err(EngineError::TakenOver) => {}
            Err(error) => return Err(error),
        }
        let state = State::read(dir, graph)?;
        if state.requests > number {
            break state;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let mut left = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(APART).await;
        }
        left = still_there(scheduler, &targets).await?;
        if left.is_empty() {
            break;
        }
        scheduler.cancel(&left).await?;
    }
    let mut left: Vec<JobId> = left.into_iter().map(|target| target.job).collect();
    left.dedup();
    Ok(CancelReport {
        state: state.finished.unwrap_or(RunState::Running),
        was_over: false,
        left,
    })
}

/// Returns the targets that the batch system still has.
async fn still_there(
    scheduler: &dyn Scheduler,
    targets: &[Target],
) -> Result<Vec<Target>, EngineError> {
    let mut jobs: Vec<JobId> = targets.iter().map(|target| target.job.clone()).collect();
    jobs.sort();
    jobs.dedup();
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let statuses = scheduler.status(&jobs).await?;
    let is_there = |target: &Target| {
        let Some(status) = statuses.iter().find(|status| status.job == target.job) else {
            return false;
        };
        match target.index {
            None => is_left(&status.state),
            Some(index) => {
                let mut elements = status.elements.iter();
                elements.any(|element| element.index == index && is_left(&element.state))
            }
        }
    };
    Ok(targets.iter().filter(|it| is_there(it)).cloned().collect())
}

fn is_left(state: &JobState) -> bool {
    matches!(state, JobState::Pending { .. } | JobState::Running { .. })
}

/// Cancels everything that carries a tag of the run until nothing of it is left, twice in a row.
/// Returns what is left all the same, and whether there was anything.
async fn sweep(
    state: &State,
    scheduler: &dyn Scheduler,
) -> Result<(Vec<JobId>, bool), EngineError> {
    let tags: Vec<Tag> = state
        .submissions
        .iter()
        .map(|submission| submission.record.tag.clone())
        .collect();
    let mut left = Vec::new();
    let mut empty = 0;
    let mut was_any = false;
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
            was_any = true;
            let targets: Vec<Target> = left.iter().cloned().map(Target::whole).collect();
            scheduler.cancel(&targets).await?;
        }
    }
    Ok((left, was_any))
}
