use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::status::{log_of, part_of, with_extension};
use super::view::View;
use super::{ElementState, EngineError, Phase, State, Width};
use crate::id::TaskName;
use crate::identity::Digest;
use crate::journal::SubmissionKind;
use crate::results::{ResultFinder, ResultRecord, Taken};
use crate::rundir::RunDir;
use crate::workflow::{Graph, TaskIndex};

/// The output of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementLog {
    /// The task.
    pub task: String,
    /// The index, for an array.
    pub index: Option<u32>,
    /// Which try, from 1.
    pub attempt: u32,
    /// Its state.
    pub state: ElementState,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The directory of the output of its job.
    pub directory: Option<PathBuf>,
}

/// Returns the value of an element, or all values of an array, in order.
///
/// # Errors
///
/// [`EngineError::NoValue`] when there is none, with the reason.
pub fn result(dir: &RunDir, task: &str, index: Option<u32>) -> Result<Value, EngineError> {
    let mut view = View::read(dir)?;
    let task = view.task(task)?;
    let elements = elements_asked_for(&view, task, index)?;
    let is_list = view.graph.is_array(task) && index.is_none();
    let mut values = Vec::with_capacity(elements.len());
    for element in elements {
        values.push(value(&mut view, task, element)?);
    }
    Ok(if is_list {
        Value::Array(values)
    } else {
        values.pop().unwrap_or(Value::Null)
    })
}

/// Returns the output of an element, or of all elements of a task that have any: of their newest try, or
/// of the one that is named, from 1.
pub fn logs(
    dir: &RunDir,
    task: &str,
    index: Option<u32>,
    attempt: Option<u32>,
) -> Result<Vec<ElementLog>, EngineError> {
    let mut view = View::read(dir)?;
    let task = view.task(task)?;
    let elements = elements_asked_for(&view, task, index)?;
    let declared = view.graph.declared(task);
    let (name, is_array) = (declared.name.to_string(), declared.array);
    let elements_are_one = elements.len() == 1;
    let mut logs = Vec::with_capacity(elements.len());
    for element in elements {
        let tries = view.tries(task, element);
        let of = match attempt {
            None => tries.last(),
            Some(attempt) => tries.iter().find(|of| u32::from(of.attempt) == attempt),
        };
        let Some(of) = of else {
            if elements_are_one {
                let last = tries.last().map_or(0, |of| of.attempt);
                return Err(EngineError::NotFound(format!(
                    "`{name}` has had {last} attempts, so there is no attempt {}",
                    attempt.unwrap_or(0)
                )));
            }
            continue;
        };
        let result = view.result(task, element, of)?;
        let mut log = ElementLog {
            task: name.clone(),
            index: is_array.then_some(element),
            attempt: u32::from(of.attempt),
            state: of.state,
            stdout: Vec::new(),
            stderr: Vec::new(),
            directory: of
                .submission
                .map(|position| view.dir.logs(&view.state.submission(position).record.tag)),
        };
        if let Some((base, span)) = result.and_then(|result| log_of(&view, of, &result)) {
            log.stdout = part_of(&with_extension(&base, "out"), span.0, span.1)?;
            log.stderr = part_of(&with_extension(&base, "err"), span.2, span.3)?;
        }
        logs.push(log);
    }
    Ok(logs)
}

/// Returns the elements of a task, or the one that is asked for.
pub(super) fn elements_asked_for(
    view: &View,
    task: TaskIndex,
    index: Option<u32>,
) -> Result<Vec<u32>, EngineError> {
    let name = &view.graph.declared(task).name;
    match (&view.state.task(task).width, index) {
        (Width::Unknown, _) => Err(EngineError::NoValue(format!(
            "it is not known yet how many elements `{name}` has"
        ))),
        (Width::Never { message, .. }, _) => Err(EngineError::NoValue(format!(
            "`{name}` has no elements: {message}"
        ))),
        (Width::Known(_), Some(_)) if !view.graph.is_array(task) => Err(EngineError::NotFound(
            format!("`{name}` is no array task, so it has no index: ask for `{name}`"),
        )),
        (Width::Known(width), Some(index)) if index >= *width => Err(EngineError::NotFound(
            format!("`{name}` has {width} elements, so its indices end before {index}"),
        )),
        (Width::Known(_), Some(index)) => Ok(vec![index]),
        (Width::Known(width), None) => Ok((0..*width).collect()),
    }
}

