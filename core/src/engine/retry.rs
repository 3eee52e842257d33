use std::path::PathBuf;
use std::time::Duration;

use super::plan::{self, Room, Snapshot};
use super::submit::{launcher, pin};
use super::{DispatchOptions, EngineError, RunState, Services, State, dispatch};
use crate::elements::ElementSet;
use crate::rundir::{Request, RunDir, RunUpdate, Selection};
use crate::scheduler::Scheduler;
use crate::workflow::{Graph, ParameterKind, TaskIndex};

/// What is to be tried again.
#[derive(Debug, Default)]
pub struct RetryRequest {
    /// Elements that failed, were lost, cancelled or skipped; all of them where none are named. What an
    /// element that was skipped needs is tried with it.
    pub what: Vec<Selection>,
    /// A later version of the workflow to run them with.
    pub update: Option<Update>,
}

/// A later version of a workflow: the same tasks with other bodies or resources.
#[derive(Debug)]
pub struct Update {
    /// The workflow.
    pub graph: Graph,
    /// reflow's own program, as for [`SubmitRequest`](super::SubmitRequest).
    pub program: Option<PathBuf>,
    /// How reflow's own program is started, where `program` is not set.
    pub launcher: Vec<String>,
    /// Workflow files, kept with the run.
    pub files: Vec<PathBuf>,
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryReport {
    /// The elements by task; none where there was nothing to do, and nothing was changed. A task without
    /// elements is one whose number of elements was not known before.
    pub elements: Vec<(TaskIndex, ElementSet)>,
    /// The state of the run: how it ended, where there was nothing to do.
    pub state: RunState,
}

/// Has elements that ended without a value run again, with the same limits, in attempts of their own.
///
/// The request is recorded first: should this die, the next dispatch carries it out.
///
/// # Errors
///
/// [`EngineError::Invalid`] when the update has other tasks, parameters or wires than the run.
/// [`EngineError::Paused`] when the batch system takes no jobs for now, and [`EngineError::Refused`] when
/// it refuses one for good.
pub async fn retry(
    dir: &RunDir,
    scheduler: &dyn Scheduler,
    services: &Services,
    request: RetryRequest,
) -> Result<RetryReport, EngineError> {
    let graph = Graph::check(dir.record().description.clone())?;
    if let Some(update) = &request.update {
        check_update(&graph, &update.graph)?;
    }
    let state = State::read(dir, &graph)?;
    let snapshot = Snapshot {
        run: &dir.record().run_id,
        graph: &graph,
        state: &state,
        dispatch: dir.record().dispatch,
        own: None,
        room: Room::default(),
    };
    let elements = plan::select(snapshot, scheduler.capabilities(), &request.what);
    if elements.is_empty() {
        return Ok(RetryReport {
            elements,
            state: state.finished.unwrap_or(RunState::Running),
        });
    }
    let mut dir = dir.clone();
    if let Some(update) = request.update {
        let launcher = launcher(update.program.as_deref(), &update.launcher, |program| {
            pin(dir.path(), program)
        })?;
        for file in &update.files {
            pin(dir.path(), file)?;
        }
        RunUpdate {
            description: update.graph.description().clone(),
            launcher,
        }
        .add(&dir.inside("updates"), dir.updates())?;
        dir = RunDir::open(dir.path())?;
    }
    services.probe.reach("engine/retry-request").await;
    let number = dir.request(&Request::Retry {
        what: request.what,
        updates: dir.updates(),
    })?;
    loop {
        let done = dispatch(&dir, scheduler, services, &DispatchOptions::default()).await;
        match done {
            Ok(super::Dispatched::Done {
                refused: Some((task, message)),
                ..
            }) => return Err(EngineError::Refused { task, message }),
            Ok(super::Dispatched::Done {
                paused: Some(message),
                ..
            }) => {
                return Err(EngineError::Paused {
                    run_id: dir.record().run_id.clone(),
                    message,
                });
            }
            Ok(_) | Err(EngineError::TakenOver) => {}
            Err(error) => return Err(error),
        }
        let state = State::read(&dir, &graph)?;
        if state.requests > number {
            return Ok(RetryReport {
                elements,
                state: state.finished.unwrap_or(RunState::Running),
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Checks that what has run, and what was read from it, means the same in the later version.
fn check_update(old: &Graph, new: &Graph) -> Result<(), EngineError> {
    let refuse = |what: String| {
        Err(EngineError::Invalid(format!(
            "{what}: submit the workflow as a new run"
        )))
    };
    let (old, new) = (old.description(), new.description());
    let names = |description: &crate::workflow::Description| -> Vec<String> {
        let tasks = description.tasks.iter();
        tasks.map(|task| task.name.to_string()).collect()
    };
    if old.name != new.name {
        return refuse(format!(
            "the run is of workflow `{}`, and this is `{}`",
            old.name, new.name
        ));
    }
    if names(old) != names(new) {
        return refuse("the workflow has other tasks than the run, or in another order".to_owned());
    }
    for (old, new) in old.tasks.iter().zip(&new.tasks) {
        let wires = |task: &crate::workflow::TaskDescription| {
            let parameters: Vec<_> = task
                .parameters
                .iter()
                .map(|parameter| {
                    let kind = match &parameter.kind {
                        ParameterKind::Plain { .. } => None,
                        kind => Some(kind.clone()),
                    };
                    (parameter.name.clone(), parameter.ty.clone(), kind)
                })
                .collect();
            (
                task.array,
                task.returns.clone(),
                task.after.clone(),
                parameters,
            )
        };
        if wires(old) != wires(new) {
            return refuse(format!(
                "task `{}` has other parameters, wires or another return type than in the run",
                old.name
            ));
        }
    }
    Ok(())
}
