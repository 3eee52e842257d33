use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::elements::ElementSet;
use crate::engine::ElementState;
use crate::id::{RunId, TaskName, WorkflowName};

/// Why the elements of a run were taken from earlier runs, or ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The run that is explained.
    pub run: RunId,
    /// By task, each after everything that it needs.
    pub tasks: Vec<TaskExplanation>,
}

/// Why the elements of a task were taken from earlier runs, or ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskExplanation {
    /// The task.
    pub task: TaskName,
    /// Whether it is an array task.
    pub array: bool,
    /// The number of its elements, once it is known.
    pub width: Option<u32>,
    /// The earlier run that it is compared with: the one it differs least from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<RunId>,
    /// Why all elements that were not taken from earlier runs ran, or will run.
    pub reasons: Vec<Reason>,
    /// By index. Empty while their number is not known.
    pub elements: Vec<ElementExplanation>,
}

/// Why one element was taken from an earlier run, or ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ElementExplanation {
    /// The index; 0 of a task that is no array.
    pub index: u32,
    /// Its state.
    pub state: ElementState,
    /// Where its value was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Origin>,
    /// Why it ran, or will run, besides the reasons of the task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// An element of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// The run that had the value first.
    pub run: RunId,
    /// The element of the same task there.
    pub element: u32,
}

/// Why an element ran, or will run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The user asked for it.
    Forced,
    /// `cache = false`.
    CachingOff,
    /// The run has no store.
    NoStore,
    /// No earlier run of this task is known.
    FirstRun,
    /// What an upstream task gives it is not known yet.
    UpstreamFirst {
        /// The upstream task.
        upstream: TaskName,
    },
    /// The task is in another flow.
    Flow {
        /// The flow it was in, none for the workflow itself.
        before: Option<WorkflowName>,
        /// The flow it is in.
        after: Option<WorkflowName>,
    },
    /// Whether other workflows may use its results.
    Shared {
        /// Now.
        after: bool,
    },
    /// Another `version`.
    Version {
        /// Before.
        before: Option<String>,
        /// Now.
        after: Option<String>,
    },
    /// Whether the code counts.
    CodeCounts {
        /// Now.
        after: bool,
    },
    /// Another command or script.
    Command {
        /// Its text before.
        before: String,
        /// Its text now.
        after: String,
    },
    /// Another program for the script.
    Interpreter {
        /// Before.
        before: Vec<String>,
        /// Now.
        after: Vec<String>,
    },
    /// The result is read elsewhere.
    Output {
        /// Where it was read, in the form of the description.
        before: Value,
        /// Where it is read.
        after: Value,
    },
    /// A variable of the task's `env`.
    Environment {
        /// Its name.
        name: String,
        /// Its value before.
        before: Option<String>,
        /// Its value now.
        after: Option<String>,
    },
    /// The task's `setup` lines.
    Setup {
        /// Before.
        before: Vec<String>,
        /// Now.
        after: Vec<String>,
    },
    /// The task host says that the code is another.
    Code,
    /// Another return type.
    ReturnType {
        /// Before.
        before: String,
        /// Now.
        after: String,
    },
    /// A parameter that the task did not take before.
    ParameterAdded {
        /// The parameter.
        parameter: String,
    },
    /// A parameter that the task takes no more.
    ParameterRemoved {
        /// The parameter.
        parameter: String,
    },
    /// A parameter of another type.
    ParameterType {
        /// The parameter.
        parameter: String,
        /// Its type before.
        before: String,
        /// Its type now.
        after: String,
    },
    /// A parameter that gets its value in another way.
    Delivery {
        /// The parameter.
        parameter: String,
        /// `plain`, `run_dir`, `direct`, `collect` or `spread`.
        before: String,
        /// The same.
        after: String,
    },
    /// Another value of a plain parameter.
    Parameter {
        /// The parameter.
        parameter: String,
        /// The flag that gives it, without dashes.
        flag: String,
        /// The value before.
        before: Value,
        /// The value now.
        after: Value,
    },
    /// A file with another content.
    Content {
        /// The parameter.
        parameter: String,
        /// The file or directory.
        path: String,
    },
    /// Results of an upstream task that have other values.
    UpstreamValue {
        /// The upstream task.
        upstream: TaskName,
        /// Which of its results, or which entries of the list that it returned; all where there is just one.
        #[serde(serialize_with = "indices", skip_serializing_if = "Option::is_none")]
        items: Option<ElementSet>,
    },
    /// Another number of results of an upstream task, or of entries of the list that it returned.
    UpstreamCount {
        /// The upstream task.
        upstream: TaskName,
        /// How many there were.
        before: u32,
        /// How many there are.
        after: u32,
    },
    /// The same values in other places.
    UpstreamOrder {
        /// The upstream task.
        upstream: TaskName,
    },
    /// What it was given counts as nothing changed, and a path that it returned is not there any more.
    OutputDeleted {
        /// The run that returned it.
        run: RunId,
        /// The path.
        path: PathBuf,
    },
    /// The same, and a file that it returned has been written to since.
    OutputChanged {
        /// The run that returned it.
        run: RunId,
        /// The path.
        path: PathBuf,
    },
    /// Nothing differs, and the task's own check did not accept the result.
    Refused {
        /// The run that returned it.
        run: RunId,
    },
    /// Nothing differs, and the earlier run kept no result.
    NotKept {
        /// That run.
        run: RunId,
        /// What became of it there, in words: `it failed there`.
        why: String,
    },
    /// Nothing differs, and what the earlier run kept was not found.
    NotFound {
        /// That run.
        run: RunId,
    },
}

/// Writes elements as `[[first, last], …]`.
#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn indices<S: serde::Serializer>(items: &Option<ElementSet>, to: S) -> Result<S::Ok, S::Error> {
    let ranges = items.iter().flat_map(ElementSet::ranges);
    to.collect_seq(ranges.map(|(first, end)| (*first, end - 1)))
}
