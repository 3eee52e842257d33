use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use reflow_core::elements::ElementSet;
use reflow_core::engine::{ElementExplanation, ElementState, Explanation, Reason, TaskExplanation};
use reflow_core::id::RunId;
use serde_json::{Value, json};

use super::reason;
use super::words::grouped;
use crate::element::ranges;
use crate::output::{FAINT, STRONG, styled};

/// Whether what is explained has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tense {
    /// A run that was submitted.
    Real,
    /// A run that is only imagined.
    Imagined,
}

/// What became of elements, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Taken(Option<RunId>),
    Ran,
    ToRun,
    /// What it is given is not there yet: it may still be taken.
    Open,
    Skipped,
    Cancelled,
}

/// Elements of one fate and for the same reasons.
#[derive(Debug)]
struct Group<'a> {
    elements: Vec<u32>,
    /// The reasons of the first of them.
    reasons: Vec<&'a Reason>,
    /// Items of upstream tasks that are new, by the place of the reason.
    items: BTreeMap<usize, Vec<u32>>,
}

/// Returns whether some task was compared with an earlier run, or taken from one.
pub(crate) fn has_earlier_runs(explanation: &Explanation) -> bool {
    explanation.tasks.iter().any(|task| {
        task.compared_with.is_some() || task.elements.iter().any(|it| it.taken.is_some())
    })
}

/// Returns why elements were taken from earlier runs, or ran. Paths are shown as seen from `base`.
pub(crate) fn text(explanation: &Explanation, tense: Tense, base: &Path) -> String {
    let mut text = String::new();
    for task in &explanation.tasks {
        text.push_str(&of_task(task, tense, base));
    }
    text
}

fn of_task(task: &TaskExplanation, tense: Tense, base: &Path) -> String {
    let mut fates: BTreeMap<Fate, Vec<&ElementExplanation>> = BTreeMap::new();
    for element in &task.elements {
        fates.entry(fate(task, element)).or_default().push(element);
    }
    let mut text = heading(task, &fates, tense);
    let ran: Vec<&ElementExplanation> = fates
        .iter()
        .filter(|(fate, _)| matches!(fate, Fate::Ran | Fate::ToRun | Fate::Open))
        .flat_map(|(_, elements)| elements.iter().copied())
        .collect();
    if ran.is_empty() && task.width.is_some() {
        return text;
    }
    let heading = text.len();
    for reason in &task.reasons {
        line(&mut text, "", &reason::words(reason, base));
    }
    let groups = groups(ran);
    let is_one = groups.len() == 1 && (!task.array || only(task).is_some());
    for group in groups {
        let mut words: Vec<String> = Vec::new();
        for (position, reason) in group.reasons.iter().enumerate() {
            words.push(match (reason, group.items.get(&position)) {
                (Reason::UpstreamValue { upstream, .. }, Some(items)) => {
                    let items: ElementSet = sorted(items).into_iter().collect();
                    let merged = Reason::UpstreamValue {
                        upstream: upstream.clone(),
                        items: Some(items),
                    };
                    reason::words(&merged, base)
                }
                _ => reason::words(reason, base),
            });
        }
        if words.is_empty() {
            continue;
        }
        let elements: ElementSet = group.elements.into_iter().collect();
        let which = if is_one {
            String::new()
        } else {
            format!("{}: ", shown(task, &elements))
        };
        line(&mut text, &which, &words.join("; "));
    }
    if let (Some(run), true) = (&task.compared_with, text.len() > heading) {
        let _ = writeln!(
            text,
            "    {}",
            styled(FAINT, format!("compared with {run}"))
        );
    }
    text
}

/// Adds a reason. What it shows of a difference stands below it.
fn line(text: &mut String, which: &str, words: &str) {
    let mut lines = words.lines();
    let _ = writeln!(text, "  - {which}{}", lines.next().unwrap_or_default());
    for rest in lines {
        let _ = writeln!(text, "      {rest}");
    }
}

fn shown(task: &TaskExplanation, elements: &ElementSet) -> String {
    const MOST_RANGES: usize = 6;
    let shown = elements.ranges();
    if shown.len() <= MOST_RANGES {
        return format!("{}[{}]", task.task, ranges(elements));
    }
    let first = ElementSet::from_ranges(shown[..MOST_RANGES].to_vec());
    format!(
        "{}[{},…] ({} in all)",
        task.task,
        ranges(&first),
        grouped(elements.len())
    )
}

fn fate(task: &TaskExplanation, element: &ElementExplanation) -> Fate {
    let mut reasons = task.reasons.iter().chain(&element.reasons);
    match element.state {
        ElementState::Cached => Fate::Taken(element.taken.as_ref().map(|taken| taken.run.clone())),
        ElementState::Waiting | ElementState::Queued => {
            let is_open = reasons.any(|it| matches!(it, Reason::UpstreamFirst { .. }));
            if is_open { Fate::Open } else { Fate::ToRun }
        }
        ElementState::Running
        | ElementState::Succeeded
        | ElementState::Failed
        | ElementState::Lost => Fate::Ran,
        ElementState::Skipped => Fate::Skipped,
        ElementState::Cancelled => Fate::Cancelled,
    }
}

