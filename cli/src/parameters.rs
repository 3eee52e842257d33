use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use serde_json::Value;

use reflow_core::workflow::{Bound, Flag, Graph, Type};

use crate::error::CliError;

/// Adds the parameters of a workflow as flags to `command`, each under the heading of its task.
pub(crate) fn add_flags(mut command: Command, graph: &Graph) -> Command {
    let own: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    for flag in graph.parameters().flags() {
        if !own.contains(&flag.name) {
            command = command.arg(argument(flag, graph));
        }
    }
    command
}

/// Reads the values that were given and binds them. What is wrong is said all together.
pub(crate) fn bind(
    graph: &Graph,
    matches: &ArgMatches,
    directory: &Path,
) -> Result<Bound, CliError> {
    let mut values = BTreeMap::new();
    let mut misread = BTreeMap::new();
    for flag in graph.parameters().flags() {
        let id = id(flag);
        if !matches!(matches.try_contains_id(&id), Ok(true)) {
            continue;
        }
        let texts: Vec<String> = matches
            .get_many::<String>(&id)
            .map(|texts| texts.cloned().collect())
            .unwrap_or_default();
        match flag.ty.parse_texts(&texts) {
            Ok(value) => {
                values.insert(flag.name.clone(), value);
            }
            Err(mismatch) => {
                misread.insert(
                    flag.name.clone(),
                    format!("parameter `{}`: {mismatch}", flag.name),
                );
            }
        }
    }
    let bound = graph.bind(&values, directory);
    if misread.is_empty() {
        return Ok(bound?);
    }
    let mut details: Vec<String> = misread.values().cloned().collect();
    if let Err(mut errors) = bound {
        // What was given in a wrong form is not missing as well.
        errors
            .errors
            .retain(|error| !misread.contains_key(&error.parameter));
        details.extend(CliError::from(errors).details);
    }
    Err(CliError::request("the parameters do not fit the workflow").with_details(details))
}

fn id(flag: &Flag) -> String {
    format!("parameter:{}", flag.name)
}

fn argument(flag: &Flag, graph: &Graph) -> Arg {
    let mut argument = Arg::new(id(flag))
        .long(flag.name.clone())
        .help(help(flag))
        .help_heading(heading(flag, graph))
        .value_name(value_name(&flag.ty));
    if let Some(short) = flag.short {
        argument = argument.short(short);
    }
    if flag.name.contains('-') {
        argument = argument.alias(flag.name.replace('-', "_"));
    }
    let ty = plain(&flag.ty);
    if ty.entry().is_some() {
        // An empty list is given by the flag alone.
        argument = argument.num_args(0..).action(ArgAction::Append);
    } else if *ty == Type::Bool {
        argument = argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
    }
    if let Some(choices) = &flag.choices {
        argument = argument.value_parser(PossibleValuesParser::new(choices.clone()));
    } else if has_numbers(ty) {
        argument = argument.allow_negative_numbers(true);
    }
    match ty.entry().unwrap_or(ty) {
        Type::File => argument.value_hint(ValueHint::FilePath),
        Type::Path => argument.value_hint(ValueHint::AnyPath),
        _ => argument,
    }
}

/// Returns the heading that a flag is shown under: its task, or the tasks that share it.
fn heading(flag: &Flag, graph: &Graph) -> String {
    let names: Vec<&str> = flag
        .tasks
        .iter()
        .map(|task| graph.declared(*task).name.as_str())
        .collect();
    match names[..] {
        [one] => format!("Task {one}"),
        [first, second] => format!("Tasks {first}, {second}"),
        [first, second, ..] => format!("Tasks {first}, {second} and others"),
        [] => "Parameters".to_owned(),
    }
}

fn help(flag: &Flag) -> String {
    let mut help = flag.help.clone();
    let remark = match &flag.default {
        Some(default) => format!("[default: {}]", shown(default)),
        None if flag.required => "[required]".to_owned(),
        None => return help,
    };
    if !help.is_empty() {
        help.push(' ');
    }
    help + &remark
}

/// Returns a default as it would be typed.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn value_name(ty: &Type) -> String {
    match plain(ty) {
        Type::List(entry) => value_name(entry),
        Type::Literal(_) => "CHOICE".to_owned(),
        Type::Coded(base, _) => value_name(base),
        other => other.to_string().to_uppercase(),
    }
}

/// Returns the type of the value itself, where it may be left out.
fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Optional(inner) => plain(inner),
        other => other,
    }
}

fn has_numbers(ty: &Type) -> bool {
    matches!(
        plain(ty.entry().unwrap_or(ty)),
        Type::Int | Type::Float | Type::Json
    )
}
