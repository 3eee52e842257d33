use std::collections::HashMap;

use serde_json::Value;

use super::fault::{CheckFault, Faults};
use super::{Description, ParameterDescription, ParameterKind, TaskIndex, Type};
use crate::id::{ParameterName, TaskName};

/// The flags of `submit` and `run` that are reflow's own, sorted, without dashes: no parameter may have
/// one of these. `namespace = "local"` puts the task's name before the parameter's and is a way out.
pub const RESERVED_FLAGS: [&str; 18] = [
    "backend",
    "config",
    "dispatch",
    "dry-run",
    "env",
    "force",
    "force-tasks",
    "help",
    "json",
    "name",
    "no-verify",
    "quiet",
    "run-dir",
    "store",
    "verbose",
    "verify",
    "version",
    "workflow",
];

/// The short flags of `submit` and `run` that are reflow's own, sorted.
pub const RESERVED_SHORT_FLAGS: [char; 5] = ['V', 'h', 'q', 'v', 'w'];

/// What the caller of a workflow gives: its plain parameters, as flags.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    flags: Vec<Flag>,
    names: HashMap<String, usize>,
}

/// One flag: a local parameter of one task, or all global parameters of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// The long flag, without dashes: `step-a-chunk`.
    pub name: String,
    /// The parameter's own name: `chunk`.
    pub parameter: ParameterName,
    /// The short flag.
    pub short: Option<char>,
    /// The type of the value.
    pub ty: Type,
    /// The value when none is given.
    pub default: Option<Value>,
    /// For `--help`.
    pub help: String,
    /// Whether a value must be given: there is no default, and the type is not optional.
    pub required: bool,
    /// The choices of a literal, or of a list of literals.
    pub choices: Option<Vec<String>>,
    /// Whether it belongs to one task alone.
    pub local: bool,
    /// The tasks that take the value, in the order of definition.
    pub tasks: Vec<TaskIndex>,
}

/// Returns the flag of a parameter, without dashes.
fn flag_name(task: &TaskName, parameter: &ParameterName, local: bool) -> String {
    let name = if local {
        format!("{task}-{parameter}")
    } else {
        parameter.to_string()
    };
    name.replace('_', "-")
}

fn choices(ty: &Type) -> Option<Vec<String>> {
    match ty {
        Type::Literal(choices) => Some(choices.clone()),
        Type::List(inner) | Type::Optional(inner) => choices(inner),
        _ => None,
    }
}

impl Parameters {
    /// Returns the flags, in the order of definition.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Returns the flag of that name, written with `-` or `_`.
    pub fn find(&self, name: &str) -> Option<&Flag> {
        let position = self.names.get(name.replace('_', "-").as_str())?;
        Some(&self.flags[*position])
    }

    pub(super) fn of(description: &Description, faults: &mut Faults) -> Self {
        let mut parameters = Self::default();
        let mut shorts: HashMap<char, usize> = HashMap::new();
        for (index, task) in (0u32..).zip(&description.tasks) {
            for parameter in &task.parameters {
                let mut fault = |fault| faults.parameter(&task.name, &parameter.name, fault);
                let Some(flag) = flag_of(&task.name, TaskIndex(index), parameter) else {
                    continue;
                };
                if RESERVED_FLAGS.contains(&flag.name.as_str()) {
                    fault(CheckFault::ReservedFlag {
                        flag: flag.name.clone(),
                        local: flag_name(&task.name, &parameter.name, true),
                    });
                    continue;
                }
                match flag.short {
                    Some(short) if !short.is_ascii_alphabetic() => {
                        fault(CheckFault::InvalidShort { short });
                    }
                    Some(short) if RESERVED_SHORT_FLAGS.contains(&short) => {
                        fault(CheckFault::ReservedShort { short });
                    }
                    _ => {}
                }
                let short = flag.short;
                let position = parameters.names.get(&flag.name).copied();
                let position = position.unwrap_or(parameters.flags.len());
                if let Some(first) = parameters.flags.get_mut(position) {
                    if let Err(clash) = merge(description, first, flag) {
                        fault(clash);
                    }
                } else {
                    parameters.names.insert(flag.name.clone(), position);
                    parameters.flags.push(flag);
                }
                if let Some(short) = short {
                    let owner = *shorts.entry(short).or_insert(position);
                    if owner != position {
                        let other = parameters.flags[owner].name.clone();
                        fault(CheckFault::DuplicateShort { short, other });
                    }
                }
            }
        }
        parameters
    }
}

fn flag_of(task: &TaskName, index: TaskIndex, parameter: &ParameterDescription) -> Option<Flag> {
    let ParameterKind::Plain {
        default,
        short,
        local,
    } = &parameter.kind
    else {
        return None;
    };
    Some(Flag {
        name: flag_name(task, &parameter.name, *local),
        parameter: parameter.name.clone(),
        short: *short,
        ty: parameter.ty.clone(),
        default: default.clone(),
        help: parameter.help.clone(),
        required: default.is_none() && !matches!(parameter.ty, Type::Optional(_) | Type::None),
        choices: choices(&parameter.ty),
        local: *local,
        tasks: vec![index],
    })
}

/// Makes two parameters one flag, if they are one parameter.
fn merge(description: &Description, first: &mut Flag, next: Flag) -> Result<(), CheckFault> {
    let task = description.tasks[first.tasks[0].get()].name.to_string();
    if first.local || next.local || first.parameter != next.parameter {
        return Err(CheckFault::DuplicateFlag {
            flag: next.name,
            other: format!("parameter `{}` of task `{task}`", first.parameter),
        });
    }
    let disagree = |what, here: String, there: String| CheckFault::Disagree {
        what,
        flag: first.name.clone(),
        here,
        other: task.clone(),
        there,
    };
    let default = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "none".to_owned(), super::shown)
    };
    if first.ty != next.ty {
        return Err(disagree("type", next.ty.to_string(), first.ty.to_string()));
    }
    if first.default != next.default {
        return Err(disagree(
            "default",
            default(&next.default),
            default(&first.default),
        ));
    }
    match (first.short, next.short) {
        (Some(there), Some(here)) if here != there => {
            return Err(disagree(
                "short flag",
                format!("`-{here}`"),
                format!("`-{there}`"),
            ));
        }
        (None, short) => first.short = short,
        _ => {}
    }
    if first.help.is_empty() {
        first.help = next.help;
    }
    first.tasks.extend(next.tasks);
    Ok(())
}
