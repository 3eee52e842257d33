use std::fmt::Write;
use std::path::Path;

use reflow_core::engine::{LaterTask, Preview, PreviewedRequest, PreviewedRole, WaitsFor};
use reflow_core::id::TaskName;
use reflow_core::scheduler::{DependencyKind, Rendered, SchedulerError};
use serde_json::{Value, json};

use super::explain::{self, Tense};
use crate::element::ranges;
use crate::output::{FAINT, STRONG, styled};

/// Returns what a submit would send as `submit --dry-run` shows it. Paths that count are shown as seen from
/// `base`.
pub(crate) fn text(preview: &Preview, base: &Path) -> String {
    let record = preview.run.record();
    let mut text = format!(
        "{}\n  {} would go to {}, in {}\n",
        styled(STRONG, "nothing is submitted, and nothing is written"),
        record.description.name,
        record.backend.name,
        preview.run.path().display()
    );
    for request in &preview.requests {
        let _ = write!(text, "\n{}\n", heading(request, preview));
        if let Ok(rendered) = &request.rendered {
            text.push_str(&command(rendered));
        }
    }
    for task in &preview.later {
        let _ = write!(text, "\n{}\n", later_heading(task));
        if let Ok(rendered) = &task.one {
            let _ = writeln!(text, "  {}", styled(FAINT, "one element would be sent as"));
            text.push_str(&command(rendered));
        }
    }
    text.push('\n');
    let _ = writeln!(text, "{}", cache(preview));
    if explain::has_earlier_runs(&preview.explanation) {
        let explained = explain::text(&preview.explanation, Tense::Imagined, base);
        for line in explained.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    let stand = match preview.requests.len() {
        0 => return text,
        1 => "1 stands for the one".to_owned(),
        last => format!("1 to {last} stand for those"),
    };
    let _ = writeln!(
        text,
        "ids: {stand} that {} will give; the names of jobs change with the id of the run",
        record.backend.name
    );
    text
}

/// Returns what would be taken from earlier runs and what would run, in words.
fn cache(preview: &Preview) -> String {
    let left = match preview.later.len() {
        0 => String::new(),
        1 => ", those of 1 task later".to_owned(),
        tasks => format!(", those of {tasks} tasks later"),
    };
    format!(
        "cache: {} would be taken from earlier runs; {} would be submitted now{left}",
        elements(preview.cached),
        elements(preview.sent)
    )
}

fn elements(number: u32) -> String {
    match number {
        1 => "1 element".to_owned(),
        _ => format!("{number} elements"),
    }
}

fn heading(request: &PreviewedRequest, preview: &Preview) -> String {
    let mut facts = Vec::new();
    let what = match &request.role {
        PreviewedRole::Elements {
            task,
            array: true,
            elements: set,
            batch,
        } => {
            facts.push(elements(set.len()));
            if *batch > 1 {
                facts.push(format!("{batch} in each index"));
            }
            format!("{task}[{}]", ranges(set))
        }
        PreviewedRole::Elements { task, .. } => task.to_string(),
        PreviewedRole::Dispatch => "dispatch (plans again)".to_owned(),
        PreviewedRole::Guard => "guard (plans again if the dispatch failed)".to_owned(),
        PreviewedRole::Watch => "watch (looks from time to time)".to_owned(),
    };
    facts.extend(request.after.iter().map(|(id, kind)| {
        let of = match preview.requests.iter().find(|of| of.id == *id) {
            Some(of) => format!("{id} ({})", name(&of.role)),
            None => id.to_string(),
        };
        let word = match kind {
            DependencyKind::Ok => "after the success of",
            DependencyKind::Any => "after the end of",
            DependencyKind::NotOk => "after the failure of",
            DependencyKind::ElementWise => "element by element after the success of",
            DependencyKind::ElementWiseAny => "element by element after the end of",
        };
        format!("{word} {of}")
    }));
    let mut text = format!("{}. {}", request.id, styled(STRONG, what));
    if !facts.is_empty() {
        let _ = write!(text, ": {}", facts.join(", "));
    }
    text
}

fn name(role: &PreviewedRole) -> &str {
    match role {
        PreviewedRole::Elements { task, .. } => task.as_str(),
        PreviewedRole::Dispatch => "dispatch",
        PreviewedRole::Guard => "guard",
        PreviewedRole::Watch => "watch",
    }
}

fn later_heading(task: &LaterTask) -> String {
    let brackets = if task.array { "[]" } else { "" };
    let why = match &task.waits_for {
        WaitsFor::Width(names) => {
            format!("its number of elements follows from {}", list(names))
        }
        WaitsFor::Sending(names) => format!("it is sent after {}", list(names)),
        WaitsFor::Room => "it is sent when there is room (`max_queued`)".to_owned(),
    };
    format!("later: {}{brackets}: {why}", styled(STRONG, &task.task))
}

fn list(names: &[TaskName]) -> String {
    let names: Vec<&str> = names.iter().map(TaskName::as_str).collect();
    names.join(", ")
}

/// Returns the submitting command and the script that it gets.
fn command(rendered: &Rendered) -> String {
    let variables = rendered.environment.iter();
    let words = variables
        .map(|(name, value)| format!("{name}={}", quoted(value)))
        .chain(rendered.argv.iter().map(|word| quoted(word)));
    let words: Vec<String> = words.collect();
    let mut text = format!("  {}\n", words.join(" "));
    for line in rendered.stdin.trim_end().lines() {
        let _ = writeln!(
            text,
            "  {}",
            format!("{} {line}", styled(FAINT, "|")).trim_end()
        );
    }
    text
}

/// Returns a word as it is typed in a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

/// Returns what a submit would send as `submit --dry-run --json` prints it. `variables` are the names of
/// those of the submitter's variables that jobs have.
pub(crate) fn document(preview: &Preview, variables: &[&String], base: &Path) -> Value {
    let record = preview.run.record();
    let requests: Vec<Value> = preview.requests.iter().map(request_document).collect();
    let later: Vec<Value> = preview.later.iter().map(later_document).collect();
    json!({
        "workflow": record.description.name,
        "backend": record.backend.name,
        "run_dir": preview.run.path(),
        "requests": requests,
        "later": later,
        "elements": preview.sent,
        "cached": preview.cached,
        "tasks": explain::tasks(&preview.explanation, base),
        "variables": variables,
    })
}

fn request_document(request: &PreviewedRequest) -> Value {
    let after: Vec<Value> = request
        .after
        .iter()
        .map(|(id, kind)| json!({"id": id, "kind": kind}))
        .collect();
    let mut document = json!({"id": request.id, "role": "task", "after": after});
    match &request.role {
        PreviewedRole::Elements {
            task,
            array,
            elements,
            batch,
        } => {
            document["task"] = json!(task);
            document["elements"] = json!(elements.len());
            document["batch"] = json!(batch);
            if *array {
                document["indices"] = json!(ranges(elements));
            }
        }
        PreviewedRole::Dispatch => document["role"] = json!("dispatch"),
        PreviewedRole::Guard => document["role"] = json!("guard"),
        PreviewedRole::Watch => document["role"] = json!("watch"),
    }
    add_rendered(&mut document, &request.rendered);
    document
}

fn later_document(task: &LaterTask) -> Value {
    let (reason, names): (&str, &[TaskName]) = match &task.waits_for {
        WaitsFor::Width(names) => ("width", names),
        WaitsFor::Sending(names) => ("upstream", names),
        WaitsFor::Room => ("room", &[]),
    };
    let mut document = json!({
        "task": task.task, "array": task.array, "reason": reason, "waits_for": names,
    });
    add_rendered(&mut document, &task.one);
    document
}

fn add_rendered(document: &mut Value, rendered: &Result<Rendered, SchedulerError>) {
    if let Ok(rendered) = rendered {
        document["argv"] = json!(rendered.argv);
        document["environment"] = json!(rendered.environment);
        document["stdin"] = json!(rendered.stdin);
    }
}

/// Returns why requests cannot be rendered, each with what it is for. What is refused for several
/// requests of one task in the same words is told once.
pub(crate) fn refusals(preview: &Preview) -> Vec<(String, &SchedulerError)> {
    let requests = preview.requests.iter().filter_map(|request| {
        let what = match &request.role {
            PreviewedRole::Elements { task, .. } => format!("task `{task}`"),
            PreviewedRole::Dispatch => "dispatch jobs".to_owned(),
            PreviewedRole::Guard | PreviewedRole::Watch => return None,
        };
        Some((what, request.rendered.as_ref().err()?))
    });
    let later = preview
        .later
        .iter()
        .filter_map(|task| Some((format!("task `{}`", task.task), task.one.as_ref().err()?)));
    let mut refusals: Vec<(String, &SchedulerError)> = requests.chain(later).collect();
    refusals.dedup_by(|a, b| a.0 == b.0 && a.1.message() == b.1.message());
    refusals
}