/// Returns the element of an array that was asked for alone.
fn only(task: &TaskExplanation) -> Option<u32> {
    match &task.elements[..] {
        [element] if task.array && task.width != Some(1) => Some(element.index),
        _ => None,
    }
}

fn heading(
    task: &TaskExplanation,
    fates: &BTreeMap<Fate, Vec<&ElementExplanation>>,
    tense: Tense,
) -> String {
    let Some(width) = task.width else {
        let why = "its number of elements is not known yet";
        return format!("{}[]: {why}\n", styled(STRONG, &task.task));
    };
    let only = only(task);
    let mut parts = Vec::new();
    for (fate, elements) in fates {
        let what = match (fate, tense) {
            (Fate::Taken(run), tense) => {
                let from = match run {
                    Some(run) => run.to_string(),
                    None => "an earlier run".to_owned(),
                };
                let mut words = match tense {
                    Tense::Real => format!("taken from {from}"),
                    Tense::Imagined => format!("would be taken from {from}"),
                };
                if let ([element], true) = (&elements[..], task.array)
                    && let Some(taken) = &element.taken
                {
                    let _ = write!(words, " (element {})", taken.element);
                }
                words
            }
            (Fate::Ran, _) => "ran".to_owned(),
            (Fate::ToRun, Tense::Real) => "to run".to_owned(),
            (Fate::ToRun, Tense::Imagined) => "would run".to_owned(),
            (Fate::Open, _) => "not decided yet".to_owned(),
            (Fate::Skipped, _) => "skipped".to_owned(),
            (Fate::Cancelled, _) => "cancelled".to_owned(),
        };
        parts.push(match (task.array && only.is_none(), parts.is_empty()) {
            (false, _) => what,
            (true, true) => {
                let number = grouped(elements.len() as u32);
                format!("{number} of {} {what}", grouped(width))
            }
            (true, false) => format!("{} {what}", grouped(elements.len() as u32)),
        });
    }
    if parts.is_empty() {
        parts.push("it has no elements".to_owned());
    }
    let brackets = match only {
        Some(index) => format!("[{index}]"),
        None if task.array => "[]".to_owned(),
        None => String::new(),
    };
    format!(
        "{}{brackets}: {}\n",
        styled(STRONG, &task.task),
        parts.join("; ")
    )
}

/// Puts elements together whose reasons differ in nothing but which items of upstream tasks are new.
fn groups(elements: Vec<&ElementExplanation>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for element in elements {
        let key: String = element.reasons.iter().map(key).collect();
        let position = *known.entry(key).or_insert_with(|| {
            groups.push(Group {
                elements: Vec::new(),
                reasons: element.reasons.iter().collect(),
                items: BTreeMap::new(),
            });
            groups.len() - 1
        });
        let group = &mut groups[position];
        group.elements.push(element.index);
        for (place, reason) in element.reasons.iter().enumerate() {
            if let Reason::UpstreamValue {
                items: Some(items), ..
            } = reason
            {
                group.items.entry(place).or_default().extend(items.iter());
            }
        }
    }
    for group in &mut groups {
        group.elements = sorted(&group.elements);
    }
    groups
}

fn sorted(items: &[u32]) -> Vec<u32> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    items
}

fn key(reason: &Reason) -> String {
    match reason {
        Reason::UpstreamValue {
            upstream,
            items: Some(_),
        } => format!("new items of {upstream}\n"),
        reason => format!("{reason:?}\n"),
    }
}

/// Returns the same as `--json` prints it, in `tasks`.
pub(crate) fn tasks(explanation: &Explanation, base: &Path) -> Value {
    let reasons = |reasons: &[Reason]| -> Vec<Value> {
        let all = reasons.iter();
        all.map(|it| {
            let mut document = json!(it);
            document["text"] =
                json!(anstream::adapter::strip_str(&reason::words(it, base)).to_string());
            document
        })
        .collect()
    };
    let tasks = explanation.tasks.iter().map(|task| {
        let elements = task.elements.iter().map(|element| {
            let mut document = json!({"index": element.index, "state": element.state});
            if let Some(taken) = &element.taken {
                document["taken"] = json!(taken);
            }
            let ran = element.state != ElementState::Cached;
            if ran {
                document["reasons"] = json!(reasons(&element.reasons));
            }
            document
        });
        let mut document = json!({
            "task": task.task, "array": task.array, "width": task.width,
            "reasons": reasons(&task.reasons),
            "elements": elements.collect::<Vec<Value>>(),
        });
        if let Some(run) = &task.compared_with {
            document["compared_with"] = json!(run);
        }
        document
    });
    tasks.collect()
}
