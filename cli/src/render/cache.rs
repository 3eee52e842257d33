use std::fmt::Write;
use std::path::Path;

use reflow_core::cache::{Criteria, Rebuilt};
use reflow_core::id::{RunId, Tag, TaskName};
use reflow_core::identity::Digest;
use reflow_core::rundir::{ValueRef, ValueStore};
use reflow_core::store::cache::{Amount, Candidate, GcReason, GcReport, Sizes};
use serde_json::{Value, json};

use super::table::columns;
use super::words::grouped;
use crate::output::{FAINT, STRONG, styled};

/// Longest part of a value that is shown in a list, in characters.
const LONGEST_VALUE: usize = 40;
/// Digits of an identity that are shown in a list.
const DIGITS: usize = 12;

/// One result in the store.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The name of the task in its own flow.
    pub(crate) task: TaskName,
    pub(crate) identity: Digest,
    pub(crate) candidate: Candidate,
}

/// By what results are listed: the newest first, and always in the same order.
type Order = (std::cmp::Reverse<u64>, TaskName, RunId, Tag, u32, Digest);

impl Listed {
    pub(crate) fn order(&self) -> Order {
        let entry = &self.candidate.entry;
        (
            std::cmp::Reverse(entry.made_ms),
            self.task.clone(),
            self.candidate.origin.run_id.clone(),
            entry.tag.clone(),
            entry.element,
            self.identity,
        )
    }
}

fn time(ms: u64) -> String {
    jiff::Timestamp::from_millisecond(ms as i64).map_or_else(
        |_| "?".to_owned(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >= 1 << shift) {
        Some((shift, unit)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

fn results(number: u64) -> String {
    match number {
        1 => "1 result".to_owned(),
        _ => format!("{} results", grouped(number)),
    }
}

/// Returns how much is remembered, by task.
pub(crate) fn stats(store: &Path, tasks: &[(TaskName, Sizes)]) -> String {
    let mut text = format!("{} {}\n", styled(FAINT, "store"), store.display());
    if tasks.is_empty() {
        text.push_str("nothing is remembered\n");
        return text;
    }
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|(task, sizes)| {
            let files = match sizes.tables {
                1 => "1 file".to_owned(),
                number => format!("{} files", grouped(number)),
            };
            vec![
                styled(STRONG, task),
                results(sizes.records),
                size(sizes.bytes),
                styled(FAINT, files),
            ]
        })
        .collect();
    text.push_str(&columns(&rows, ""));
    let all = tasks.iter().map(|(_, sizes)| sizes);
    let (number, bytes) = all.fold((0, 0), |(number, bytes), sizes| {
        (number + sizes.records, bytes + sizes.bytes)
    });
    let _ = writeln!(text, "{} in {}", results(number), size(bytes));
    text
}

/// Returns results, one on a line.
pub(crate) fn list(listed: &[Listed], total: usize) -> String {
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|it| {
            let (entry, origin) = (&it.candidate.entry, &it.candidate.origin);
            let forced = if entry.forced { "forced" } else { "" };
            vec![
                it.identity.to_string()[..DIGITS].to_owned(),
                styled(STRONG, &it.task),
                shown(&entry.value),
                time(entry.made_ms),
                styled(FAINT, format!("{} {}", origin.run_id, entry.element)),
                forced.to_owned(),
            ]
        })
        .collect();
    let mut text = columns(&rows, "");
    let more = total.saturating_sub(listed.len());
    if more > 0 {
        let more = grouped(more as u64);
        text.push_str(&styled(FAINT, format!("and {more} older, see `--all`\n")));
    }
    if total == 0 {
        text.push_str("nothing is remembered\n");
    }
    text
}

fn shown(value: &ValueRef) -> String {
    match value {
        ValueRef::Inline { json, .. } => {
            let mut text: String = json.get().chars().take(LONGEST_VALUE).collect();
            if text.len() < json.get().len() {
                text.push('…');
            }
            text
        }
        ValueRef::Stored { digest, items } => match items {
            Some(items) => format!("a list of {}", grouped(*items)),
            None => format!("a long value ({}…)", &digest[..digest.len().min(8)]),
        },
    }
}

/// Returns all of one identity.
pub(crate) fn show(identity: &Digest, listed: &[Listed]) -> String {
    let mut text = format!("{}\n", styled(STRONG, identity));
    if listed.is_empty() {
        text.push_str("nothing is remembered of it\n");
    }
    for (position, it) in listed.iter().enumerate() {
        let (entry, origin) = (&it.candidate.entry, &it.candidate.origin);
        let which = match (position, entry.forced) {
            (0, true) => "taken first: it was forced",
            (0, false) => "taken first",
            _ => "taken where those before it cannot be used",
        };
        let value = read(it).unwrap_or_else(|why| why);
        let flow = match &origin.flow {
            Some(flow) => format!(" (flow {flow})"),
            None => String::new(),
        };
        let rows = [
            (
                "task",
                format!("{} of {}{flow}", origin.task, origin.workflow),
            ),
            ("value", value),
            ("digest", entry.digests.whole.to_string()),
            (
                "made",
                format!(
                    "{} by {}, element {}",
                    time(entry.made_ms),
                    origin.run_id,
                    entry.element
                ),
            ),
            ("directory", origin.run_dir.display().to_string()),
            ("use", which.to_owned()),
        ];
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, fact)| vec![styled(FAINT, name), fact])
            .collect();
        text.push_str(&columns(&rows, "  "));
        if position + 1 < listed.len() {
            text.push('\n');
        }
    }
    text
}

