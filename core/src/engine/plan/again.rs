//! Elements that are tried again, and what was queued behind them.

use std::collections::{BTreeMap, BTreeSet};

use super::send::ElementNeed;
use super::{Action, Planner};
use crate::elements::ElementSet;
use crate::engine::state::MOST_REVIVALS;
use crate::engine::{Element, ElementState, Width};
use crate::journal::{HandBack, Record, Reopen};
use crate::rundir::Selection;
use crate::workflow::TaskIndex;

impl Planner<'_> {
    /// Has elements wait again: those that the task tries again by itself, and those that were skipped
    /// because of something that has changed since.
    pub(super) fn reopen(&mut self, task: TaskIndex) {
        let retried = self.to_retry(task);
        self.wait_again(task, retried, Reopen::Retries);
        let is_skipped = matches!(
            self.state.task(task).width,
            Width::Never {
                state: ElementState::Skipped,
                ..
            }
        );
        if is_skipped && self.has_width_sources(task) {
            self.record(Record::Reopened {
                task,
                elements: ElementSet::new(),
                why: Reopen::Upstream,
            });
        }
        let revived = self.to_revive(task);
        self.wait_again(task, revived, Reopen::Upstream);
    }

    /// Returns what a request to try elements again is about: those that ended without a value, and for
    /// each that was skipped what it was skipped for.
    pub(super) fn select(&self, what: &[Selection]) -> Vec<(TaskIndex, ElementSet)> {
        let mut selected: BTreeMap<TaskIndex, BTreeSet<u32>> = BTreeMap::new();
        let mut asked: Vec<(TaskIndex, Option<u32>)> = Vec::new();
        for task in self.snapshot.graph.order().iter().copied() {
            let state = self.state.task(task);
            let is_meant = |element: Option<u32>| {
                what.is_empty()
                    || what.iter().any(|it| match element {
                        Some(element) => it.contains(task, element),
                        None => it.task == task,
                    })
            };
            if matches!(state.width, Width::Never { .. }) && is_meant(None) {
                asked.push((task, None));
            }
            asked.extend(
                self.broken(task)
                    .filter(|element| is_meant(Some(*element)))
                    .map(|element| (task, Some(element))),
            );
        }
        let mut wholes: BTreeSet<(TaskIndex, bool)> = BTreeSet::new();
        let mut spreads: BTreeMap<TaskIndex, Vec<ElementNeed>> = BTreeMap::new();
        while let Some((task, element)) = asked.pop() {
            let of_task = selected.entry(task).or_default();
            let is_skipped = match element {
                Some(element) if !of_task.insert(element) => continue,
                Some(element) => {
                    self.state.task(task).elements[element as usize].state == ElementState::Skipped
                }
                None => true,
            };
            if !is_skipped || what.is_empty() {
                continue;
            }
            if wholes.insert((task, element.is_none())) {
                let obstacles = self.whole_obstacles(task, element.is_none()).into_iter();
                asked.extend(
                    obstacles.filter(|(task, element)| {
                        element.is_some() || !selected.contains_key(task)
                    }),
                );
            }
            if let Some(element) = element {
                let needs = spreads
                    .entry(task)
                    .or_insert_with(|| self.element_needs(task));
                for need in needs.iter() {
                    let item = need.item(element);
                    let upstream = &self.state.task(need.task).elements;
                    let entry = item.and_then(|item| upstream.get(item as usize));
                    if entry.is_some_and(|it| it.state.is_ended() && !it.state.has_value()) {
                        asked.push((need.task, item));
                    }
                }
            }
        }
        selected
            .into_iter()
            .map(|(task, elements)| (task, elements.into_iter().collect()))
            .collect()
    }

    /// Returns the elements of a task that ended without a value.
    fn broken(&self, task: TaskIndex) -> impl Iterator<Item = u32> {
        let elements = (0..).zip(&self.state.task(task).elements);
        elements
            .filter(|(_, it)| it.state.is_ended() && !it.state.has_value())
            .map(|(element, _)| element)
    }

    /// Returns what ended without a value and is needed by every element of a task, or for the task to have
    /// any.
    fn whole_obstacles(&self, task: TaskIndex, for_width: bool) -> Vec<(TaskIndex, Option<u32>)> {
        let mut whole = self.whole_needs(task);
        if for_width {
            let inputs = &self.snapshot.graph.task(task).inputs;
            let sources = inputs.iter().flat_map(|input| &input.sources);
            whole.extend(sources.map(|source| source.task));
        }
        let mut obstacles = Vec::new();
        for need in whole {
            if matches!(self.state.task(need).width, Width::Never { .. }) {
                obstacles.push((need, None));
            }
            obstacles.extend(self.broken(need).map(|item| (need, Some(item))));
        }
        obstacles
    }

    fn wait_again(&mut self, task: TaskIndex, elements: ElementSet, why: Reopen) {
        if !elements.is_empty() {
            self.record(Record::Reopened {
                task,
                elements,
                why,
            });
        }
    }

    /// Returns the elements that failed or were lost and that the task tries again by itself.
    pub(super) fn to_retry(&self, task: TaskIndex) -> ElementSet {
        let allowed = self.snapshot.graph.declared(task).retry.retries;
        let state = self.state.task(task);
        if allowed == 0 || state.counts.failed + state.counts.lost == 0 {
            return ElementSet::new();
        }
        let is_retried = |(index, entry): &(u32, &Element)| {
            let attempts = self.state.attempts.get(&(task, *index));
            matches!(entry.state, ElementState::Failed | ElementState::Lost)
                && u32::from(attempts.map_or(0, |it| it.automatic)) < allowed
                && entry.attempt > 0
                && !self.was_refused(entry.submission)
        };
        let elements = (0..).zip(&state.elements).filter(is_retried);
        elements.map(|(index, _)| index).collect()
    }

    /// Returns whether the batch system refused a submission for good: it would refuse it again. One whose
    /// results are there was sent, whatever we were told.
    fn was_refused(&self, position: u32) -> bool {
        let submission = self.state.submission(position);
        submission.job.is_none() && submission.packs == 0
    }

    /// Returns whether the width of a skipped task may become known after all.
    fn has_width_sources(&self, task: TaskIndex) -> bool {
        let inputs = &self.snapshot.graph.task(task).inputs;
        let mut sources = inputs
            .iter()
            .filter(|input| input.delivery == super::Delivery::Spread)
            .flat_map(|input| &input.sources);
        sources.all(|source| !matches!(self.source_count(*source), super::Count::Never(_)))
    }

    /// Returns the elements that were skipped although nothing that they need is missing for good.
    pub(super) fn to_revive(&self, task: TaskIndex) -> ElementSet {
        let state = self.state.task(task);
        if state.counts.skipped == 0
            || self
                .whole_needs(task)
                .iter()
                .any(|need| self.state.task(*need).is_broken())
        {
            return ElementSet::new();
        }
        let spread = self.element_needs(task);
        let is_revived = |(index, entry): &(u32, &Element)| {
            let revived = self.state.attempts.get(&(task, *index));
            entry.state == ElementState::Skipped
                && revived.is_none_or(|it| it.revived < MOST_REVIVALS)
                && spread.iter().all(|need| {
                    let item = need.item(*index);
                    let upstream = &self.state.task(need.task).elements;
                    item.and_then(|item| upstream.get(item as usize))
                        .is_none_or(|it| it.state.has_value() || !it.state.is_ended())
                })
        };
        let elements = (0..).zip(&state.elements).filter(is_revived);
        elements.map(|(index, _)| index).collect()
    }

    /// Takes back what is queued to read a value of a submission that will not give it: the value comes
    /// from a later one, if at all. Such a job could start, but not its bodies.
    pub(super) fn replace(&mut self, task: TaskIndex) {
        if self.state.task(task).counts.queued == 0 {
            return;
        }
        let whole = self.whole_needs(task);
        let spread = self.element_needs(task);
        let is_reissued = |task: TaskIndex| self.state.task(task).is_reissued;
        if !whole.iter().copied().any(is_reissued)
            && !spread.iter().any(|need| is_reissued(need.task))
        {
            return;
        }
        // The first submission that can read the values of these elements.
        let readable_by = |entry: &Element| match entry.state {
            ElementState::Waiting => u32::MAX,
            ElementState::Queued
            | ElementState::Running
            | ElementState::Succeeded
            | ElementState::Cached => entry.submission,
            // What is missing for good skips its consumers; the rest is read from elsewhere.
            _ => 0,
        };
        let floor = whole
            .iter()
            .flat_map(|need| &self.state.task(*need).elements)
            .map(readable_by)
            .max()
            .unwrap_or(0);
        let entries = &self.state.task(task).elements;
        let stale = self.state.queued(task, |index| {
            let carrier = entries[index as usize].submission;
            floor > carrier
                || spread.iter().any(|need| {
                    need.item(index)
                        .and_then(|item| self.state.task(need.task).elements.get(item as usize))
                        .is_some_and(|upstream| readable_by(upstream) > carrier)
                })
        });
        let replaced = self.state.tagged(stale);
        for (tag, elements) in &replaced {
            self.record(Record::HandedBack {
                tag: tag.clone(),
                elements: elements.clone(),
                why: HandBack::Replaced,
            });
        }
        if !replaced.is_empty() {
            self.actions.push(Action::Withdraw(replaced));
        }
    }
}
