//! The planner: a state in, actions out.

mod again;
mod drive;
mod end;
mod send;

use std::collections::BTreeSet;

use super::{ElementState, State, Width};
use crate::elements::ElementSet;
use crate::id::{RunId, Tag};
use crate::journal::{Record, Reopen, SubmissionRecord};
use crate::rundir::{DispatchMode, Selection};
use crate::scheduler::Capabilities;
use crate::workflow::{Delivery, Graph, Input, Items, Source, TaskIndex};

/// Most submissions that one dispatch job waits for. A dispatch of a part keeps the run going all the
/// same, since it plans the next one; a dependency list has no such bound on the command line.
const MOST_AWAITED: usize = 400;

/// What the planner knows of a run besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The id of the run.
    pub run: &'a RunId,
    /// The workflow.
    pub graph: &'a Graph,
    /// The fold of the journal, with everything that was observed since.
    pub state: &'a State,
    /// Who plans again.
    pub dispatch: DispatchMode,
    /// The dispatch or guard job that is planning, where it is one.
    pub own: Option<&'a Tag>,
    /// How much may be queued.
    pub room: Room,
}

/// How much may be queued in the batch system. It counts each index of an array as a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Most jobs of the run at the same time, those that plan included.
    pub jobs: Option<u32>,
    /// Most jobs in one request.
    pub at_once: Option<u32>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a record.
    Record(Record),
    /// Announce a request, send it, and record its id. Not done when one of the submissions that it
    /// comes after could not be sent.
    Send(SubmissionRecord),
    /// Cancel jobs that have nothing to do any more, in this order.
    Cancel(Vec<Tag>),
    /// Cancel what is left of these elements in the batch system: other submissions run them.
    Withdraw(Vec<(Tag, ElementSet)>),
}

/// Answers cache questions in bulk.
pub trait Lookup {
    /// Returns the elements out of `elements` whose values are remembered. `state` is the state as it will be
    /// when the actions so far are done.
    fn remembered(&self, state: &State, task: TaskIndex, elements: &ElementSet) -> Remembered;
}

/// Elements whose values are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The elements.
    pub elements: ElementSet,
    /// Numbers of entries of the lists that they returned, where a task fans out over them.
    pub items: Vec<(u32, u32)>,
}

/// A [`Lookup`] that remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingRemembered;

impl Lookup for NothingRemembered {
    fn remembered(&self, _state: &State, _task: TaskIndex, _elements: &ElementSet) -> Remembered {
        Remembered::default()
    }
}

/// Returns what to do next.
///
/// Deterministic and without I/O. Planning again from the state that results does nothing. Linear in
/// the elements of tasks that have not ended.
pub fn plan(
    snapshot: Snapshot<'_>,
    capabilities: &Capabilities,
    lookup: &dyn Lookup,
) -> Vec<Action> {
    let mut planner = Planner::new(snapshot, capabilities);
    if planner.state.finished.is_some() {
        return Vec::new();
    }
    if planner.state.is_cancelled {
        planner.cancel();
        return planner.actions;
    }
    planner.guard_own();
    if planner.state.is_limited {
        // What drives the run first: there may be no room for it behind the rest.
        planner.is_held = planner
            .state
            .tasks
            .iter()
            .any(|task| task.counts.waiting > 0);
        planner.drive();
    }
    for task in snapshot.graph.order() {
        planner.reopen(*task);
        planner.expand(*task);
        planner.skip(*task);
        planner.take_remembered(*task, lookup);
        planner.replace(*task);
        planner.send(*task);
    }
    if !planner.finish() {
        planner.drive();
    }
    planner.actions
}

/// Returns what a request to try elements again is about: those that ended without a value among the ones
/// named, or among all where none are named, and what those that were skipped need.
pub(super) fn select(
    snapshot: Snapshot<'_>,
    capabilities: &Capabilities,
    what: &[Selection],
) -> Vec<(TaskIndex, ElementSet)> {
    Planner::new(snapshot, capabilities).select(what)
}

