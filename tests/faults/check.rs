//! What must hold of a run, whatever was done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reflow_core::engine::{ElementState, RunState, State};
use reflow_core::journal::{Record, SubmissionKind, read_journal};
use reflow_core::rundir::RunDir;
use reflow_core::workflow::{Graph, TaskIndex};

use crate::workload::{Feed, TASKS, Task, Width, is_bad};

/// An element by task name and index.
pub(crate) type Key = (String, u32);

/// How a run is, as its journal says.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) state: Option<RunState>,
    elements: BTreeMap<Key, ElementState>,
    widths: BTreeMap<String, usize>,
    attempts: BTreeMap<Key, u32>,
    /// Ends that were recorded.
    ends: BTreeMap<Key, u32>,
}

impl Look {
    /// Reads the journal of a run.
    pub(crate) fn at(run_dir: &Path) -> Result<Self, String> {
        let dir = RunDir::open(run_dir).map_err(|error| error.to_string())?;
        let graph = Graph::check(dir.record().description.clone())
            .map_err(|error| format!("the description in run.json: {error}"))?;
        let journal = read_journal(&dir.inside("journal")).map_err(|error| error.to_string())?;
        let state = State::fold(&graph, &journal.entries);
        let name = |task: TaskIndex| graph.declared(task).name.to_string();
        let mut look = Self {
            state: state.finished,
            elements: BTreeMap::new(),
            widths: BTreeMap::new(),
            attempts: BTreeMap::new(),
            ends: BTreeMap::new(),
        };
        for (task, of) in (0u32..).map(TaskIndex).zip(&state.tasks) {
            look.widths.insert(name(task), of.elements.len());
            for (element, entry) in (0u32..).zip(&of.elements) {
                let key = (name(task), element);
                look.elements.insert(key.clone(), entry.state);
                look.attempts.insert(key, u32::from(entry.attempt));
            }
        }
        let mut carried = BTreeMap::new();
        for entry in &journal.entries {
            let ended = match &entry.record {
                Record::Intent(submission) => {
                    if let SubmissionKind::Elements { task, .. } = submission.kind {
                        carried.insert(submission.tag.clone(), task);
                    }
                    continue;
                }
                Record::Ingested { tag, ended, .. } => match carried.get(tag) {
                    Some(task) => ended
                        .iter()
                        .map(|(state, set)| (*task, *state, set))
                        .collect(),
                    None => return Err(format!("results of {tag}, which was never announced")),
                },
                Record::Ended {
                    task,
                    elements,
                    state,
                    ..
                } => vec![(*task, *state, elements)],
                _ => continue,
            };
            for (task, state, set) in ended {
                if state == ElementState::Skipped {
                    // That is no attempt: one may follow when what is missing is tried again.
                    continue;
                }
                for element in set.iter() {
                    *look.ends.entry((name(task), element)).or_default() += 1;
                }
            }
        }
        Ok(look)
    }

    /// Returns the elements that were lost, or failed though they do not by themselves.
    pub(crate) fn lost(&self) -> BTreeSet<Key> {
        let is_lost = |(key, state): &(&Key, &ElementState)| match state {
            ElementState::Lost | ElementState::Cancelled => true,
            ElementState::Failed => !is_bad(&key.0, key.1),
            _ => false,
        };
        let lost = self.elements.iter().filter(is_lost);
        lost.map(|(key, _)| key.clone()).collect()
    }

    fn of(&self, task: &str, element: u32) -> Option<ElementState> {
        self.elements.get(&(task.to_owned(), element)).copied()
    }

    /// Returns what is wrong with a run that was not cancelled: of each element it must be said how it
    /// ended, and it was skipped only if what it needs is not there. Where results were destroyed, those
    /// that ran `before` had what they needed.
    pub(crate) fn faults(&self, width: u32, is_healed: bool, before: Option<&Feed>) -> Vec<String> {
        let mut faults = Vec::new();
        let wanted = if is_healed {
            RunState::Succeeded
        } else {
            RunState::Failed
        };
        if self.state != Some(wanted) {
            let state = self.state;
            faults.push(format!("the run ended as {state:?} instead of {wanted:?}"));
        }
        for task in TASKS {
            self.task_faults(task, width, is_healed, before, &mut faults);
        }
        for (key, ends) in &self.ends {
            let attempts = self.attempts.get(key).copied().unwrap_or(0).max(1);
            if *ends > attempts {
                faults.push(format!("{key:?} ended {ends} times in {attempts} attempts"));
            }
        }
        faults
    }

