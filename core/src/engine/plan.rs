//! The planner: a state in, actions out.

use std::collections::{BTreeMap, BTreeSet};

use super::{ElementState, Phase, RunState, State, Width};
use crate::elements::ElementSet;
use crate::id::{RunId, Tag};
use crate::journal::{Edge, Record, SubmissionKind, SubmissionRecord};
use crate::rundir::DispatchMode;
use crate::scheduler::{Capabilities, DependencyKind, FailedParent};
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
}

/// Answers cache questions in bulk.
pub trait Lookup {
    /// Returns the elements out of `elements` whose values are remembered.
    fn remembered(&self, task: TaskIndex, elements: &ElementSet) -> ElementSet;
}

/// A [`Lookup`] that remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingRemembered;

impl Lookup for NothingRemembered {
    fn remembered(&self, _task: TaskIndex, _elements: &ElementSet) -> ElementSet {
        ElementSet::new()
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
    let mut planner = Planner {
        snapshot,
        capabilities,
        state: snapshot.state.clone(),
        actions: Vec::new(),
        planned: BTreeSet::new(),
    };
    if planner.state.finished.is_some() {
        return Vec::new();
    }
    if planner.state.is_cancelled {
        planner.cancel();
        return planner.actions;
    }
    planner.guard_own();
    for task in snapshot.graph.order() {
        planner.expand(*task);
        planner.skip(*task);
        planner.take_remembered(*task, lookup);
        planner.send(*task);
    }
    if !planner.finish() {
        planner.drive();
    }
    planner.actions
}

struct Planner<'a> {
    snapshot: Snapshot<'a>,
    capabilities: &'a Capabilities,
    /// The state as it will be when the actions so far are done.
    state: State,
    actions: Vec<Action>,
    /// Submissions sent by actions of this plan: usable as parents although they have no job id yet.
    planned: BTreeSet<u32>,
}

/// How far the items of a source are known.
enum Count {
    Known(u32),
    Unknown,
    Never(String),
}

