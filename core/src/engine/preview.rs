//! What a submit would send, without sending it.

use std::collections::BTreeSet;

use super::explain::explain_imagined;
use super::plan::{Action, Room, Snapshot, plan};
use super::remember::Remembering;
use super::request::job_request;
use super::submit::{launcher, pinned, record, user_files};
use super::{ElementState, EngineError, Explanation, Services, State, SubmitRequest, Width};
use crate::elements::ElementSet;
use crate::id::{JobId, TaskName};
use crate::journal::{Raised, Record, SubmissionKind, SubmissionRecord};
use crate::rundir::RunDir;
use crate::scheduler::{DependencyKind, JobRequest, Rendered, Scheduler, SchedulerError};
use crate::store::Catalogue;
use crate::workflow::{Delivery, Graph, Items, TaskIndex};

/// What [`submit`](super::submit) would send at once, and what it would leave for later.
#[derive(Debug)]
pub struct Preview {
    /// The run as it would be. Nothing of it is on disk.
    pub run: RunDir,
    /// The requests, in the order in which they would be sent.
    pub requests: Vec<PreviewedRequest>,
    /// The tasks of which elements are left for later, in the order of definition.
    pub later: Vec<LaterTask>,
    /// Elements that would be sent at once.
    pub sent: u32,
    /// Elements whose values would be taken from earlier runs.
    pub cached: u32,
    /// What would be taken from which run, and why the rest would run.
    pub explanation: Explanation,
}

/// One request as it would be sent.
#[derive(Debug)]
pub struct PreviewedRequest {
    /// Stands for the id that the batch system will give: 1 for the first request, and so on.
    pub id: JobId,
    /// What it is for.
    pub role: PreviewedRole,
    /// The requests that it comes after.
    pub after: Vec<(JobId, DependencyKind)>,
    /// The request in the batch system's form, or why there is none.
    pub rendered: Result<Rendered, SchedulerError>,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewedRole {
    /// To run elements of a task.
    Elements {
        /// The task.
        task: TaskName,
        /// Whether it is an array task.
        array: bool,
        /// The elements.
        elements: ElementSet,
        /// Elements in one index of the array job.
        batch: u32,
    },
    /// To plan again.
    Dispatch,
    /// To plan again should a dispatch fail.
    Guard,
    /// To look some time later whether the run has come to a halt.
    Watch,
}

/// A task of which elements are left for later.
#[derive(Debug)]
pub struct LaterTask {
    /// The task.
    pub task: TaskName,
    /// Whether it is an array task.
    pub array: bool,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The request for one element of it alone, in the batch system's form, or why there is none.
    pub one: Result<Rendered, SchedulerError>,
}

/// What a task waits for before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// The results of these tasks: they say how many elements it has.
    Width(Vec<TaskName>),
    /// That these tasks are sent.
    Sending(Vec<TaskName>),
    /// Room: no more elements are sent at once.
    Room,
}

/// Plans a run from its beginning and renders what would be sent.
///
/// Nothing is sent, and nothing is written anywhere. What the batch system would refuse only when it is
/// sent is not known here.
///
/// # Errors
///
/// Where [`submit`](super::submit) would fail before it sends anything. A request that cannot be
/// rendered is told where it would stand.
pub fn preview(
    request: SubmitRequest,
    scheduler: &dyn Scheduler,
    services: &Services,
) -> Result<Preview, EngineError> {
    let (files, _) = user_files(&request)?;
    let path = RunDir::foresee(&request.run_dir)?;
    let launcher = launcher(request.program.as_deref(), &request.launcher, |program| {
        pinned(&path, program)
    })?;
    let graph = Graph::check(request.graph.description().clone())?;
    let run = RunDir::imagine(path, record(request, launcher, scheduler, services)?);
    let mut state = State::new(&graph);
    let remembering = Remembering::new(&run, &graph, Some(files.clone()), false);
    let actions = plan(
        Snapshot {
            run: &run.record().run_id,
            graph: &graph,
            state: &state,
            dispatch: run.record().dispatch,
            own: None,
            room: Room {
                jobs: run.record().backend.max_queued,
                at_once: None,
            },
        },
        scheduler.capabilities(),
        &remembering,
    );
    let mut requests = Vec::new();
    let mut sent = 0;
    for action in actions {
        match action {
            Action::Record(record) => state.apply(&record),
            Action::Cancel(_) | Action::Withdraw(_) => {}
            Action::Send(submission) => {
                let Some(request) = job_request(
                    &run,
                    &graph,
                    &state,
                    scheduler.capabilities(),
                    &submission,
                    services.clock.now_ms(),
                ) else {
                    continue;
                };
                let id = placeholder(requests.len() + 1)?;
                if let SubmissionKind::Elements { elements, .. } = &submission.kind {
                    sent += elements.len();
                }
                requests.push(PreviewedRequest {
                    id: id.clone(),
                    role: role(&graph, &submission),
                    after: edges(&request),
                    rendered: scheduler.render(&request),
                });
                let tag = submission.tag.clone();
                state.apply(&Record::Intent(submission));
                state.apply(&Record::Submitted { tag, job: id });
            }
        }
    }
    let later = (0..graph.len() as u32)
        .map(TaskIndex)
        .filter_map(|task| later(&run, &graph, &state, scheduler, task));
    let store = run.record().cache.store.as_deref();
    let explanation = explain_imagined(
        &run,
        &graph,
        &state,
        &files,
        &mut &remembering,
        store.map(Catalogue::new).as_ref(),
    )?;
    Ok(Preview {
        later: later.collect(),
        explanation,
        requests,
        sent,
        cached: state.tasks.iter().map(|task| task.counts.cached).sum(),
        run,
    })
}

