//! Why the jobs of a run wait, as the batch system tells it: asked where people wonder.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use reflow_core::engine::{self, RunStatus};
use reflow_core::id::{JobId, TaskName};
use reflow_core::rundir::RunDir;
use reflow_core::scheduler::{JobState, JobStatus, Scheduler, SchedulerError};
use serde::Serialize;

use crate::patience::Tell;
use crate::run_reference::shell_name;

/// When somebody who waits asks for the first time, and how often at most and at least from then on.
const FIRST: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_mins(1);

/// A job that waits in the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Waiting {
    /// The task that it carries elements of.
    pub(crate) task: TaskName,
    pub(crate) job: JobId,
    /// Why it waits, in the batch system's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether the batch system says that it, or an element of it, can never start.
    pub(crate) never: bool,
}

/// Asks the batch system, in one question, about the jobs of tasks that have queued elements.
pub(crate) async fn waiting(
    status: &RunStatus,
    scheduler: &dyn Scheduler,
) -> Result<Vec<Waiting>, SchedulerError> {
    let (tasks, jobs): (Vec<&TaskName>, Vec<JobId>) = status
        .tasks
        .iter()
        .filter(|task| task.elements.queued > 0)
        .flat_map(|task| task.jobs.iter().map(|job| (&task.name, job.clone())))
        .unzip();
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let answers = scheduler.status(&jobs).await?;
    let waiting = tasks
        .into_iter()
        .zip(&answers)
        .filter_map(|(task, answer)| {
            let (reason, never) = pending(answer)?;
            Some(Waiting {
                task: task.clone(),
                job: answer.job.clone(),
                reason,
                never,
            })
        });
    Ok(waiting.collect())
}

/// Returns why a job waits, if anything of it does: an element that can never start comes first.
fn pending(status: &JobStatus) -> Option<(Option<String>, bool)> {
    let states = std::iter::once(&status.state).chain(status.elements.iter().map(|it| &it.state));
    states
        .filter_map(|state| match state {
            JobState::Pending { reason, never } => Some((reason.clone(), *never)),
            _ => None,
        })
        .reduce(|one, other| if other.1 && !one.1 { other } else { one })
}

/// Returns what to do about jobs of a task that can never start.
pub(crate) fn advice(run: &str, task: &TaskName) -> String {
    format!(
        "`reflow cancel {run} --task {task}`, ask for less, and go on with `reflow retry {run} --update`"
    )
}

/// Asks from time to time, and tells once of each job that can never start. A batch system that does not
/// answer is told of by others.
pub(crate) async fn tell_of_hopeless(
    run: &RunDir,
    scheduler: &dyn Scheduler,
    tell: &Tell,
) -> Infallible {
    let mut told = BTreeSet::new();
    let mut suspected = BTreeSet::new();
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).clamp(SOON, SELDOM);
        let Ok(status) = engine::status(run) else {
            continue;
        };
        let Ok(found) = waiting(&status, scheduler).await else {
            continue;
        };
        let now: BTreeSet<Waiting> = found.into_iter().filter(|it| it.never).collect();
        // What waits for a job that is gone is planned again: only what stays is worth a word.
        for hopeless in now.intersection(&suspected) {
            if told.insert(hopeless.job.clone()) {
                let Waiting { task, job, .. } = hopeless;
                let reason = hopeless.reason.as_deref().unwrap_or("no reason is given");
                tell(&format!(
                    "job {job} of `{task}` can never start: {reason}; {}",
                    advice(&shell_name(run), task)
                ));
            }
        }
        suspected = now;
    }
}

#[cfg(test)]
mod tests {
    use reflow_core::scheduler::ElementStatus;

    use super::*;

    fn state(reason: &str, never: bool) -> JobState {
        JobState::Pending {
            reason: Some(reason.to_owned()),
            never,
        }
    }

    #[test]
    fn an_element_that_can_never_start_is_the_reason_of_its_array() {
        let job = JobStatus {
            job: JobId::new("7[].server").expect("an id"),
            state: state("Not Running: Insufficient amount of resource: ncpus", false),
            elements: (0..2)
                .map(|index| ElementStatus {
                    index,
                    state: state(&format!("element {index}"), index == 1),
                })
                .collect(),
        };
        assert_eq!(pending(&job), Some((Some("element 1".to_owned()), true)));
        let over = JobStatus {
            state: JobState::Unknown,
            elements: Vec::new(),
            ..job
        };
        assert_eq!(pending(&over), None);
    }
}