/// Returns the elements that have ended and would wait again by themselves, by task and why.
pub(super) fn to_reopen(
    snapshot: Snapshot<'_>,
    capabilities: &Capabilities,
) -> Vec<(TaskIndex, Reopen, ElementSet)> {
    let planner = Planner::new(snapshot, capabilities);
    let tasks = snapshot.graph.order().iter().copied();
    tasks
        .flat_map(|task| {
            [
                (task, Reopen::Retries, planner.to_retry(task)),
                (task, Reopen::Upstream, planner.to_revive(task)),
            ]
        })
        .collect()
}

struct Planner<'a> {
    snapshot: Snapshot<'a>,
    capabilities: &'a Capabilities,
    /// The state as it will be when the actions so far are done.
    state: State,
    actions: Vec<Action>,
    /// Submissions sent by actions of this plan: usable as parents although they have no job id yet.
    planned: BTreeSet<u32>,
    /// Whether elements that could be sent were held back for want of room.
    is_held: bool,
}

/// How far the items of a source are known.
enum Count {
    Known(u32),
    Unknown,
    Never(String),
}

impl<'a> Planner<'a> {
    fn new(snapshot: Snapshot<'a>, capabilities: &'a Capabilities) -> Self {
        Self {
            snapshot,
            capabilities,
            state: snapshot.state.clone(),
            actions: Vec::new(),
            planned: BTreeSet::new(),
            is_held: false,
        }
    }

    fn record(&mut self, record: Record) {
        self.state.apply(&record);
        self.actions.push(Action::Record(record));
    }

    fn name(&self, task: TaskIndex) -> &str {
        self.snapshot.graph.declared(task).name.as_str()
    }

    // --- widths ---

    fn expand(&mut self, task: TaskIndex) {
        if self.state.task(task).width != Width::Unknown {
            return;
        }
        let mut widths: Vec<(&str, u32)> = Vec::new();
        let graph = self.snapshot.graph;
        for input in graph
            .task(task)
            .inputs
            .iter()
            .filter(|input| input.delivery == Delivery::Spread)
        {
            match self.count(input) {
                Count::Known(width) => widths.push((input.parameter.as_str(), width)),
                Count::Unknown => return,
                Count::Never(message) => {
                    return self.record(Record::Unexpanded {
                        task,
                        state: ElementState::Skipped,
                        message,
                    });
                }
            }
        }
        let Some((first, width)) = widths.first().copied() else {
            return;
        };
        match widths.iter().find(|(_, other)| *other != width) {
            None => self.record(Record::Expanded { task, width }),
            Some((other, length)) => {
                let message = format!(
                    "its parameters run over lists of different lengths: `{first}` has {width}, `{other}` has {length}"
                );
                self.record(Record::Unexpanded {
                    task,
                    state: ElementState::Failed,
                    message,
                });
            }
        }
    }

    fn count(&self, input: &Input) -> Count {
        let mut total = 0u32;
        for source in &input.sources {
            match self.source_count(*source) {
                Count::Known(count) => match total.checked_add(count) {
                    Some(sum) => total = sum,
                    None => {
                        return Count::Never("it would have more than 2^32 elements".to_owned());
                    }
                },
                other => return other,
            }
        }
        Count::Known(total)
    }

    fn source_count(&self, source: Source) -> Count {
        let upstream = self.state.task(source.task);
        let never = || {
            Count::Never(format!(
                "it needs `{}`, which has no result",
                self.name(source.task)
            ))
        };
        match source.items {
            Items::One => Count::Known(1),
            Items::Elements => match upstream.width {
                Width::Known(width) => Count::Known(width),
                Width::Unknown => Count::Unknown,
                Width::Never { .. } => never(),
            },
            Items::List | Items::Flatten if upstream.is_broken() => never(),
            Items::List | Items::Flatten if !upstream.is_complete() => Count::Unknown,
            Items::List | Items::Flatten => {
                let sum = (0..upstream.elements.len() as u32).try_fold(0u32, |sum, element| {
                    sum.checked_add(upstream.items.get(&element).copied()?)
                });
                sum.map_or_else(never, Count::Known)
            }
        }
    }

    // --- failures ---