/// Returns the result of the newest try at an element that has a value.
pub(super) fn result_of(
    finder: &mut ResultFinder,
    state: &State,
    task: TaskIndex,
    element: u32,
) -> io::Result<Option<ResultRecord>> {
    let entry = state.task(task).elements.get(element as usize);
    let Some(entry) = entry.filter(|entry| entry.state.has_value() && entry.attempt > 0) else {
        return Ok(None);
    };
    let submission = state.submission(entry.submission);
    let SubmissionKind::Elements {
        elements, batch, ..
    } = &submission.record.kind
    else {
        return Ok(None);
    };
    // The index is of use in the spool alone; to tell it is work where there are many gaps.
    let index = match submission.phase {
        Phase::Over => 0,
        Phase::Intended | Phase::Sent => elements.rank(element) / (*batch).max(1),
    };
    finder.find(&submission.record.tag, index, element)
}

fn value(view: &mut View, task: TaskIndex, element: u32) -> Result<Value, EngineError> {
    let declared = view.graph.declared(task);
    let what = if declared.array {
        format!("{}[{element}]", declared.name)
    } else {
        declared.name.to_string()
    };
    let state = view
        .state
        .task(task)
        .elements
        .get(element as usize)
        .map_or(ElementState::Waiting, |entry| entry.state);
    if !state.has_value() {
        let why = view
            .state
            .verdicts
            .get(&(task, element))
            .map_or_else(String::new, |verdict| format!(": {}", verdict.message));
        return Err(EngineError::NoValue(format!(
            "`{what}` has no value: it is {}{why}",
            state.word()
        )));
    }
    let tries = view.tries(task, element);
    let found = match tries.last() {
        Some(of) => view.result(task, element, of)?,
        None => None,
    };
    let found = found.and_then(|result| result.value);
    let found = found.ok_or_else(|| {
        EngineError::NoValue(format!(
            "the result of `{what}` is missing from the run directory"
        ))
    })?;
    let text = view.dir.values().read(&found)?;
    serde_json::from_str(&text)
        .map_err(|error| EngineError::NoValue(format!("the value of `{what}` is no JSON: {error}")))
}

/// Returns the identity of an element that has a value, where it has one.
///
/// # Errors
/// Where there is no such task or element, or the run cannot be read.
pub fn identity(
    dir: &RunDir,
    task: &str,
    index: Option<u32>,
) -> Result<Option<Digest>, EngineError> {
    let view = View::read(dir)?;
    let task = view.task(task)?;
    let elements = elements_asked_for(&view, task, index)?;
    if elements.len() != 1 {
        let name = &view.graph.declared(task).name;
        return Err(EngineError::NotFound(format!(
            "`{name}` is an array task: name one element, as `{name}[0]`"
        )));
    }
    let mut finder = ResultFinder::new(dir.clone());
    let found = result_of(&mut finder, &view.state, task, elements[0])?;
    Ok(found.and_then(|result| result.identity))
}

/// Returns the workflow and the state of a run that has not ended.
pub(crate) fn unfinished(dir: &RunDir) -> Result<Option<(Graph, State)>, EngineError> {
    let graph = Graph::check(dir.record().description.clone())?;
    let state = State::read(dir, &graph)?;
    Ok(state.finished.is_none().then_some((graph, state)))
}

/// Returns what a run has taken from earlier runs, each with the name of the task in its flow.
pub(crate) fn remembered_by(
    dir: &RunDir,
    graph: &Graph,
    state: &State,
) -> io::Result<Vec<(TaskName, Taken)>> {
    let mut finder = ResultFinder::new(dir.clone());
    let mut all = Vec::new();
    for task in (0..graph.len() as u32).map(TaskIndex) {
        for element in state.task(task).in_state(ElementState::Cached).iter() {
            let result = result_of(&mut finder, state, task, element)?;
            if let Some(taken) = result.and_then(|result| result.taken) {
                all.push((graph.declared(task).own_name().clone(), taken));
            }
        }
    }
    Ok(all)
}
