//! Sending elements.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Count, Planner};
use crate::elements::ElementSet;
use crate::engine::{ElementState, Width};
use crate::id::Tag;
use crate::journal::{Edge, Raised, Record, SubmissionKind, SubmissionRecord};
use crate::scheduler::{DependencyKind, FailedParent};
use crate::workflow::{Delivery, Items, TaskIndex};

/// Jobs that plan, for which room is kept: a dispatch, its guard and a watch, and those that follow them.
pub(super) const DRIVERS: u32 = 5;
/// Into how many arrays a window is divided.
const PARTS: u32 = 4;

impl Planner<'_> {
    /// Returns whether a job may depend on the submission.
    pub(super) fn is_usable(&self, position: u32) -> bool {
        self.state.submission(position).job.is_some() || self.planned.contains(&position)
    }

    /// Returns whether everything of a task has a value or is on its way to one.
    fn is_under_way(&self, task: TaskIndex) -> bool {
        let task = self.state.task(task);
        matches!(task.width, Width::Known(_))
            && task.counts.waiting == 0
            && task.live.iter().all(|position| self.is_usable(*position))
    }

    pub(super) fn send(&mut self, task: TaskIndex) {
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
        let mut alike: BTreeMap<Alike, ElementSet> = BTreeMap::new();
        let ready: ElementSet = ready.collect();
        let is_split = self.is_split(&ready, &spread);
        for element in ready.iter() {
            let entry = self.state.task(task).elements[element as usize];
            let attempts = self.state.attempts.get(&(task, element));
            let key = Alike {
                attempt: u32::from(entry.attempt) + 1,
                raised: attempts.map_or(Raised::default(), |it| it.raised),
                awaited: if is_split {
                    self.awaited(element, &spread)
                } else {
                    Vec::new()
                },
            };
            alike.entry(key).or_default().insert(element);
        }
        for (alike, elements) in alike {
            let mut rest = elements;
            while !rest.is_empty() {
                let most = self.most_at_once(task);
                if most == 0 {
                    self.is_held = true;
                    return;
                }
                let mut parts = rest.chunks(most).into_iter();
                rest = ElementSet::new();
                while let Some(part) = parts.next() {
                    self.send_chunk(task, &alike, part, &needs, &spread);
                    // What was sent may leave less room for the rest.
                    if self.snapshot.room.jobs.is_some() && self.most_at_once(task) != most {
                        rest = parts
                            .by_ref()
                            .flat_map(|part| part.iter().collect::<Vec<_>>())
                            .collect();
                    }
                }
            }
        }
    }

    /// Returns the submissions that give an element what it needs one by one.
    fn awaited(&self, element: u32, spread: &[ElementNeed]) -> Vec<u32> {
        let items = spread
            .iter()
            .filter_map(|need| Some((need.task, need.item(element)?)));
        let upstream =
            items.filter_map(|(task, item)| self.state.task(task).elements.get(item as usize));
        let mut awaited: Vec<u32> = upstream
            .filter(|it| it.state == ElementState::Queued)
            .map(|it| it.submission)
            .collect();
        awaited.sort_unstable();
        awaited.dedup();
        awaited
    }

    /// Returns whether elements that wait for different submissions go separately, so that none waits for
    /// more than it needs.
    fn is_split(&self, ready: &ElementSet, spread: &[ElementNeed]) -> bool {
        let mut live = spread
            .iter()
            .flat_map(|need| &self.state.task(need.task).live);
        match (live.next(), live.next()) {
            (None, _) => false,
            (Some(only), None) => !matches!(
                &self.state.submission(*only).record.kind,
                SubmissionKind::Elements { elements, .. } if elements == ready
            ),
            _ => true,
        }
    }

    /// Returns how many more jobs may be queued, besides those that plan.
    fn room(&self) -> u32 {
        let Some(most) = self.snapshot.room.jobs else {
            return u32::MAX;
        };
        let queued: u32 = self
            .state
            .live()
            .map(|(_, submission)| match &submission.record.kind {
                // How many indices the open elements are in is not known: as many as there may be.
                SubmissionKind::Elements { .. } => submission
                    .open
                    .min(submission.record.indices().unwrap_or(1)),
                _ => 0,
            })
            .sum();
        most.saturating_sub(DRIVERS).max(1).saturating_sub(queued)
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

    /// Returns how many elements of a task one array may carry now.
    fn most_at_once(&self, task: TaskIndex) -> u32 {
        let declared = self.snapshot.graph.declared(task);
        let mut most = self.capabilities.array_limit.unwrap_or(u32::MAX);
        if let Some(parallel) = declared
            .array_parallelism
            .filter(|_| !self.capabilities.concurrency_limit)
        {
            most = most.min(parallel);
        }
        if let Some(at_once) = self.snapshot.room.at_once {
            most = most.min(at_once);
        }
        if let Some(jobs) = self.snapshot.room.jobs {
            // Several arrays, so that what has ended makes room before all of it has.
            most = most.min((jobs / PARTS).max(1)).min(self.room());
        }
        most.saturating_mul(declared.batch.unwrap_or(1).max(1))
    }

    /// Returns the upstream elements that single elements of `task` need.
    pub(super) fn element_needs(&self, task: TaskIndex) -> Vec<ElementNeed> {
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

    /// Returns whether a submission still carries some of these elements.
    fn carries(&self, position: u32, task: TaskIndex, items: &ElementSet) -> bool {
        let state = self.state.task(task);
        !state.is_reissued
            || items.iter().any(|item| {
                let entry = state.elements.get(item as usize);
                entry.is_some_and(|it| it.submission == position && !it.state.is_ended())
            })
    }

    /// Returns whether a submission can still succeed as a whole: nothing was taken out of it.
    fn is_intact(&self, position: u32, task: TaskIndex) -> bool {
        let state = self.state.task(task);
        !state.is_reissued
            || match &self.state.submission(position).record.kind {
                SubmissionKind::Elements { elements, .. } => elements.iter().all(|element| {
                    let entry = state.elements.get(element as usize);
                    entry.is_some_and(|it| it.submission == position)
                }),
                _ => true,
            }
    }

    fn send_chunk(
        &mut self,
        task: TaskIndex,
        alike: &Alike,
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
        // Where an element whose parent failed is deleted, what waits for it goes with it; where it stays,
        // that waits for ever.
        let may_fail_alone = matches!(
            self.capabilities.failed_parent,
            FailedParent::Cancelled | FailedParent::Runs
        );
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
                if !theirs.intersects(&items) || !self.carries(*position, need.task, &items) {
                    continue;
                }
                let same = need.offset == 0
                    && *theirs == elements
                    && *their_batch == batch
                    && self.is_intact(*position, need.task);
                let kind = match () {
                    () if same && indices == 1 => after_ok,
                    () if same && may_fail_alone && self.capabilities.element_wise => {
                        DependencyKind::ElementWise
                    }
                    () if same && self.capabilities.element_wise_any => {
                        DependencyKind::ElementWiseAny
                    }
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
                let kind = if self.is_intact(*position, *need) {
                    after_ok
                } else {
                    DependencyKind::Any
                };
                edges.insert(*position, kind);
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
            attempt: alike.attempt,
            elements,
            batch,
            raised: alike.raised,
        };
        self.submit(kind, after, at_most);
    }

    /// Names a submission. The name is a digest of what it is and of how many there were before, so that
    /// two planners that start from the same state send the same submission, and its owner file lets only
    /// one of the two jobs run.
    pub(super) fn new_tag(&self, letter: char, what: &str) -> Tag {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.snapshot.run.as_str().as_bytes());
        hasher.update(&(self.state.submissions.len() as u64).to_le_bytes());
        hasher.update(what.as_bytes());
        Tag::from_digest(letter, &hasher.finalize())
    }

    /// Names and sends a submission.
    pub(super) fn submit(
        &mut self,
        kind: SubmissionKind,
        after: Vec<Edge>,
        at_most: Option<u32>,
    ) -> Tag {
        let letter = match kind {
            SubmissionKind::Elements { .. } => 't',
            SubmissionKind::Dispatch => 'd',
            SubmissionKind::Guard { .. } => 'g',
            SubmissionKind::Watch { .. } => 'w',
        };
        let tag = self.new_tag(letter, &format!("{kind:?}"));
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
}

/// What elements have in common that one submission carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    attempt: u32,
    raised: Raised,
    /// The submissions that give them what they need one by one.
    awaited: Vec<u32>,
}

/// Elements of an upstream task that elements need one by one.
pub(super) struct ElementNeed {
    pub(super) task: TaskIndex,
    offset: u32,
    count: u32,
}

impl ElementNeed {
    /// Returns the upstream element that `element` needs, if this source gives it.
    pub(super) fn item(&self, element: u32) -> Option<u32> {
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
