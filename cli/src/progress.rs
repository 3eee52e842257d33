use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use reflow_core::engine::{ElementState, RunStatus, TaskStatus};
use reflow_core::id::TaskName;

use crate::patience::Tell;
use crate::render::status::{state_words, task_name, task_words};

/// Most tasks with a line of their own on a terminal.
const MOST_LINES: usize = 24;

/// Shows how far a run is, on standard error: one line for each task on a terminal, otherwise a line
/// whenever something changes.
#[derive(Debug)]
pub(crate) struct Progress(Kind);

#[derive(Debug)]
enum Kind {
    Silent,
    Lines {
        shown: BTreeMap<TaskName, String>,
        state: String,
    },
    Bars {
        all: MultiProgress,
        bars: BTreeMap<TaskName, ProgressBar>,
        /// Whether colours are wanted.
        coloured: bool,
    },
}

impl Progress {
    pub(crate) fn silent() -> Self {
        Self(Kind::Silent)
    }

    pub(crate) fn on_standard_error() -> Self {
        if std::io::stderr().is_terminal() {
            return Self(Kind::Bars {
                all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
                bars: BTreeMap::new(),
                coloured: AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
            });
        }
        Self(Kind::Lines {
            shown: BTreeMap::new(),
            state: String::new(),
        })
    }

    pub(crate) fn show(&mut self, status: &RunStatus) {
        match &mut self.0 {
            Kind::Silent => {}
            Kind::Lines { shown, state } => show_lines(status, shown, state),
            Kind::Bars {
                all,
                bars,
                coloured,
            } => show_bars(status, all, bars, *coloured),
        }
    }

    /// Returns what tells people something beside the progress.
    pub(crate) fn teller(&self) -> Tell {
        match &self.0 {
            Kind::Silent | Kind::Lines { .. } => Arc::new(note),
            Kind::Bars { all, .. } => {
                let all = all.clone();
                Arc::new(move |text| all.suspend(|| note(text)))
            }
        }
    }

    /// Leaves the lines as they are.
    pub(crate) fn finish(&mut self) {
        if let Kind::Bars { bars, .. } = &mut self.0 {
            for bar in bars.values() {
                bar.abandon();
            }
        }
    }
}

fn note(text: &str) {
    crate::output::note(crate::output::WARN, "note", text);
}

fn show_lines(status: &RunStatus, shown: &mut BTreeMap<TaskName, String>, state: &mut String) {
    let mut err = anstream::stderr().lock();
    for task in &status.tasks {
        let words = task_words(task);
        if shown.get(&task.name) != Some(&words) {
            // What waits before anything has happened is no news.
            if shown.contains_key(&task.name) || has_begun(task) {
                writeln!(err, "{}: {words}", task_name(task)).ok();
            }
            shown.insert(task.name.clone(), words);
        }
    }
    let now = format!(
        "{} {}",
        state_words(status.state),
        status.message.as_deref().unwrap_or_default()
    );
    if *state != now {
        if !state.is_empty() && !status.state.is_final() {
            writeln!(err, "{} {}", status.run_id, now.trim_end()).ok();
        }
        *state = now;
    }
}

fn has_begun(task: &TaskStatus) -> bool {
    task.message.is_some() || task.elements.total() > task.elements.waiting
}

fn ended(task: &TaskStatus) -> u32 {
    ElementState::ALL
        .iter()
        .filter(|state| state.is_ended())
        .map(|state| task.elements.get(*state))
        .sum()
}

fn show_bars(
    status: &RunStatus,
    all: &MultiProgress,
    bars: &mut BTreeMap<TaskName, ProgressBar>,
    coloured: bool,
) {
    let longest = status
        .tasks
        .iter()
        .map(|task| task_name(task).len())
        .max()
        .unwrap_or(0);
    for task in &status.tasks {
        if !bars.contains_key(&task.name) {
            // Of a large workflow, only what happens is shown.
            let room = bars.len() < MOST_LINES;
            if !room || (status.tasks.len() > MOST_LINES && !has_begun(task)) {
                continue;
            }
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style());
            bars.insert(task.name.clone(), bar);
        }
        let Some(bar) = bars.get(&task.name) else {
            continue;
        };
        bar.set_prefix(format!("{:longest$}", task_name(task)));
        bar.set_length(u64::from(task.width.unwrap_or(0).max(1)));
        bar.set_position(u64::from(ended(task)));
        let words = task_words(task);
        bar.set_message(if coloured {
            words
        } else {
            strip_str(&words).to_string()
        });
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {bar:24} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