    /// Skips elements that need a value which will never be there.
    fn skip(&mut self, task: TaskIndex) {
        let graph = self.snapshot.graph;
        if self.state.task(task).is_ended() || self.state.task(task).width == Width::Unknown {
            return;
        }
        if let Some(upstream) = self
            .whole_needs(task)
            .into_iter()
            .find(|need| self.state.task(*need).is_broken())
        {
            let name = self.name(upstream);
            let message = match self.state.task(upstream).broken() {
                broken if broken > 0 && graph.is_array(upstream) => {
                    format!("it needs all of `{name}`, of which {broken} have no result")
                }
                _ => format!("it needs `{name}`, which has no result"),
            };
            let elements = self.unended(task, |_| true);
            return self.skip_elements(task, elements, message);
        }
        for input in graph
            .task(task)
            .inputs
            .iter()
            .filter(|input| input.delivery == Delivery::Spread)
        {
            let mut offset = 0;
            for source in &input.sources {
                let upstream = self.state.task(source.task);
                let is_by_element = matches!(source.items, Items::Elements | Items::One);
                if is_by_element && upstream.is_broken() {
                    let elements = self.unended(task, |element| {
                        element
                            .checked_sub(offset)
                            .and_then(|item| upstream.elements.get(item as usize))
                            .is_some_and(|entry| entry.state.is_ended() && !entry.state.has_value())
                    });
                    let name = self.name(source.task);
                    let message = match (source.items, offset) {
                        (Items::Elements, 0) => format!(
                            "it needs the element of `{name}` of the same index, which has no result"
                        ),
                        (Items::Elements, _) => {
                            format!("it needs an element of `{name}`, which has no result")
                        }
                        _ => format!("it needs `{name}`, which has no result"),
                    };
                    self.skip_elements(task, elements, message);
                }
                match self.source_count(*source) {
                    Count::Known(count) => offset += count,
                    Count::Unknown | Count::Never(_) => break,
                }
            }
        }
    }

    fn unended(&self, task: TaskIndex, keep: impl Fn(u32) -> bool) -> ElementSet {
        let elements = (0..).zip(&self.state.task(task).elements);
        elements
            .filter(|(index, entry)| !entry.state.is_ended() && keep(*index))
            .map(|(index, _)| index)
            .collect()
    }

    fn skip_elements(&mut self, task: TaskIndex, elements: ElementSet, message: String) {
        if !elements.is_empty() {
            self.withdraw_from(task, &elements);
            self.record(Record::Ended {
                task,
                elements,
                state: ElementState::Skipped,
                reason: None,
                message,
            });
        }
    }

    /// Takes elements out of the queue that are skipped since something that they need was cancelled: a body
    /// that could not be ended alone may still give them a value.
    fn withdraw_from(&mut self, task: TaskIndex, elements: &ElementSet) {
        let graph = self.snapshot.graph;
        let sources = graph.task(task).inputs.iter().flat_map(|it| &it.sources);
        let mut needs = sources
            .map(|source| source.task)
            .chain(graph.task(task).after.iter().copied());
        let is_open = |need: TaskIndex| {
            self.state.task(need).counts.cancelled > 0 && graph.declared(need).batch.is_some()
        };
        if !needs.any(is_open) {
            return;
        }
        let queued = self
            .state
            .queued(task, |element| elements.contains(element));
        let parts = self.state.tagged(queued);
        if !parts.is_empty() {
            self.actions.push(Action::Withdraw(parts));
        }
    }

    /// Returns the tasks that every element of `task` needs as a whole.
    fn whole_needs(&self, task: TaskIndex) -> BTreeSet<TaskIndex> {
        let wires = self.snapshot.graph.task(task);
        let mut needs: BTreeSet<TaskIndex> = wires.after.iter().copied().collect();
        for input in &wires.inputs {
            for source in &input.sources {
                if input.delivery != Delivery::Spread
                    || matches!(source.items, Items::List | Items::Flatten)
                {
                    needs.insert(source.task);
                }
            }
        }
        needs
    }

    fn take_remembered(&mut self, task: TaskIndex, lookup: &dyn Lookup) {
        if self.state.task(task).counts.waiting == 0 {
            return;
        }
        let waiting = self.state.task(task).in_state(ElementState::Waiting);
        let Remembered { elements, items } = lookup.remembered(&self.state, task, &waiting);
        if !elements.is_empty() {
            self.record(Record::Remembered {
                tag: self.new_tag('c', &format!("{task:?} {elements:?}")),
                task,
                elements,
                items,
            });
        }
    }
}