impl Planner<'_> {
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
            self.record(Record::Ended {
                task,
                elements,
                state: ElementState::Skipped,
                reason: None,
                message,
            });
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
        let remembered = lookup.remembered(task, &waiting);
        if !remembered.is_empty() {
            let message = "taken from an earlier run".to_owned();
            self.record(Record::Ended {
                task,
                elements: remembered,
                state: ElementState::Cached,
                reason: None,
                message,
            });
        }
    }

    // --- sending ---

    /// Returns whether a job may depend on the submission.
    fn is_usable(&self, position: u32) -> bool {
        self.state.submission(position).job.is_some() || self.planned.contains(&position)
    }

    /// Returns whether everything of a task has a value or is on its way to one.
    fn is_under_way(&self, task: TaskIndex) -> bool {
        let task = self.state.task(task);
        matches!(task.width, Width::Known(_))
            && task.counts.waiting == 0
            && task.live.iter().all(|position| self.is_usable(*position))
    }

    fn send(&mut self, task: TaskIndex) {
        if self.state.task(task).counts.waiting == 0 || self.state.paused.is_some() {
            return;
        }
        let needs = self.whole_needs(task);
        if !needs.iter().all(|need| self.is_under_way(*need)) {
            return;
        }
        let spread = self.element_needs(task);
        // An element that came back found an input missing, although the batch system let its job start:
        // it goes again only when everything that it needs is there.
        let whole_values = needs
            .iter()
            .all(|need| self.state.task(*need).is_complete());
        let ready = (0..self.state.task(task).elements.len() as u32)
            .filter(|element| self.is_ready(task, *element, &spread, whole_values));
        let mut by_attempt: BTreeMap<u32, ElementSet> = BTreeMap::new();
        for element in ready {
            let attempt = u32::from(self.state.task(task).elements[element as usize].attempt) + 1;
            by_attempt.entry(attempt).or_default().insert(element);
        }
        for (attempt, elements) in by_attempt {
            for chunk in self.chunks(task, &elements) {
                self.send_chunk(task, attempt, chunk, &needs, &spread);
            }
        }
    }

    /// Returns whether a waiting element can be sent now.
    fn is_ready(
        &self,
        task: TaskIndex,
        element: u32,
        spread: &[ElementNeed],
        whole_values: bool,
    ) -> bool {
        if self.state.task(task).elements[element as usize].state != ElementState::Waiting {
            return false;
        }
        let has_returned = self.state.returns.contains_key(&(task, element));
        let is_there = |need: &ElementNeed, item: u32| {
            self.state
                .task(need.task)
                .elements
                .get(item as usize)
                .is_some_and(|upstream| {
                    let is_coming = upstream.state == ElementState::Queued
                        && self.is_usable(upstream.submission);
                    upstream.state.has_value() || (is_coming && !has_returned)
                })
        };
        (!has_returned || whole_values)
            && spread
                .iter()
                .all(|need| need.item(element).is_none_or(|item| is_there(need, item)))
    }

    /// Splits elements into arrays that the batch system takes.
    fn chunks(&self, task: TaskIndex, elements: &ElementSet) -> Vec<ElementSet> {
        let declared = self.snapshot.graph.declared(task);
        let mut most = self.capabilities.array_limit.unwrap_or(u32::MAX);
        if let Some(parallel) = declared
            .array_parallelism
            .filter(|_| !self.capabilities.concurrency_limit)
        {
            most = most.min(parallel);
        }
        elements.chunks(most.saturating_mul(declared.batch.unwrap_or(1).max(1)))
    }

    /// Returns the upstream elements that single elements of `task` need.
    fn element_needs(&self, task: TaskIndex) -> Vec<ElementNeed> {
        let mut needs = Vec::new();
        for input in self
            .snapshot
            .graph
            .task(task)
            .inputs
            .iter()
            .filter(|input| input.delivery == Delivery::Spread)
        {
            let mut offset = 0;
            for source in &input.sources {
                let Count::Known(count) = self.source_count(*source) else {
                    break;
                };
                if matches!(source.items, Items::Elements | Items::One) {
                    needs.push(ElementNeed {
                        task: source.task,
                        offset,
                        count,
                    });
                }
                offset += count;
            }
        }
        needs
    }

    fn send_chunk(
        &mut self,
        task: TaskIndex,
        attempt: u32,
        elements: ElementSet,
        needs: &BTreeSet<TaskIndex>,
        spread: &[ElementNeed],
    ) {
        let declared = self.snapshot.graph.declared(task);
        let batch = declared.batch.unwrap_or(1).max(1);
        let indices = elements.len().div_ceil(batch);
        let mut edges: BTreeMap<u32, DependencyKind> = BTreeMap::new();
        let after_ok = if self.capabilities.failed_parent == FailedParent::Cancelled {
            DependencyKind::Ok
        } else {
            DependencyKind::Any
        };
        for need in spread {
            let items = need.items(&elements);
            for position in &self.state.task(need.task).live {
                let parent = &self.state.submission(*position).record;
                let SubmissionKind::Elements {
                    elements: theirs,
                    batch: their_batch,
                    ..
                } = &parent.kind
                else {
                    continue;
                };
                if !theirs.intersects(&items) {
                    continue;
                }
                let same = need.offset == 0 && *theirs == elements && *their_batch == batch;
                let kind = match () {
                    () if same && indices == 1 => after_ok,
                    () if same && self.capabilities.element_wise => DependencyKind::ElementWise,
                    () => DependencyKind::Any,
                };
                edges
                    .entry(*position)
                    .and_modify(|edge| *edge = stronger(*edge, kind))
                    .or_insert(kind);
            }
        }
        for need in needs {
            for position in &self.state.task(*need).live {
                edges.insert(*position, after_ok);
            }
        }
        if declared.array_parallelism.is_some() {
            // Submissions of one task take turns, so that its limit holds over all of them. After each of
            // those before, and not just after the last: that one may be cancelled while it waits.
            for position in &self.state.task(task).live {
                edges.entry(*position).or_insert(DependencyKind::Any);
            }
        }
        let after = edges
            .into_iter()
            .map(|(position, kind)| Edge {
                tag: self.state.submission(position).record.tag.clone(),
                kind,
            })
            .collect();
        let at_most = declared
            .array_parallelism
            .filter(|most| self.capabilities.concurrency_limit && *most < indices);
        let kind = SubmissionKind::Elements {
            task,
            attempt,
            elements,
            batch,
        };
        self.submit(kind, after, at_most);
    }

    /// Names and sends a submission. The name is a digest of what it is and of how many there were
    /// before, so that two planners that start from the same state send the same submission, and its
    /// owner file lets only one of the two jobs run.
    fn submit(&mut self, kind: SubmissionKind, after: Vec<Edge>, at_most: Option<u32>) -> Tag {
        let letter = match kind {
            SubmissionKind::Elements { .. } => 't',
            SubmissionKind::Dispatch => 'd',
            SubmissionKind::Guard { .. } => 'g',
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.snapshot.run.as_str().as_bytes());
        hasher.update(&(self.state.submissions.len() as u64).to_le_bytes());
        hasher.update(format!("{kind:?}").as_bytes());
        let tag = Tag::from_digest(letter, &hasher.finalize());
        let record = SubmissionRecord {
            tag: tag.clone(),
            kind,
            after,
            at_most,
        };
        self.state.apply(&Record::Intent(record.clone()));
        self.planned.insert(self.state.submissions.len() as u32 - 1);
        self.actions.push(Action::Send(record));
        tag
    }

    // --- driving ---

    fn is_driver_live(&self) -> bool {
        self.state.live().any(|(position, submission)| {
            matches!(submission.record.kind, SubmissionKind::Dispatch) && self.is_usable(position)
        })
    }

    /// Returns whether dispatch jobs can be sent.
    fn is_driven(&self) -> bool {
        self.snapshot.dispatch != DispatchMode::Login && self.state.paused.is_none()
    }

    /// Sees to it that somebody plans again: when a width becomes known, or else when everything that
    /// was sent has ended.
    fn drive(&mut self) {
        if !self.is_driven() {
            return;
        }
        let graph = self.snapshot.graph;
        for task in graph
            .order()
            .iter()
            .filter(|task| self.state.task(**task).width == Width::Unknown)
            .copied()
            .collect::<Vec<_>>()
        {
            let awaited = self.width_sources(task);
            if !awaited.is_empty() && !self.is_awaited(&awaited) {
                self.dispatch_after(&awaited);
            }
        }
        if !self.is_driver_live() {
            let sinks = self.sinks();
            if !sinks.is_empty() {
                self.dispatch_after(&sinks);
            }
        }
    }

    /// Returns the submissions that must end before the width of `task` can be known.
    fn width_sources(&self, task: TaskIndex) -> BTreeSet<u32> {
        let mut awaited = BTreeSet::new();
        for input in self
            .snapshot
            .graph
            .task(task)
            .inputs
            .iter()
            .filter(|input| input.delivery == Delivery::Spread)
        {
            for source in &input.sources {
                if matches!(source.items, Items::List | Items::Flatten) {
                    awaited.extend(
                        self.state
                            .task(source.task)
                            .live
                            .iter()
                            .filter(|position| self.is_usable(**position)),
                    );
                }
            }
        }
        awaited
    }

    /// Returns whether a dispatch is queued that starts no later than `awaited` have ended.
    fn is_awaited(&self, awaited: &BTreeSet<u32>) -> bool {
        self.state.live().any(|(position, submission)| {
            matches!(submission.record.kind, SubmissionKind::Dispatch)
                && self.is_usable(position)
                && submission.record.after.iter().all(|edge| {
                    self.state.position(&edge.tag).is_none_or(|parent| {
                        awaited.contains(&parent)
                            || self.state.submission(parent).phase == Phase::Over
                    })
                })
        })
    }

    /// Returns the live submissions that no other live one comes after.
    fn sinks(&self) -> BTreeSet<u32> {
        let elements = || {
            self.state.live().filter(|(position, submission)| {
                !submission.record.is_driver() && self.is_usable(*position)
            })
        };
        let parents: BTreeSet<&Tag> = elements()
            .flat_map(|(_, submission)| submission.record.after.iter().map(|edge| &edge.tag))
            .collect();
        elements()
            .filter(|(_, submission)| !parents.contains(&submission.record.tag))
            .map(|(position, _)| position)
            .collect()
    }

    fn dispatch_after(&mut self, awaited: &BTreeSet<u32>) {
        let after = awaited
            .iter()
            .rev()
            .take(MOST_AWAITED)
            .map(|position| Edge {
                tag: self.state.submission(*position).record.tag.clone(),
                kind: DependencyKind::Any,
            })
            .collect();
        let dispatch = self.submit(SubmissionKind::Dispatch, after, None);
        self.guard(dispatch);
    }

    fn guard(&mut self, of: Tag) {
        if self.capabilities.after_not_ok {
            let after = vec![Edge {
                tag: of.clone(),
                kind: DependencyKind::NotOk,
            }];
            self.submit(SubmissionKind::Guard { of }, after, None);
        }
    }

    /// Guards the guard that is planning, before it sends anything else: nobody would go on if it were
    /// killed then.
    fn guard_own(&mut self) {
        let Some(own) = self.snapshot.own else { return };
        if !self.is_driven() || self.state.tasks.iter().all(super::TaskState::is_ended) {
            return;
        }
        let is_guard = self.state.position(own).is_some_and(|position| {
            matches!(
                self.state.submission(position).record.kind,
                SubmissionKind::Guard { .. }
            )
        });
        let is_guarded = self.state.submissions.iter().any(|submission| {
            matches!(&submission.record.kind, SubmissionKind::Guard { of } if of == own)
        });
        if is_guard && !is_guarded {
            self.guard(own.clone());
        }
    }

    // --- the end ---

    fn finish(&mut self) -> bool {
        if !self.state.tasks.iter().all(super::TaskState::is_ended) {
            return false;
        }
        let is_failed = self.state.tasks.iter().any(super::TaskState::is_broken);
        let state = if is_failed {
            RunState::Failed
        } else {
            RunState::Succeeded
        };
        let others = self.others();
        self.end(state, others);
        true
    }

    /// Returns what is in the batch system, ourselves and our guard apart: guards first, since the end of
    /// a dispatch by cancellation is what they wait for.
    fn others(&self) -> Vec<Tag> {
        let (mut guards, mut others) = (Vec::new(), Vec::new());
        for (_, submission) in self.state.live() {
            let tag = submission.record.tag.clone();
            match &submission.record.kind {
                _ if Some(&tag) == self.snapshot.own => {}
                SubmissionKind::Guard { of } if Some(of) == self.snapshot.own => {}
                SubmissionKind::Guard { .. } => guards.push(tag),
                _ => others.push(tag),
            }
        }
        guards.append(&mut others);
        guards
    }

    fn end(&mut self, state: RunState, others: Vec<Tag>) {
        if !others.is_empty() {
            self.actions.push(Action::Cancel(others));
        }
        self.record(Record::Finished { state });
    }

    fn cancel(&mut self) {
        let others = self.others();
        let message = "the run was cancelled".to_owned();
        for task in self.snapshot.graph.order() {
            if self.state.task(*task).width == Width::Unknown {
                self.record(Record::Unexpanded {
                    task: *task,
                    state: ElementState::Cancelled,
                    message: message.clone(),
                });
                continue;
            }
            let elements = self.unended(*task, |_| true);
            if !elements.is_empty() {
                self.record(Record::Ended {
                    task: *task,
                    elements,
                    state: ElementState::Cancelled,
                    reason: None,
                    message: message.clone(),
                });
            }
        }
        self.end(RunState::Cancelled, others);
    }
}

/// Elements of an upstream task that elements need one by one.
struct ElementNeed {
    task: TaskIndex,
    offset: u32,
    count: u32,
}

impl ElementNeed {
    /// Returns the upstream element that `element` needs, if this source gives it.
    fn item(&self, element: u32) -> Option<u32> {
        element
            .checked_sub(self.offset)
            .filter(|item| *item < self.count)
    }

    /// Returns the upstream elements that `elements` need.
    fn items(&self, elements: &ElementSet) -> ElementSet {
        elements.window(self.offset, self.offset.saturating_add(self.count))
    }
}

/// Returns the dependency that holds when both must.
fn stronger(a: DependencyKind, b: DependencyKind) -> DependencyKind {
    match (a, b) {
        (DependencyKind::Ok, _) | (_, DependencyKind::Ok) => DependencyKind::Ok,
        (DependencyKind::Any, _) | (_, DependencyKind::Any) => DependencyKind::Any,
        (other, _) => other,
    }
}
