use std::collections::{HashMap, HashSet};

use super::fault::{CheckErrors, CheckFault, Faults};
use super::wiring::{self, Downstream, Upstream};
use super::{
    Description, Graph, Input, ParameterDescription, ParameterKind, Parameters, SCHEMA, Source,
    Task, TaskDescription, TaskIndex, Type, sorted,
};
use crate::id::TaskName;
use crate::nearest::nearest;

impl Graph {
    /// Checks a description whole and works out how data flows through it.
    ///
    /// The cost is linear in tasks and parameters. Command bodies are the business of their host and
    /// are checked there.
    ///
    /// # Errors
    /// Every error of the workflow at once, each with its task and parameter.
    pub fn check(description: Description) -> Result<Self, CheckErrors> {
        let mut faults = Faults::default();
        if description.schema != SCHEMA {
            let found = description.schema;
            faults.workflow(CheckFault::Schema { found });
            return Err(errors(&description, faults));
        }
        let names = names(&description, &mut faults);
        let mut tasks: Vec<Task> = Vec::with_capacity(description.tasks.len());
        for task in &description.tasks {
            limits(task, &mut faults);
            parameters(task, &mut faults);
            let wired = wire(&description, &names, task, &mut faults);
            tasks.push(wired);
        }
        consumers(&mut tasks);
        let order = sorted::order(&tasks).unwrap_or_else(|| {
            for circle in sorted::circles(&tasks) {
                let name = |task: &TaskIndex| description.tasks[task.get()].name.to_string();
                let mut path: Vec<String> = circle.iter().map(name).collect();
                let first = path[0].clone();
                path.push(first.clone());
                faults.task(&first, CheckFault::Cycle { path });
            }
            Vec::new()
        });
        let parameters = Parameters::of(&description, &mut faults);
        if faults.0.is_empty() {
            Ok(Self {
                description,
                tasks,
                order,
                names,
                parameters,
            })
        } else {
            Err(errors(&description, faults))
        }
    }
}

/// Errors in the order of the tasks, so that a reader goes through the file once.
fn errors(description: &Description, faults: Faults) -> CheckErrors {
    let mut errors = faults.0;
    let mut position = HashMap::new();
    for (index, task) in description.tasks.iter().enumerate() {
        position.entry(task.name.as_str()).or_insert(index + 1);
    }
    errors.sort_by_key(|error| {
        let task = error.task.as_deref();
        task.map_or(0, |task| position.get(task).copied().unwrap_or(0))
    });
    CheckErrors {
        workflow: description.name.to_string(),
        errors,
    }
}

fn names(description: &Description, faults: &mut Faults) -> HashMap<TaskName, TaskIndex> {
    let mut names = HashMap::with_capacity(description.tasks.len());
    let mut folded: HashMap<String, &TaskName> = HashMap::with_capacity(description.tasks.len());
    for (index, task) in description.tasks.iter().enumerate() {
        let name = &task.name;
        if names.contains_key(name) {
            faults.task(name, CheckFault::DuplicateTask);
            continue;
        }
        names.insert(name.clone(), TaskIndex(index as u32));
        if let Some(other) = folded.insert(name.as_str().to_ascii_lowercase(), name) {
            let other = other.to_string();
            faults.task(name, CheckFault::CaseOnly { other });
        }
    }
    names
}

fn limits(task: &TaskDescription, faults: &mut Faults) {
    for (key, value) in [
        ("array_parallelism", task.array_parallelism),
        ("batch", task.batch),
    ] {
        if value.is_some() && !task.array {
            faults.task(&task.name, CheckFault::OnlyArrays { key });
        } else if value == Some(0) {
            faults.task(&task.name, CheckFault::Zero { key });
        }
    }
    for (key, value) in [
        ("cpus", task.resources.cpus),
        ("nodes", task.resources.nodes),
        ("tasks", task.resources.tasks),
    ] {
        if value == Some(0) {
            faults.task(&task.name, CheckFault::Zero { key });
        }
    }
    for (key, value) in [
        ("retry_mem", task.retry.mem),
        ("retry_time", task.retry.time),
    ] {
        if let Some(value) = value
            && !(value.is_finite() && value >= 1.0)
        {
            faults.task(&task.name, CheckFault::Factor { key, value });
        }
    }
    for (name, value) in &task.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let name = name.clone();
            faults.task(&task.name, CheckFault::Variable { name });
        }
    }
    if let Some(fault) = literal_fault(&task.returns) {
        faults.task(&task.name, fault);
    }
}

