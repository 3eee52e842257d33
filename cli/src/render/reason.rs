use std::fmt::Write;
use std::path::Path;

use reflow_core::elements::ElementSet;
use reflow_core::engine::Reason;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::words::grouped;
use crate::output::{BAD, FAINT, GOOD, styled};

/// Longest part of a value that is shown, in characters.
const LONGEST_VALUE: usize = 60;
/// Most lines of a difference that are shown.
const MOST_LINES: usize = 40;
/// Most items that are named one by one.
const MOST_ITEMS: usize = 5;

/// Returns a reason in words. Lines after the first show the difference. Paths are shown as seen from `base`.
pub(crate) fn words(reason: &Reason, base: &Path) -> String {
    match reason {
        Reason::Forced => "forced".to_owned(),
        Reason::CachingOff => "caching is off (`cache = false`)".to_owned(),
        Reason::NoStore => "the run has no store".to_owned(),
        Reason::FirstRun => "no earlier run of this task is known".to_owned(),
        Reason::UpstreamFirst { upstream } => {
            format!("it needs a result of {upstream} that is not there yet")
        }
        Reason::Flow { before, after } => format!(
            "flow {} → {}",
            before.as_ref().map_or("none", |it| it.as_str()),
            after.as_ref().map_or("none", |it| it.as_str())
        ),
        Reason::Shared { after: true } => {
            "its results are shared with other workflows now".to_owned()
        }
        Reason::Shared { after: false } => {
            "its results are not shared with other workflows any more".to_owned()
        }
        Reason::Version { before, after } => {
            let text = |it: &Option<String>| it.as_deref().unwrap_or("none").to_owned();
            format!("version {} → {}", text(before), text(after))
        }
        Reason::CodeCounts { after: true } => "its code counts now".to_owned(),
        Reason::CodeCounts { after: false } => "its code does not count any more".to_owned(),
        Reason::Command { before, after } => {
            format!("command text changed{}", difference(before, after))
        }
        Reason::Interpreter { before, after } => {
            format!(
                "interpreter changed: {} → {}",
                before.join(" "),
                after.join(" ")
            )
        }
        Reason::Output { before, after } => {
            format!("output rule changed: {} → {}", value(before), value(after))
        }
        Reason::Environment {
            name,
            before,
            after,
        } => {
            let text = |it: &Option<String>| it.as_ref().map_or("unset".to_owned(), |it| short(it));
            format!(
                "environment changed: {name}: {} → {}",
                text(before),
                text(after)
            )
        }
        Reason::Setup { before, after } => format!(
            "setup lines changed{}",
            difference(&before.join("\n"), &after.join("\n"))
        ),
        Reason::Code => "the code changed".to_owned(),
        Reason::ReturnType { before, after } => format!("return type {before} → {after}"),
        Reason::ParameterAdded { parameter } => format!("new parameter `{parameter}`"),
        Reason::ParameterRemoved { parameter } => format!("parameter `{parameter}` is gone"),
        Reason::ParameterType {
            parameter,
            before,
            after,
        } => format!("type of parameter `{parameter}`: {before} → {after}"),
        Reason::Delivery {
            parameter,
            before,
            after,
        } => format!("parameter `{parameter}` gets its value in another way: {before} → {after}"),
        Reason::Parameter {
            flag,
            before,
            after,
            ..
        } => format!(
            "new parameter value `--{flag}`: {} → {}",
            shown(before, base),
            shown(after, base)
        ),
        Reason::Content { path, .. } => format!("content of {} changed", from(path, base)),
        Reason::UpstreamValue {
            upstream,
            items: None,
        } => format!("upstream {upstream} has a new value"),
        Reason::UpstreamValue {
            upstream,
            items: Some(items),
        } => format!("upstream {upstream}{}", new_items(items)),
        Reason::UpstreamCount {
            upstream,
            before,
            after,
        } => {
            let unit = if *after == 1 { "element" } else { "elements" };
            format!(
                "upstream {upstream} now has {} {unit}, had {}",
                grouped(*after),
                grouped(*before)
            )
        }
        Reason::UpstreamOrder { upstream } => {
            format!("the values of upstream {upstream} are in another order")
        }
        Reason::OutputDeleted { path, .. } => {
            format!("output {} was deleted", from(&path.to_string_lossy(), base))
        }
        Reason::OutputChanged { path, .. } => {
            format!("output {} was changed", from(&path.to_string_lossy(), base))
        }
        Reason::Refused { run } => {
            format!("the task's `verify` did not accept the result of {run}")
        }
        Reason::NotKept { run, why } => format!("its result of {run} was not kept ({why})"),
        Reason::NotFound { run } => format!(
            "its result of {run} was not found in the store: it came there later, or was removed"
        ),
        // What a later version of the library tells.
        other => format!("{other:?}"),
    }
}

/// Returns the items that are new, as behind the name of their task.
fn new_items(items: &ElementSet) -> String {
    let ranges = items.ranges();
    let named: Vec<String> = ranges
        .iter()
        .take(MOST_ITEMS)
        .map(|(first, end)| match end - first {
            1 => format!("[{first}]"),
            _ => format!("[{first}-{}]", end - 1),
        })
        .collect();
    let mut text = named.join(", ");
    if ranges.len() > MOST_ITEMS {
        let _ = write!(text, ", … ({} in all)", grouped(items.len()));
    }
    text.push_str(if items.len() == 1 {
        " has a new value"
    } else {
        " have new values"
    });
    text
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        other => short(&other.to_string()),
    }
}

/// Returns a value of a parameter, which may be a path.
fn shown(given: &Value, base: &Path) -> String {
    match given {
        Value::String(text) => short(&from(text, base)),
        other => value(other),
    }
}

/// Returns the beginning of a text that may be long.
fn short(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let is_cut = lines.next().is_some() || first.chars().count() > LONGEST_VALUE;
    let mut text: String = first.chars().take(LONGEST_VALUE).collect();
    if text.is_empty() && !is_cut {
        return "\"\"".to_owned();
    }
    if is_cut {
        text.push('…');
    }
    text
}

/// Returns a path as seen from a directory, where it is in it.
fn from(path: &str, base: &Path) -> String {
    let inside = Path::new(path).strip_prefix(base).ok();
    let inside = inside.filter(|rest| !rest.as_os_str().is_empty());
    inside.map_or_else(|| path.to_owned(), |rest| rest.display().to_string())
}

/// Returns what differs between two texts, line by line, each line on a new one.
fn difference(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (position, group) in diff.grouped_ops(2).iter().enumerate() {
        if position > 0 {
            lines.push(styled(FAINT, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches(['\n', '\r']);
            lines.push(match change.tag() {
                ChangeTag::Delete => styled(BAD, format!("- {line}")),
                ChangeTag::Insert => styled(GOOD, format!("+ {line}")),
                ChangeTag::Equal => styled(FAINT, format!("  {line}")),
            });
        }
    }
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.truncate(MOST_LINES);
        lines.push(styled(FAINT, format!("… and {more} more lines")));
    }
    lines
        .iter()
        .fold(String::new(), |text, line| text + "\n" + line)
}
