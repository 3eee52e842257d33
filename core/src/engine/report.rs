use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, RunId, TaskName, WorkflowName};
use crate::scheduler::{EndReason, Memory};

/// The state of a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Something is queued, running, or still to be planned.
    Running,
    /// Nothing could be queued; the reason is told. A later dispatch goes on.
    Paused,
    /// Nothing is queued that would plan again; a dispatch from outside is needed.
    Stalled,
    /// Every element succeeded, now or in an earlier run.
    Succeeded,
    /// At least one element failed or was lost, or a task could not be expanded.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunState {
    /// Returns whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

macro_rules! element_states {
    ($($(#[$doc:meta])* $variant:ident $field:ident),* $(,)?) => {
        /// The state of one element.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum ElementState { $($(#[$doc])* $variant),* }

        impl ElementState {
            /// All states, in the order in which they are shown.
            pub const ALL: [Self; 9] = [$(Self::$variant),*];

            /// Returns the word shown to people and in JSON.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field)),* }
            }
        }

        /// Numbers of elements by state.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Counts { $($(#[$doc])* pub $field: u32),* }

        impl Counts {
            fn slot(&mut self, state: ElementState) -> &mut u32 {
                match state { $(ElementState::$variant => &mut self.$field),* }
            }

            /// Adds `number` elements in `state`.
            pub fn add(&mut self, state: ElementState, number: u32) {
                *self.slot(state) += number;
            }

            /// Returns the number in `state`.
            pub fn get(&self, state: ElementState) -> u32 {
                match state { $(ElementState::$variant => self.$field),* }
            }
        }
    };
}

element_states! {
    /// Not sent yet.
    Waiting waiting,
    /// Sent to the batch system.
    Queued queued,
    /// Its body runs.
    Running running,
    /// Its result is recorded.
    Succeeded succeeded,
    /// Its result was taken from an earlier run.
    Cached cached,
    /// Its body failed, or was killed for a reason that is known.
    Failed failed,
    /// It ended without a word: neither its worker nor the batch system says how.
    Lost lost,
    /// It was cancelled.
    Cancelled cancelled,
    /// Not run, since a value that it needs will never be there.
    Skipped skipped,
}

impl ElementState {
    /// Returns whether the element has ended.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Waiting | Self::Queued | Self::Running)
    }

    /// Returns whether the element has a value.
    pub fn has_value(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cached)
    }
}

impl Counts {
    /// Moves one element from one state to another.
    pub(crate) fn move_one(&mut self, from: ElementState, to: ElementState) {
        *self.slot(from) -= 1;
        *self.slot(to) += 1;
    }

    /// Returns the number of all elements.
    pub fn total(&self) -> u32 {
        ElementState::ALL.iter().map(|state| self.get(*state)).sum()
    }
}

/// A run as `reflow status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The id of the run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
    /// The name of its workflow.
    pub workflow: WorkflowName,
    /// The backend that it runs on.
    pub backend: String,
    /// When it was submitted, RFC 3339.
    pub created: String,
    /// Its state.
    pub state: RunState,
    /// Why it is paused, stalled or failed as a whole, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its tasks, in the order of definition.
    pub tasks: Vec<TaskStatus>,
    /// Elements that failed, were lost, or were cancelled in the batch system: at most [`RunStatus::MOST_FAILURES`] of each task.
    pub failures: Vec<ElementReport>,
}

impl RunStatus {
    /// Most failures reported for one task; the counts tell how many there are.
    pub const MOST_FAILURES: usize = 5;

    /// Returns the numbers over all tasks.
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for task in &self.tasks {
            for state in ElementState::ALL {
                totals.add(state, task.elements.get(state));
            }
        }
        totals
    }
}

/// One task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Its name.
    pub name: TaskName,
    /// Whether it is an array.
    pub array: bool,
    /// The number of its elements, once known. 1 for a task that is no array.
    pub width: Option<u32>,
    /// Its elements by state. All zero while the width is unknown.
    pub elements: Counts,
    /// Why it has no elements: it could not be expanded, or was skipped as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Jobs of the batch system that carry it, the newest last.
    pub jobs: Vec<JobId>,
}

/// One element that ended without a value, or is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementReport {
    /// The task.
    pub task: TaskName,
    /// The index, for an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Its state.
    pub state: ElementState,
    /// Why it ended, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Exit status of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    /// Signal that ended the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The batch system's id of its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The node that it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Wall time of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<Duration>,
    /// Peak memory of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<Memory>,
    /// The last lines of its standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Where its whole output is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// How its worker said that it ended, after it had been given up: kept, and without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<ElementState>,
    /// How often it is still tried again without a person, should it fail.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries_left: u32,
    /// Earlier tries, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<ElementReport>,
}

impl ElementReport {
    /// Returns a report that says nothing but which element it is about.
    pub fn new(task: TaskName, index: Option<u32>) -> Self {
        Self {
            task,
            index,
            attempt: 0,
            state: ElementState::Waiting,
            reason: None,
            message: None,
            exit_status: None,
            signal: None,
            job: None,
            node: None,
            elapsed: None,
            peak_memory: None,
            stderr: String::new(),
            log: None,
            late: None,
            retries_left: 0,
            past: Vec::new(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
