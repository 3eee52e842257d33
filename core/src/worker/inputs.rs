use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::id::ParameterName;
use crate::results::{Outcome, ResultFinder, ResultRecord};
use crate::rundir::{
    InputPlan, RunDir, SourcePlan, StoredList, SubmissionHeader, UpstreamPart, ValueRef, ValueStore,
};
use crate::workflow::{Delivery, Items, TaskIndex};

/// Most lists that are kept open: a parameter may have many sources.
const MOST_LISTS: usize = 16;

/// Why an element cannot be run.
#[derive(Debug)]
pub(super) enum NoInputs {
    /// A value that it needs will never be there.
    Failed(String),
    /// A result that it needs is not there, although nothing says that it failed.
    Missing(String),
    /// Reading failed, or a value cannot be understood.
    Broken(String),
}

impl From<io::Error> for NoInputs {
    fn from(error: io::Error) -> Self {
        Self::Broken(format!("an input could not be read: {error}"))
    }
}

/// Puts the inputs of elements together.
#[derive(Debug)]
pub(super) struct Inputs {
    dir: RunDir,
    values: ValueStore,
    finder: ResultFinder,
    latency: Duration,
    /// Values that are the same for every element, once read.
    shared: BTreeMap<ParameterName, Value>,
    /// Lists that elements take entries of, those opened last.
    lists: Vec<StoredList>,
    after_done: bool,
}

impl Inputs {
    pub(super) fn new(dir: &RunDir, header: &SubmissionHeader) -> Self {
        Self {
            dir: dir.clone(),
            values: dir.values(),
            finder: ResultFinder::new(dir.clone()),
            latency: Duration::from_millis(header.latency_ms),
            shared: BTreeMap::new(),
            lists: Vec::new(),
            after_done: false,
        }
    }

    /// Returns the values of all parameters for one element.
    pub(super) fn of(
        &mut self,
        header: &SubmissionHeader,
        element: u32,
    ) -> Result<BTreeMap<ParameterName, Value>, NoInputs> {
        if !self.after_done {
            for task in &header.after {
                let width = upstream(header, *task)?.width;
                for needed in 0..width {
                    self.result(header, *task, needed)?;
                }
            }
            self.after_done = true;
        }
        let mut inputs: BTreeMap<ParameterName, Value> = header
            .plain
            .iter()
            .filter_map(|(name, value)| {
                Some((ParameterName::new(name.as_str()).ok()?, value.clone()))
            })
            .collect();
        for parameter in &header.run_dir_parameters {
            inputs.insert(
                parameter.clone(),
                Value::from(self.dir.path().to_string_lossy()),
            );
        }
        for input in &header.inputs {
            let value = match input.delivery {
                Delivery::Spread => {
                    let text = self.spread(header, input, element)?;
                    parse(input, &text)?
                }
                Delivery::Direct | Delivery::Collect => {
                    if let Some(value) = self.shared.get(&input.parameter) {
                        value.clone()
                    } else {
                        let text = self.whole(header, input)?;
                        let value = parse(input, &text)?;
                        self.shared.insert(input.parameter.clone(), value.clone());
                        value
                    }
                }
            };
            inputs.insert(input.parameter.clone(), value);
        }
        Ok(inputs)
    }

    /// Returns the item of one element.
    fn spread(
        &mut self,
        header: &SubmissionHeader,
        input: &InputPlan,
        element: u32,
    ) -> Result<String, NoInputs> {
        let mut offset = 0;
        for source in &input.sources {
            let count = match source {
                SourcePlan::Known { value, list: true } => value.items().unwrap_or(0),
                SourcePlan::Known { list: false, .. }
                | SourcePlan::Upstream {
                    items: Items::One, ..
                } => 1,
                SourcePlan::Upstream { width, .. } => *width,
            };
            if element < offset + count {
                let item = element - offset;
                return match source {
                    SourcePlan::Known { value, list: true } => Ok(self.item(value, item)?),
                    SourcePlan::Known { value, list: false } => Ok(self.values.read(value)?),
                    SourcePlan::Upstream { task, .. } => {
                        let value = self.result(header, *task, item)?;
                        Ok(self.values.read(&value)?)
                    }
                };
            }
            offset += count;
        }
        Err(NoInputs::Broken(format!(
            "parameter `{}` has only {offset} items, and item {element} is needed",
            input.parameter
        )))
    }

