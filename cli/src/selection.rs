use reflow_core::elements::ElementSet;
use reflow_core::engine::{self, TaskStatus};
use reflow_core::id::TaskName;
use reflow_core::nearest::nearest;
use reflow_core::rundir::{RunDir, Selection};
use reflow_core::workflow::{Description, Graph, TaskDescription, TaskIndex};

use crate::element::{SelectedName, ranges};
use crate::error::CliError;

/// Returns the elements of a run that are meant. What is wrong is said all together.
pub(crate) fn select(run: &RunDir, names: &[SelectedName]) -> Result<Vec<Selection>, CliError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let tasks = engine::status(run)?.tasks;
    let mut selected: Vec<Selection> = Vec::new();
    let mut wrong = Vec::new();
    for name in names {
        match one(run, &tasks, name) {
            Ok(selection) => add(&mut selected, selection),
            Err(message) => wrong.push(message),
        }
    }
    match wrong.len() {
        0 => Ok(selected),
        1 => Err(CliError::request(wrong.remove(0))),
        _ => Err(CliError::request(format!(
            "the run `{}` has not all of these",
            run.record().run_id
        ))
        .with_details(wrong)),
    }
}

/// Adds elements to those that are meant already.
fn add(selected: &mut Vec<Selection>, more: Selection) {
    let Some(known) = selected.iter_mut().find(|known| known.task == more.task) else {
        return selected.push(more);
    };
    known.elements = match (known.elements.take(), more.elements) {
        (Some(these), Some(those)) => Some(ElementSet::from_ranges(
            [these.ranges(), those.ranges()].concat(),
        )),
        _ => None,
    };
}

fn one(run: &RunDir, tasks: &[TaskStatus], name: &SelectedName) -> Result<Selection, String> {
    let SelectedName { task, elements } = name;
    let Some(position) = tasks.iter().position(|known| known.name == *task) else {
        let names = tasks.iter().map(|task| task.name.as_str());
        return Err(no_task(&run.record().description, task.as_str(), names));
    };
    let status = &tasks[position];
    if let Some(elements) = elements {
        check(status, elements)?;
    }
    Ok(Selection {
        task: TaskIndex(position as u32),
        elements: elements.clone(),
    })
}

/// Returns the task of a workflow that is named.
pub(crate) fn task<'g>(graph: &'g Graph, name: &str) -> Result<&'g TaskDescription, CliError> {
    if let Some(task) = graph.find(name) {
        return Ok(graph.declared(task));
    }
    let description = graph.description();
    let names = description.tasks.iter().map(|task| task.name.as_str());
    Err(CliError::request(no_task(description, name, names)))
}

fn no_task<'n>(
    workflow: &Description,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> String {
    let near =
        nearest(name, names).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let workflow = &workflow.name;
    format!("the workflow `{workflow}` has no task `{name}`{near}")
}

fn check(task: &TaskStatus, elements: &ElementSet) -> Result<(), String> {
    let name = &task.name;
    if !task.array {
        return Err(format!(
            "`{name}` is no array task, so it has no index: name `{name}`"
        ));
    }
    let last = elements.ranges().last().map_or(0, |(_, end)| end - 1);
    match task.width {
        None => Err(match &task.message {
            Some(message) => format!("`{name}` has no elements: {}", message.trim()),
            None => format!(
                "it is not known yet how many elements `{name}` has: name all of them as `{name}`"
            ),
        }),
        Some(width) if last >= width => Err(format!(
            "`{name}` has {width} elements, so its indices end before {last}"
        )),
        Some(_) => Ok(()),
    }
}

/// Returns elements of a task as people name them.
pub(crate) fn shown(task: &TaskName, is_array: bool, elements: &ElementSet) -> String {
    if is_array && !elements.is_empty() {
        format!("{task}[{}]", ranges(elements))
    } else {
        task.to_string()
    }
}

/// Returns the element, where just one is named.
pub(crate) fn only(elements: Option<&ElementSet>) -> Option<u32> {
    elements
        .filter(|elements| elements.len() == 1)
        .and_then(ElementSet::first)
}
