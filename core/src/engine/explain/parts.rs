//! What differs between a task of two runs, but for the results that its elements are given.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Reason, code};
use crate::cache::UserFiles;
use crate::workflow::{
    Bound, Delivery, Graph, ParameterDescription, ParameterKind, TaskDescription, TaskIndex,
};

/// A task of a run, and what the user gave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskSide<'a> {
    pub(super) graph: &'a Graph,
    pub(super) task: TaskIndex,
    pub(super) parameters: &'a Bound,
    pub(super) files: &'a UserFiles,
}

/// Returns what differs in which results count, the version and the code: what an update of a run may change.
pub(super) fn declarations(old: &TaskDescription, new: &TaskDescription) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if old.cache.shared != new.cache.shared {
        reasons.push(Reason::Shared {
            after: new.cache.shared,
        });
    } else if !new.cache.shared && old.flow != new.flow {
        reasons.push(Reason::Flow {
            before: old.flow.clone(),
            after: new.flow.clone(),
        });
    }
    if old.version != new.version {
        reasons.push(Reason::Version {
            before: old.version.clone(),
            after: new.version.clone(),
        });
    }
    reasons.extend(code::differences(old, new));
    reasons
}

/// Returns what differs in the return type and the parameters.
pub(super) fn differences(before: TaskSide<'_>, after: TaskSide<'_>) -> Vec<Reason> {
    let (old, new) = (before.declared(), after.declared());
    let mut reasons = Vec::new();
    if old.returns != new.returns {
        reasons.push(Reason::ReturnType {
            before: old.returns.to_string(),
            after: new.returns.to_string(),
        });
    }
    let by_name = |parameters: &'_ [ParameterDescription]| -> BTreeMap<String, usize> {
        let names = parameters.iter().enumerate();
        names
            .map(|(position, parameter)| (parameter.name.to_string(), position))
            .collect()
    };
    let known = by_name(&old.parameters);
    for parameter in &new.parameters {
        match known.get(parameter.name.as_str()) {
            None => reasons.push(Reason::ParameterAdded {
                parameter: parameter.name.to_string(),
            }),
            Some(position) => compare(
                before,
                after,
                &old.parameters[*position],
                parameter,
                &mut reasons,
            ),
        }
    }
    let taken = by_name(&new.parameters);
    for parameter in &old.parameters {
        if !taken.contains_key(parameter.name.as_str()) {
            reasons.push(Reason::ParameterRemoved {
                parameter: parameter.name.to_string(),
            });
        }
    }
    reasons
}

fn compare(
    before: TaskSide<'_>,
    after: TaskSide<'_>,
    old: &ParameterDescription,
    new: &ParameterDescription,
    reasons: &mut Vec<Reason>,
) {
    let parameter = new.name.to_string();
    if old.ty != new.ty {
        reasons.push(Reason::ParameterType {
            parameter: parameter.clone(),
            before: old.ty.to_string(),
            after: new.ty.to_string(),
        });
    }
    let (old_way, new_way) = (before.delivery(old), after.delivery(new));
    if old_way != new_way {
        reasons.push(Reason::Delivery {
            parameter,
            before: old_way.to_owned(),
            after: new_way.to_owned(),
        });
        return;
    }
    if !matches!(new.kind, ParameterKind::Plain { .. }) {
        return;
    }
    let (old_value, new_value) = (before.value(old), after.value(new));
    if !is_same(old_value, new_value) {
        reasons.push(Reason::Parameter {
            flag: after.flag(new),
            parameter,
            before: old_value.clone(),
            after: new_value.clone(),
        });
        return;
    }
    for path in new.ty.files(new_value) {
        let content = |side: TaskSide<'_>| {
            let file = side.files.get(path);
            file.map(|file| (file.is_directory, file.digest))
        };
        if content(before) != content(after) {
            reasons.push(Reason::Content {
                parameter: parameter.clone(),
                path: path.to_owned(),
            });
        }
    }
}

/// Returns whether values count as the same: `1` and `1.0` do not.
fn is_same(before: &Value, after: &Value) -> bool {
    crate::identity::plain(before) == crate::identity::plain(after)
}

impl<'a> TaskSide<'a> {
    pub(super) fn declared(self) -> &'a TaskDescription {
        self.graph.declared(self.task)
    }

    /// Returns how a parameter gets its value, in the words of the definition of identity.
    fn delivery(self, parameter: &ParameterDescription) -> &'static str {
        match &parameter.kind {
            ParameterKind::Plain { .. } => "plain",
            ParameterKind::RunDir => "run_dir",
            ParameterKind::Result { .. } => {
                let inputs = &self.graph.task(self.task).inputs;
                let input = inputs.iter().find(|it| it.parameter == parameter.name);
                match input.map(|it| it.delivery) {
                    Some(Delivery::Collect) => "collect",
                    Some(Delivery::Spread) => "spread",
                    Some(Delivery::Direct) | None => "direct",
                }
            }
        }
    }

    fn value(self, parameter: &ParameterDescription) -> &'a Value {
        let value = self.parameters.get(self.task, parameter.name.as_str());
        value.unwrap_or(&Value::Null)
    }

    fn flag(self, parameter: &ParameterDescription) -> String {
        let flags = self.graph.parameters().flags().iter();
        let mut flags =
            flags.filter(|it| it.parameter == parameter.name && it.tasks.contains(&self.task));
        flags
            .next()
            .map_or_else(|| parameter.name.to_string(), |flag| flag.name.clone())
    }
}
