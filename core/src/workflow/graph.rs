use std::collections::HashMap;

use super::{Description, Parameters, TaskDescription};
use crate::id::{ParameterName, TaskName};

/// The position of a task in its workflow, in the order of definition.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TaskIndex(pub u32);

impl TaskIndex {
    /// Returns it as an index into slices.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// A checked workflow: every wire has a mode, no cycles, no clashes.
///
/// Made by [`Graph::check`] only, so that holding one means that all checks have passed.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) description: Description,
    pub(super) tasks: Vec<Task>,
    pub(super) order: Vec<TaskIndex>,
    pub(super) names: HashMap<TaskName, TaskIndex>,
    pub(super) parameters: Parameters,
}

/// One task with its wires.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// Inputs from other tasks, in the order of the parameters.
    pub inputs: Vec<Input>,
    /// Tasks that must have succeeded as a whole, without data.
    pub after: Vec<TaskIndex>,
    /// Tasks that take a result of this one or come `after` it.
    pub consumers: Vec<TaskIndex>,
}

/// One parameter that takes results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The parameter.
    pub parameter: ParameterName,
    /// How its value is made of the items.
    pub delivery: Delivery,
    /// Where the items come from, in the order written. Exactly one for [`Delivery::Direct`].
    pub sources: Vec<Source>,
}

/// How the value of a parameter is made of the items of its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The whole result of one single task, to every element.
    Direct,
    /// The list of all items, to every element.
    Collect,
    /// Item i to element i. Such inputs give an array its width.
    Spread,
}

/// The items that one upstream task gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The upstream task.
    pub task: TaskIndex,
    /// How its results become items.
    pub items: Items,
}

/// How the results of an upstream task become items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Items {
    /// A single task: its result is one item.
    One,
    /// A single task that returns a list: each entry is an item.
    List,
    /// An array task: the result of each element is an item.
    Elements,
    /// An array task that returns lists: each entry of each list is an item, in element order.
    Flatten,
}

/// The name of a wiring mode, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Single to single.
    Direct,
    /// One element per entry of a list.
    FanOut,
    /// All results of an array in one list.
    Gather,
    /// All entries of all lists of an array in one list.
    GatherFlattened,
    /// Index by index.
    Chain,
    /// One element per entry of all lists of an array.
    Flatten,
    /// The whole value to every element.
    Broadcast,
    /// Several tasks put together.
    Concatenate,
}

impl Input {
    /// Returns the mode of each source, for people.
    pub fn modes(&self, consumer_is_array: bool) -> Vec<Mode> {
        self.sources
            .iter()
            .map(|source| match (self.delivery, source.items) {
                (Delivery::Direct, _) if !consumer_is_array => Mode::Direct,
                (Delivery::Direct, _) => Mode::Broadcast,
                (Delivery::Collect, _) if consumer_is_array => Mode::Broadcast,
                (Delivery::Collect, Items::Elements) => Mode::Gather,
                (Delivery::Collect, Items::Flatten) => Mode::GatherFlattened,
                (Delivery::Collect, Items::One | Items::List) | (Delivery::Spread, Items::One) => {
                    Mode::Concatenate
                }
                (Delivery::Spread, Items::List) => Mode::FanOut,
                (Delivery::Spread, Items::Elements) => Mode::Chain,
                (Delivery::Spread, Items::Flatten) => Mode::Flatten,
            })
            .collect()
    }
}

impl Graph {
    /// Returns the description that was checked.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the number of tasks.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns whether there are no tasks.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Returns the wires of a task.
    pub fn task(&self, index: TaskIndex) -> &Task {
        &self.tasks[index.get()]
    }

    /// Returns what the user declared of a task.
    pub fn declared(&self, index: TaskIndex) -> &TaskDescription {
        &self.description.tasks[index.get()]
    }

    /// Returns all tasks, each after everything that it needs; ties in the order of definition.
    pub fn order(&self) -> &[TaskIndex] {
        &self.order
    }

    /// Returns the task of that name.
    pub fn find(&self, name: &str) -> Option<TaskIndex> {
        self.names.get(name).copied()
    }

    /// Returns the parameters that the caller gives, as flags.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns whether the task has one element per item of its inputs.
    pub fn is_array(&self, index: TaskIndex) -> bool {
        self.declared(index).array
    }
}