/// Returns a value as JSON text, or why there is none.
fn read(it: &Listed) -> Result<String, String> {
    let values = ValueStore::new(it.candidate.origin.run_dir.join(".reflow/values"));
    values
        .read(&it.candidate.entry.value)
        .map_err(|error| format!("cannot be read: {error}"))
}

/// Returns a result as `cache list --json` prints it.
pub(crate) fn document(it: &Listed) -> Value {
    let (entry, origin) = (&it.candidate.entry, &it.candidate.origin);
    let value = match &entry.value {
        ValueRef::Inline { json, .. } => serde_json::from_str(json.get()).unwrap_or_default(),
        ValueRef::Stored { .. } => Value::Null,
    };
    let stored = match &entry.value {
        ValueRef::Inline { .. } => None,
        ValueRef::Stored { digest, .. } => Some(digest),
    };
    json!({
        "identity": it.identity,
        "task": it.task,
        "value": value,
        "stored": stored,
        "digest": entry.digests.whole,
        "made": time(entry.made_ms),
        "made_ms": entry.made_ms,
        "forced": entry.forced,
        "run": origin.run_id,
        "run_dir": origin.run_dir,
        "workflow": origin.workflow,
        "flow": origin.flow,
        "task_in_run": origin.task,
        "submission": entry.tag,
        "element": entry.element,
    })
}

/// Returns the same with the whole value.
pub(crate) fn detailed(it: &Listed) -> Value {
    let mut document = document(it);
    match read(it)
        .and_then(|text| serde_json::from_str::<Value>(&text).map_err(|error| error.to_string()))
    {
        Ok(value) => document["value"] = value,
        Err(why) => {
            document["value"] = Value::Null;
            document["unreadable"] = json!(why);
        }
    }
    document
}

/// Returns what went, or would go.
pub(crate) fn collected(garbage: &GcReport, criteria: Criteria) -> String {
    let mut rows = Vec::new();
    for task in &garbage.tasks {
        for (why, amount) in &task.removed {
            let why = match why {
                GcReason::Unreachable => {
                    "can never be used again: files or run directories are gone"
                }
                GcReason::Age => "old",
                GcReason::Size => "the oldest of a store that is too large",
            };
            rows.push(vec![
                styled(STRONG, &task.task),
                results(amount.entries),
                size(amount.bytes),
                styled(FAINT, why),
            ]);
        }
    }
    let mut text = columns(&rows, "  ");
    let is_shown_only = !garbage.applied;
    let goes = if is_shown_only { "would go" } else { "went" };
    let gone: Amount = (garbage.tasks.iter())
        .flat_map(|task| task.removed.values().copied())
        .sum();
    let kept: Amount = garbage.tasks.iter().map(|task| task.kept).sum();
    let what = match gone.entries {
        0 => "nothing goes".to_owned(),
        number => format!("{} {goes}, about {}", results(number), size(gone.bytes)),
    };
    let _ = writeln!(
        text,
        "{what}; {} stay, about {}",
        results(kept.entries),
        size(kept.bytes)
    );
    if garbage.in_use() > 0 {
        let _ = writeln!(
            text,
            "{} would go and stay, since runs use them that have not ended",
            results(garbage.in_use())
        );
    }
    let mut is_more = gone.entries > 0;
    let files = garbage.files.removed;
    if files.entries > 0 {
        is_more = true;
        let digests = match files.entries {
            1 => "1 digest of a file".to_owned(),
            number => format!("{} digests of files", grouped(number)),
        };
        let size = size(files.bytes);
        let _ = writeln!(text, "{goes}: {digests} read long ago, about {size}");
    }
    for file in garbage.damaged() {
        is_more = true;
        let _ = writeln!(text, "{goes}: `{}`, which is damaged", file.path.display());
    }
    if garbage.drafts > 0 {
        is_more = true;
        let files = if garbage.drafts == 1 { "file" } else { "files" };
        let _ = writeln!(
            text,
            "{goes}: {} {files} left behind half written",
            garbage.drafts
        );
    }
    if is_more && is_shown_only {
        let _ = writeln!(text, "{} add `--apply`", styled(FAINT, "next:"));
    } else if criteria == Criteria::default() {
        let _ = writeln!(
            text,
            "{} say what goes: `--older-than 30d`, `--max-size 10G` or `--unreachable`; several may be given together",
            styled(FAINT, "next:")
        );
    }
    text
}

/// Returns what was published again.
pub(crate) fn rebuilt(runs: u32, rebuilt: &Rebuilt) -> String {
    let runs = match runs {
        1 => "1 run".to_owned(),
        _ => format!("{} runs", grouped(runs)),
    };
    format!(
        "{runs}: {} published again, {} known already\n",
        results(rebuilt.published),
        grouped(rebuilt.known)
    )
}