fn parameters(task: &TaskDescription, faults: &mut Faults) {
    let mut seen = HashSet::with_capacity(task.parameters.len());
    for parameter in &task.parameters {
        let mut fault = |fault| faults.parameter(&task.name, &parameter.name, fault);
        if !seen.insert(&parameter.name) {
            fault(CheckFault::DuplicateParameter);
        }
        if let Some(literal) = literal_fault(&parameter.ty) {
            fault(literal);
        }
        match &parameter.kind {
            ParameterKind::Plain {
                default: Some(default),
                ..
            } => {
                if let Err(mismatch) = parameter.ty.check(default) {
                    fault(mismatch.into());
                }
            }
            ParameterKind::RunDir if !matches!(parameter.ty, Type::Path | Type::Str) => {
                let ty = parameter.ty.clone();
                fault(CheckFault::RunDirType { ty });
            }
            _ => {}
        }
    }
}

fn literal_fault(ty: &Type) -> Option<CheckFault> {
    match ty {
        Type::Literal(choices) if choices.is_empty() => Some(CheckFault::NoChoices),
        Type::Literal(choices) => {
            let mut seen = HashSet::new();
            let twice = choices.iter().find(|choice| !seen.insert(*choice))?;
            let choice = twice.clone();
            Some(CheckFault::DuplicateChoice { choice })
        }
        Type::List(inner) | Type::Optional(inner) | Type::Coded(inner, _) => literal_fault(inner),
        _ => None,
    }
}

fn find(
    description: &Description,
    names: &HashMap<TaskName, TaskIndex>,
    name: &str,
) -> Result<TaskIndex, CheckFault> {
    names.get(name).copied().ok_or_else(|| {
        let tasks = description.tasks.iter().map(|task| task.name.as_str());
        CheckFault::UnknownStep {
            name: name.to_owned(),
            nearest: nearest(name, tasks).map(str::to_owned),
        }
    })
}

fn wire(
    description: &Description,
    names: &HashMap<TaskName, TaskIndex>,
    task: &TaskDescription,
    faults: &mut Faults,
) -> Task {
    let mut wired = Task::default();
    // A wrong wire has its own error: that it gives no width is no second one.
    let mut refused = false;
    for parameter in &task.parameters {
        match input(description, names, task, parameter) {
            Ok(input) => wired.inputs.extend(input),
            Err(errors) => {
                refused = true;
                for fault in errors {
                    faults.parameter(&task.name, &parameter.name, fault);
                }
            }
        }
    }
    for name in &task.after {
        match find(description, names, name) {
            Ok(_) if name == task.name.as_str() => {
                faults.task(&task.name, CheckFault::AfterItself);
            }
            Ok(index) if wired.after.contains(&index) => {}
            Ok(index) => wired.after.push(index),
            Err(fault) => faults.task(&task.name, fault),
        }
    }
    let spread = |input: &Input| input.delivery == super::Delivery::Spread;
    if task.array && !refused && !wired.inputs.iter().any(spread) {
        faults.task(&task.name, CheckFault::NoFanOut);
    }
    wired
}

/// The wires of one parameter; nothing where it takes no results.
fn input(
    description: &Description,
    names: &HashMap<TaskName, TaskIndex>,
    task: &TaskDescription,
    parameter: &ParameterDescription,
) -> Result<Option<Input>, Vec<CheckFault>> {
    let ParameterKind::Result {
        steps,
        concatenate,
        broadcast,
    } = &parameter.kind
    else {
        return Ok(None);
    };
    let mut faults = Vec::new();
    if steps.is_empty() {
        faults.push(CheckFault::NoSteps);
    }
    if *broadcast && !task.array {
        faults.push(CheckFault::BroadcastIntoSingle);
    }
    let mut tasks = Vec::with_capacity(steps.len());
    for step in steps {
        match find(description, names, step) {
            Ok(index) => tasks.push(index),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let upstream: Vec<Upstream<'_>> = tasks
        .iter()
        .map(|index| {
            let from = &description.tasks[index.get()];
            Upstream {
                array: from.array,
                returns: &from.returns,
            }
        })
        .collect();
    let to = Downstream {
        array: task.array,
        takes: &parameter.ty,
        concatenate: *concatenate || steps.len() > 1,
        broadcast: *broadcast,
    };
    let (delivery, items) = wiring::infer(to, &upstream).map_err(|refusal| {
        let from = upstream[refusal.source];
        vec![CheckFault::Wire {
            takes: parameter.ty.to_string(),
            into_array: task.array,
            from: if from.array { "array task" } else { "task" },
            step: steps[refusal.source].clone(),
            returns: from.returns.to_string(),
            advice: refusal.hint,
        }]
    })?;
    let sources = tasks
        .into_iter()
        .zip(items)
        .map(|(task, items)| Source { task, items })
        .collect();
    Ok(Some(Input {
        parameter: parameter.name.clone(),
        delivery,
        sources,
    }))
}

fn consumers(tasks: &mut [Task]) {
    for index in 0..tasks.len() {
        let consumer = TaskIndex(index as u32);
        for needed in sorted::needs(&tasks[index]) {
            let consumers = &mut tasks[needed.get()].consumers;
            // Consumers come in order, so one that is there already is the last.
            if consumers.last() != Some(&consumer) {
                consumers.push(consumer);
            }
        }
    }
}
