use std::collections::BTreeMap;

use reflow_core::engine::{ElementState, State, Width};
use reflow_core::journal::SubmissionKind;
use reflow_core::results::ResultFinder;
use reflow_core::rundir::{RunDir, Selection};
use reflow_core::workflow::{Delivery, Graph, Items, TaskIndex, Type};
use serde_json::Value;

use super::workflow::{self, body, is_flaky};
use super::world::World;

/// What each element should have been, worked out from the ends of the run by other means than the
/// engine's.
pub(super) struct Oracle<'a> {
    pub(super) seed: u64,
    pub(super) graph: &'a Graph,
    pub(super) dir: &'a RunDir,
    pub(super) world: &'a World,
    /// The state of the run at its end.
    pub(super) state: &'a State,
    /// Everything whose cancellation was asked for.
    pub(super) asked: &'a [Vec<Selection>],
    /// How often somebody asked for another try.
    pub(super) requests: u32,
    /// Values that an earlier run with the same store had.
    pub(super) earlier: &'a Values,
}

/// Values by task and element.
pub(super) type Values = BTreeMap<(TaskIndex, u32), Value>;

impl Oracle<'_> {
    /// Returns what is wrong with a run that has ended, and the values that it has.
    pub(super) fn faults(&self) -> Result<(Vec<String>, Values), Box<dyn std::error::Error>> {
        let mut faults = Vec::new();
        let state = self.state;
        for ((task, element, attempt), starts) in &self.world.starts {
            if *starts > 1 {
                faults.push(format!(
                    "the body of {task}[{element}] was started {starts} times in try {attempt}"
                ));
            }
        }
        for (task, most) in &self.world.most_running {
            let limit = self
                .graph
                .find(task)
                .and_then(|task| self.graph.declared(task).array_parallelism);
            // An element that was given up although it lives runs beside its next try.
            // So does a worker of elements that were taken back, although it runs no body, where the
            // batch system was not told.
            let may_double = self.world.faults.not_known > 0 || self.world.faults.no_answer > 0;
            if !may_double && limit.is_some_and(|limit| *most > limit) {
                faults.push(format!("{most} elements of {task} ran at the same time"));
            }
        }
        let mut finder = ResultFinder::new(self.dir.clone());
        let mut values: BTreeMap<(TaskIndex, u32), Value> = BTreeMap::new();
        for task in self.graph.order() {
            let name = self.graph.declared(*task).name.to_string();
            let width = match (&state.task(*task).width, self.width(*task, &values)) {
                (Width::Known(width), Some(expected)) if *width == expected => *width,
                (Width::Never { .. }, None) => continue,
                (Width::Never { .. }, _) if self.is_cancelled(*task, None) => continue,
                (width, expected) => {
                    faults.push(format!("{name} has width {width:?}, expected {expected:?}"));
                    continue;
                }
            };
            for element in 0..width {
                let entry = state.task(*task).elements[element as usize];
                let inputs = self.inputs(*task, element, &values);
                let tries = u32::from(entry.attempt);
                let of_try = (name.clone(), element, tries);
                let starts = self.world.starts.get(&of_try).copied().unwrap_or(0);
                let was_killed = self.world.killed.contains(&of_try);
                let is_flaky = tries == 1 && is_flaky(self.seed, &name, element);
                let retries = self.graph.declared(*task).retry.retries;
                let attempts = state.attempts.get(&(*task, element));
                let spent = attempts.map_or(0, |it| u32::from(it.automatic));
                let said = state
                    .verdicts
                    .get(&(*task, element))
                    .map(|verdict| verdict.message.clone());
                let mut wrong = |what: &str| {
                    let state = entry.state;
                    faults.push(format!(
                        "{name}[{element}] is {state:?} ({said:?}) after {starts} starts: {what}"
                    ));
                };
                let is_failure = matches!(entry.state, ElementState::Failed | ElementState::Lost);
                let is_cancelled = self.asked.iter().any(Vec::is_empty);
                if is_failure && spent < retries && entry.attempt > 0 && !is_cancelled {
                    wrong("it has retries left");
                }
                let most = (1 + retries) * (1 + self.requests) + 6 * (1 + self.requests);
                if spent > retries || tries > most {
                    wrong("it was tried too often");
                }
                if self.earlier.contains_key(&(*task, element))
                    && entry.state != ElementState::Cached
                {
                    wrong("an earlier run has its value");
                }
                match (entry.state, &inputs) {
                    (ElementState::Cancelled, _) if self.is_cancelled(*task, Some(element)) => {}
                    (ElementState::Succeeded | ElementState::Cached, None) => {
                        wrong("its inputs were not there");
                    }
                    (ElementState::Succeeded | ElementState::Cached, Some(inputs)) => {
                        let record = &state.submission(entry.submission).record;
                        let SubmissionKind::Elements {
                            elements, batch, ..
                        } = &record.kind
                        else {
                            continue;
                        };
                        let found =
                            finder.find(&record.tag, elements.rank(element) / batch, element)?;
                        let value = match found.and_then(|result| result.value) {
                            Some(value) => serde_json::from_str(&self.dir.values().read(&value)?)?,
                            None => Value::Null,
                        };
                        let list = matches!(self.graph.declared(*task).returns, Type::List(_));
                        if value != workflow::value(self.seed, &name, list, inputs) {
                            wrong("its value is not what its inputs give");
                        }
                        if starts != u32::from(entry.state == ElementState::Succeeded) {
                            wrong("it has a value");
                        }
                        values.insert((*task, element), value);
                    }
                    (ElementState::Skipped, Some(_)) => wrong("its inputs were there"),
                    (ElementState::Skipped, None) if starts > 0 => wrong("it was run"),
                    (ElementState::Skipped, None) => {}
                    (ElementState::Failed, Some(_)) if starts == 1 && is_flaky => {}
                    (ElementState::Failed, Some(inputs)) if starts == 1 && !was_killed => {
                        let list = matches!(self.graph.declared(*task).returns, Type::List(_));
                        if body(self.seed, &name, element, list, inputs).is_some() {
                            wrong("its body does not fail");
                        }
                    }
                    (
                        ElementState::Lost | ElementState::Failed | ElementState::Cancelled,
                        Some(_),
                    ) if was_killed => {}
                    (ElementState::Cancelled | ElementState::Failed | ElementState::Lost, _)
                        if starts == 0 && self.has_died(entry.submission, element) => {}
                    // Not known for as long as a job is believed to be there: an attempt that was given up
                    // may run all the same, once, and can no longer win.
                    (ElementState::Lost, _) if starts <= 1 && self.world.faults.not_known > 0 => {}
                    _ => wrong("nothing made it so"),
                }
            }
        }
        Ok((faults, values))
    }

    /// Returns whether somebody asked for the cancellation of an element, or of a task without any.
    fn is_cancelled(&self, task: TaskIndex, element: Option<u32>) -> bool {
        self.asked.iter().any(|what| {
            what.is_empty()
                || what.iter().any(|it| match element {
                    Some(element) => it.contains(task, element),
                    None => it.task == task && it.elements.is_none(),
                })
        })
    }

    /// Returns whether the array index that carried an element was cancelled or killed.
    fn has_died(&self, submission: u32, element: u32) -> bool {
        let record = &self.state.submission(submission).record;
        let SubmissionKind::Elements {
            elements, batch, ..
        } = &record.kind
        else {
            return false;
        };
        self.world
            .died
            .contains(&(record.tag.clone(), elements.rank(element) / batch))
    }

    fn items(
        source: reflow_core::workflow::Source,
        width: u32,
        values: &BTreeMap<(TaskIndex, u32), Value>,
    ) -> Option<Vec<Option<Value>>> {
        let value = |element| values.get(&(source.task, element)).cloned();
        let list = |value: Value| {
            value
                .as_array()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .map(Some)
                .collect::<Vec<_>>()
        };
        match source.items {
            Items::One => Some(vec![value(0)]),
            Items::List => value(0).map(list),
            Items::Elements => Some((0..width).map(value).collect()),
            Items::Flatten => {
                let lists: Option<Vec<Value>> = (0..width).map(value).collect();
                Some(lists?.into_iter().flat_map(list).collect())
            }
        }
    }

    fn width(&self, task: TaskIndex, values: &BTreeMap<(TaskIndex, u32), Value>) -> Option<u32> {
        if !self.graph.is_array(task) {
            return Some(1);
        }
        let input = self
            .graph
            .task(task)
            .inputs
            .iter()
            .find(|input| input.delivery == Delivery::Spread)?;
        let mut width = 0;
        for source in &input.sources {
            let Width::Known(upstream) = self.state.task(source.task).width else {
                return None;
            };
            width += Self::items(*source, upstream, values)?.len() as u32;
        }
        Some(width)
    }

    /// Returns the inputs of an element, or none where one of them will never be there.
    fn inputs(
        &self,
        task: TaskIndex,
        element: u32,
        values: &BTreeMap<(TaskIndex, u32), Value>,
    ) -> Option<BTreeMap<String, Value>> {
        let mut inputs = BTreeMap::new();
        let width = |task: TaskIndex| self.state_width(task);
        for after in &self.graph.task(task).after {
            for needed in 0..width(*after)? {
                values.get(&(*after, needed))?;
            }
        }
        for input in &self.graph.task(task).inputs {
            let mut items = Vec::new();
            for source in &input.sources {
                items.extend(Self::items(*source, width(source.task)?, values)?);
            }
            let value = match input.delivery {
                Delivery::Direct => values.get(&(input.sources.first()?.task, 0))?.clone(),
                Delivery::Collect => Value::Array(items.into_iter().collect::<Option<Vec<_>>>()?),
                Delivery::Spread => items.into_iter().nth(element as usize)??,
            };
            inputs.insert(input.parameter.to_string(), value);
        }
        Some(inputs)
    }

    fn state_width(&self, task: TaskIndex) -> Option<u32> {
        match self.state.task(task).width {
            Width::Known(width) => Some(width),
            _ => None,
        }
    }
}