    fn task_faults(
        &self,
        task: &Task,
        width: u32,
        is_healed: bool,
        before: Option<&Feed>,
        faults: &mut Vec<String>,
    ) {
        use ElementState::{Skipped, Succeeded};
        let name = task.name;
        let is_there = |task: &str, element| self.of(task, element) == Some(Succeeded);
        let upstream_width = |upstream: &str| {
            let of = TASKS.iter().find(|task| task.name == upstream);
            of.map_or(Width::One, |task| task.width)
        };
        let wanted = match task.width {
            Width::One => 1,
            Width::Wide => width,
            Width::Empty => 0,
        };
        let has = self.widths.get(name).copied().unwrap_or(0) as u32;
        // Where a list is missing, nobody knows how many elements there would have been.
        let is_known = task.width == Width::One
            || task.upstream.is_none_or(|upstream| {
                upstream_width(upstream) == Width::One && is_there(upstream, 0)
                    || upstream_width(upstream) != Width::One
                        && self.widths.get(upstream) == Some(&(width as usize))
            });
        if is_known && has != wanted {
            faults.push(format!("`{name}` has {has} elements instead of {wanted}"));
        }
        for element in 0..has {
            let state = self.of(name, element);
            let has_inputs =
                task.upstream
                    .is_none_or(|upstream| match (upstream_width(upstream), task.width) {
                        (Width::One, _) => is_there(upstream, 0),
                        (_, Width::Wide) => is_there(upstream, element),
                        (Width::Empty, _) => is_there("none", 0),
                        (Width::Wide, _) => {
                            self.widths.get(upstream) == Some(&(width as usize))
                                && (0..width).all(|element| is_there(upstream, element))
                        }
                    });
            let had_inputs = has_inputs
                || before.is_some_and(|feed| feed.ended.contains_key(&(name.to_owned(), element)));
            let is_right = match state {
                Some(Skipped) => !has_inputs,
                Some(Succeeded) => had_inputs && (is_healed || !is_bad(name, element)),
                Some(ElementState::Failed | ElementState::Lost | ElementState::Cancelled) => {
                    // That it was skipped may be what was destroyed.
                    had_inputs || before.is_some()
                }
                _ => false,
            };
            if !is_right {
                let inputs = if has_inputs {
                    "are there"
                } else {
                    "are missing"
                };
                let state = state.map_or("unknown", ElementState::word);
                faults.push(format!(
                    "{name}[{element}] is {state}, and its inputs {inputs}"
                ));
            }
        }
    }

    /// Returns where the bodies did something else than the journal says.
    pub(crate) fn disagrees(&self, feed: &Feed) -> Vec<String> {
        let mut faults = feed.foreign.clone();
        for (key, state) in &self.elements {
            let started = feed.started.get(key).copied().unwrap_or(0);
            let ended = feed.ended.get(key).copied().unwrap_or(0);
            let attempts = self.attempts.get(key).copied().unwrap_or(0);
            let what = format!("{key:?} is {state:?} after {attempts} attempts");
            if started > attempts {
                faults.push(format!("{what}, and its body was started {started} times"));
            }
            match state {
                ElementState::Succeeded if ended == 0 || ended > attempts => {
                    faults.push(format!(
                        "{what}, and its body came to its end {ended} times"
                    ));
                }
                ElementState::Skipped if started > 0 => {
                    faults.push(format!("{what}, and its body was started"));
                }
                _ => {}
            }
        }
        for key in feed.started.keys() {
            if !self.elements.contains_key(key) {
                faults.push(format!("{key:?} was started, and the run does not know it"));
            }
        }
        faults
    }
}