    /// Returns one entry of a list. A file is opened once for all entries.
    fn item(&mut self, value: &ValueRef, index: u32) -> io::Result<String> {
        let ValueRef::Stored { digest, .. } = value else {
            return self.values.item(value, index);
        };
        if let Some(list) = self.lists.iter().find(|list| list.digest() == digest) {
            return list.item(index);
        }
        if self.lists.len() >= MOST_LISTS {
            self.lists.remove(0);
        }
        let list = self.values.open_list(digest)?;
        let item = list.item(index)?;
        self.lists.push(list);
        Ok(item)
    }

    /// Returns the one value, or the list of all items.
    fn whole(&mut self, header: &SubmissionHeader, input: &InputPlan) -> Result<String, NoInputs> {
        if input.delivery == Delivery::Direct {
            return match input.sources.first() {
                Some(SourcePlan::Known { value, .. }) => Ok(self.values.read(value)?),
                Some(SourcePlan::Upstream { task, .. }) => {
                    let value = self.result(header, *task, 0)?;
                    Ok(self.values.read(&value)?)
                }
                None => Err(NoInputs::Broken(format!(
                    "parameter `{}` has no source",
                    input.parameter
                ))),
            };
        }
        let mut list = String::from("[");
        let mut add = |text: &str| {
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(text);
        };
        for source in &input.sources {
            match source {
                SourcePlan::Known {
                    value,
                    list: is_list,
                } => {
                    let text = self.values.read(value)?;
                    if *is_list {
                        entries(input, &text)?
                            .into_iter()
                            .for_each(|entry| add(entry.get()));
                    } else {
                        add(&text);
                    }
                }
                SourcePlan::Upstream { task, items, width } => {
                    for needed in 0..*width {
                        let value = self.result(header, *task, needed)?;
                        let text = self.values.read(&value)?;
                        match items {
                            Items::One | Items::Elements => add(&text),
                            Items::List | Items::Flatten => {
                                entries(input, &text)?
                                    .into_iter()
                                    .for_each(|entry| add(entry.get()));
                            }
                        }
                    }
                }
            }
        }
        list.push(']');
        Ok(list)
    }

    /// Returns the value of an upstream element, waiting as long as a new file may take to be seen.
    fn result(
        &mut self,
        header: &SubmissionHeader,
        task: TaskIndex,
        element: u32,
    ) -> Result<ValueRef, NoInputs> {
        let plan = upstream(header, task)?;
        let what = if plan.width == 1 {
            format!("`{}`", plan.name)
        } else {
            format!("`{}[{element}]`", plan.name)
        };
        let Some(part) = plan
            .parts
            .iter()
            .find(|part| part.elements.contains(element))
        else {
            return Err(NoInputs::Missing(format!(
                "the result of {what} is not on its way"
            )));
        };
        let started = Instant::now();
        loop {
            match self.look(part, element)? {
                Some(ResultRecord {
                    outcome: Outcome::Succeeded,
                    value: Some(value),
                    ..
                }) => return Ok(value),
                Some(ResultRecord {
                    outcome: Outcome::HandedBack | Outcome::Interrupted,
                    ..
                }) => {
                    return Err(NoInputs::Missing(format!(
                        "{what} has not been run to its end"
                    )));
                }
                Some(_) => {
                    return Err(NoInputs::Failed(format!(
                        "it needs {what}, which has no result"
                    )));
                }
                None if started.elapsed() < self.latency => {
                    self.finder.refresh(&part.tag);
                    std::thread::sleep(Duration::from_millis(50).min(self.latency));
                }
                None => {
                    return Err(NoInputs::Missing(format!(
                        "the result of {what} is missing"
                    )));
                }
            }
        }
    }

    fn look(&mut self, part: &UpstreamPart, element: u32) -> io::Result<Option<ResultRecord>> {
        self.finder.find(
            &part.tag,
            part.all.rank(element) / part.batch.max(1),
            element,
        )
    }
}

fn upstream(
    header: &SubmissionHeader,
    task: TaskIndex,
) -> Result<&crate::rundir::UpstreamPlan, NoInputs> {
    header
        .upstream
        .iter()
        .find(|plan| plan.task == task)
        .ok_or_else(|| {
            NoInputs::Broken("the submission file does not say where its inputs are".to_owned())
        })
}

fn parse(input: &InputPlan, text: &str) -> Result<Value, NoInputs> {
    serde_json::from_str(text).map_err(|error| {
        NoInputs::Broken(format!(
            "the value of parameter `{}` is no JSON: {error}",
            input.parameter
        ))
    })
}

fn entries<'a>(input: &InputPlan, text: &'a str) -> Result<Vec<&'a RawValue>, NoInputs> {
    serde_json::from_str(text).map_err(|error| {
        NoInputs::Broken(format!(
            "parameter `{}` takes the entries of a list: {error}",
            input.parameter
        ))
    })
}