fn placeholder(number: usize) -> Result<JobId, EngineError> {
    JobId::new(number.to_string()).map_err(|error| EngineError::Invalid(error.to_string()))
}

fn edges(request: &JobRequest) -> Vec<(JobId, DependencyKind)> {
    let edges = request.dependencies.iter();
    edges.map(|edge| (edge.job.clone(), edge.kind)).collect()
}

fn role(graph: &Graph, submission: &SubmissionRecord) -> PreviewedRole {
    match &submission.kind {
        SubmissionKind::Elements {
            task,
            elements,
            batch,
            ..
        } => PreviewedRole::Elements {
            task: graph.declared(*task).name.clone(),
            array: graph.is_array(*task),
            elements: elements.clone(),
            batch: *batch,
        },
        SubmissionKind::Dispatch => PreviewedRole::Dispatch,
        SubmissionKind::Guard { .. } => PreviewedRole::Guard,
        SubmissionKind::Watch { .. } => PreviewedRole::Watch,
    }
}

/// Returns what is left of a task for later, if anything is.
fn later(
    run: &RunDir,
    graph: &Graph,
    state: &State,
    scheduler: &dyn Scheduler,
    task: TaskIndex,
) -> Option<LaterTask> {
    let waits_for = waits_for(graph, state, task)?;
    let submission = one_element(run, task);
    let request = job_request(run, graph, state, scheduler.capabilities(), &submission, 0)?;
    Some(LaterTask {
        task: graph.declared(task).name.clone(),
        array: graph.is_array(task),
        waits_for,
        one: scheduler.render(&request),
    })
}

/// Returns a submission of one element of a task, without anything that it comes after.
fn one_element(run: &RunDir, task: TaskIndex) -> SubmissionRecord {
    let name = format!("{} {}", run.record().run_id, task.get());
    SubmissionRecord {
        tag: crate::id::Tag::from_digest('t', &blake3::hash(name.as_bytes())),
        kind: SubmissionKind::Elements {
            task,
            attempt: 1,
            elements: ElementSet::range(0, 1),
            batch: 1,
            raised: Raised::default(),
        },
        after: Vec::new(),
        at_most: None,
    }
}

fn waits_for(graph: &Graph, state: &State, task: TaskIndex) -> Option<WaitsFor> {
    let names = |tasks: BTreeSet<TaskIndex>| -> Vec<TaskName> {
        let names = tasks.into_iter();
        names
            .map(|task| graph.declared(task).name.clone())
            .collect()
    };
    let sources = |only_spread: bool| {
        let inputs = graph.task(task).inputs.iter();
        inputs
            .filter(move |input| !only_spread || input.delivery == Delivery::Spread)
            .flat_map(|input| &input.sources)
    };
    let is_unknown = |task: TaskIndex| state.task(task).width == Width::Unknown;
    match state.task(task).width {
        Width::Never { .. } => None,
        Width::Unknown => {
            let deciding = sources(true).filter(|source| match source.items {
                Items::One => false,
                Items::Elements => is_unknown(source.task),
                Items::List | Items::Flatten => true,
            });
            let deciding = deciding.map(|source| source.task).collect();
            Some(WaitsFor::Width(names(deciding)))
        }
        Width::Known(_) if state.task(task).counts.get(ElementState::Waiting) == 0 => None,
        Width::Known(_) => {
            let upstream = sources(false).map(|source| source.task);
            let unsent = upstream
                .chain(graph.task(task).after.iter().copied())
                .filter(|task| is_unknown(*task) || state.task(*task).counts.waiting > 0)
                .collect();
            let unsent = names(unsent);
            Some(if unsent.is_empty() {
                WaitsFor::Room
            } else {
                WaitsFor::Sending(unsent)
            })
        }
    }
}
