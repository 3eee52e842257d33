use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::id::ParameterName;
use crate::identity::{self, Digest};
use crate::results::{Outcome, ResultFinder, ResultRecord, ValueDigests, of_plain};
use crate::rundir::{
    InputPlan, RunDir, SourcePlan, StoredList, SubmissionHeader, UpstreamPart, ValueRef, ValueStore,
};
use crate::workflow::{Delivery, Items, TaskIndex, Type};

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

/// What one element is given.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The values of all parameters.
    pub(super) values: BTreeMap<ParameterName, Value>,
    /// The digests of its result parameters, by name, where all are known.
    pub(super) given: Option<BTreeMap<ParameterName, Digest>>,
    /// The files among the results.
    pub(super) files: Vec<GivenFile>,
}

/// A file that an element is given.
#[derive(Debug, Clone)]
pub(super) struct GivenFile {
    /// Its path.
    pub(super) path: String,
    /// What is known of it.
    pub(super) told: Told,
}

/// What is known of a file that an element is given.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// Its content counts, and this is how it was when that was read.
    Note(String),
    /// Its content counts, and nobody knows how it was then.
    Unknown,
    /// Its content does not count: a task returned its path.
    Uncounted,
}

/// The value of one result parameter.
#[derive(Debug, Clone)]
struct Given {
    value: Value,
    digest: Option<Digest>,
    /// Its files, by the types of the tasks that returned it.
    files: Vec<GivenFile>,
}

/// A value of an upstream element, and what is known of it.
#[derive(Debug)]
struct Upstream {
    value: ValueRef,
    digests: Option<ValueDigests>,
}

/// Puts the inputs of elements together.
#[derive(Debug)]
pub(super) struct Inputs {
    dir: RunDir,
    values: ValueStore,
    finder: ResultFinder,
    latency: Duration,
    /// Values that are the same for every element, once read.
    shared: BTreeMap<ParameterName, Given>,
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

    /// Returns what one element is given.
    pub(super) fn of(
        &mut self,
        header: &SubmissionHeader,
        element: u32,
    ) -> Result<Prepared, NoInputs> {
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
        let mut digests = Some(BTreeMap::new());
        let mut files = Vec::new();
        for input in &header.inputs {
            let given = match input.delivery {
                Delivery::Spread => self.spread(header, input, element)?,
                Delivery::Direct | Delivery::Collect => {
                    if let Some(given) = self.shared.get(&input.parameter) {
                        given.clone()
                    } else {
                        let given = self.whole(header, input)?;
                        self.shared.insert(input.parameter.clone(), given.clone());
                        given
                    }
                }
            };
            match (given.digest, &mut digests) {
                (Some(digest), Some(digests)) => {
                    digests.insert(input.parameter.clone(), digest);
                }
                _ => digests = None,
            }
            let mut declared = header.description.parameters.iter();
            let declared = declared.find(|parameter| parameter.name == input.parameter);
            if let Some(parameter) = declared
                && parameter.ty.has_files()
            {
                let counted: BTreeSet<&str> =
                    given.files.iter().map(|file| file.path.as_str()).collect();
                let others = parameter.ty.files(&given.value).into_iter();
                let others = others.filter(|path| !counted.contains(path));
                files.extend(others.map(|path| GivenFile {
                    path: path.to_owned(),
                    told: Told::Uncounted,
                }));
            }
            files.extend(given.files);
            inputs.insert(input.parameter.clone(), given.value);
        }
        Ok(Prepared {
            values: inputs,
            given: digests,
            files,
        })
    }

    /// Returns the item of one element.
    fn spread(
        &mut self,
        header: &SubmissionHeader,
        input: &InputPlan,
        element: u32,
    ) -> Result<Given, NoInputs> {
        let mut offset = 0;
        for source in &input.sources {
            let count = match source {
                SourcePlan::Known {
                    value, list: true, ..
                } => value.items().unwrap_or(0),
                SourcePlan::Known { list: false, .. }
                | SourcePlan::Upstream {
                    items: Items::One, ..
                } => 1,
                SourcePlan::Upstream { width, .. } => *width,
            };
            if element < offset + count {
                let item = element - offset;
                return match source {
                    SourcePlan::Known {
                        value,
                        list: true,
                        ty,
                        digests,
                    } => {
                        let value = parse(input, &self.item(value, item)?)?;
                        self.entry(value, item, ty.as_ref(), digests.as_ref())
                    }
                    SourcePlan::Known {
                        value,
                        list: false,
                        ty,
                        digests,
                    } => self.one(input, value, ty.as_ref(), digests.as_ref()),
                    SourcePlan::Upstream { task, .. } => self.upstream(header, input, *task, item),
                };
            }
            offset += count;
        }
        Err(NoInputs::Broken(format!(
            "parameter `{}` has only {offset} items, and item {element} is needed",
            input.parameter
        )))
    }

    /// Returns one whole value of a type.
    fn one(
        &self,
        input: &InputPlan,
        value: &ValueRef,
        ty: Option<&Type>,
        digests: Option<&ValueDigests>,
    ) -> Result<Given, NoInputs> {
        let value = parse(input, &self.values.read(value)?)?;
        let files = match ty {
            Some(ty) if ty.has_files() => counted(ty, &value, self.notes(digests)?),
            _ => Vec::new(),
        };
        Ok(Given {
            value,
            digest: digests.map(|digests| digests.whole),
            files,
        })
    }

    /// Returns the whole value of an upstream element.
    fn upstream(
        &mut self,
        header: &SubmissionHeader,
        input: &InputPlan,
        task: TaskIndex,
        element: u32,
    ) -> Result<Given, NoInputs> {
        let Upstream { value, digests } = self.result(header, task, element)?;
        let returns = upstream(header, task)?.returns.as_ref();
        self.one(input, &value, returns, digests.as_ref())
    }

    /// Returns an entry of a list of entries of a type.
    fn entry(
        &mut self,
        value: Value,
        item: u32,
        ty: Option<&Type>,
        digests: Option<&ValueDigests>,
    ) -> Result<Given, NoInputs> {
        let text = |text: String| serde_json::from_str(&text).map_err(io::Error::from);
        let entries = digests.and_then(|digests| digests.entries.as_ref());
        let digest = match (entries, ty) {
            (Some(entries), _) => Some(text(self.item(entries, item)?)?),
            (None, Some(ty)) if !ty.has_paths() => Some(of_plain(ty, &value)),
            _ => None,
        };
        let files = match ty {
            Some(ty) if ty.has_files() => {
                let notes = match digests.and_then(|digests| digests.files.as_ref()) {
                    Some(files) => ValueDigests::notes_of_item(&self.item(files, item)?)?,
                    None => Vec::new(),
                };
                counted(ty, &value, notes)
            }
            _ => Vec::new(),
        };
        Ok(Given {
            value,
            digest,
            files,
        })
    }

    /// Returns how the files of a value were when their content was read.
    fn notes(&self, digests: Option<&ValueDigests>) -> io::Result<Vec<String>> {
        digests.map_or_else(|| Ok(Vec::new()), |digests| digests.notes(&self.values))
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
    fn whole(&mut self, header: &SubmissionHeader, input: &InputPlan) -> Result<Given, NoInputs> {
        if input.delivery == Delivery::Direct {
            return match input.sources.first() {
                Some(SourcePlan::Known {
                    value, ty, digests, ..
                }) => self.one(input, value, ty.as_ref(), digests.as_ref()),
                Some(SourcePlan::Upstream { task, .. }) => self.upstream(header, input, *task, 0),
                None => Err(NoInputs::Broken(format!(
                    "parameter `{}` has no source",
                    input.parameter
                ))),
            };
        }
        let mut list = Collected::default();
        for source in &input.sources {
            match source {
                SourcePlan::Known {
                    value,
                    list: is_list,
                    ty,
                    digests,
                } => self.collect(
                    input,
                    &mut list,
                    *is_list,
                    value,
                    ty.as_ref(),
                    digests.as_ref(),
                )?,
                SourcePlan::Upstream { task, items, width } => {
                    let is_list = matches!(items, Items::List | Items::Flatten);
                    let returns = upstream(header, *task)?.returns.clone();
                    let ty = match &returns {
                        Some(returns) if is_list => returns.entry(),
                        returns => returns.as_ref(),
                    };
                    for needed in 0..*width {
                        let upstream = self.result(header, *task, needed)?;
                        self.collect(
                            input,
                            &mut list,
                            is_list,
                            &upstream.value,
                            ty,
                            upstream.digests.as_ref(),
                        )?;
                    }
                }
            }
        }
        let digests = list.digests.map(IntoIterator::into_iter);
        Ok(Given {
            value: Value::Array(list.values),
            digest: digests.map(identity::list),
            files: list.files,
        })
    }

    /// Adds a value to a list, or its entries.
    fn collect(
        &self,
        input: &InputPlan,
        list: &mut Collected,
        is_list: bool,
        value: &ValueRef,
        ty: Option<&Type>,
        digests: Option<&ValueDigests>,
    ) -> Result<(), NoInputs> {
        let text = self.values.read(value)?;
        let at = list.values.len();
        if is_list {
            let entries: Vec<Value> = serde_json::from_str(&text).map_err(|error| {
                NoInputs::Broken(format!(
                    "parameter `{}` takes the entries of a list: {error}",
                    input.parameter
                ))
            })?;
            let of_entries = match ty {
                Some(ty) => ValueDigests::of_entries(digests, ty, &self.values, || Ok(text))?,
                None => None,
            };
            list.add_digests(of_entries);
            list.values.extend(entries);
        } else {
            list.add_digests(digests.map(|digests| vec![digests.whole]));
            list.values.push(parse(input, &text)?);
        }
        if let Some(ty) = ty
            && ty.has_files()
        {
            let mut notes = self.notes(digests)?.into_iter();
            for value in &list.values[at..] {
                let of_value = notes.by_ref().take(ty.files(value).len()).collect();
                list.files.extend(counted(ty, value, of_value));
            }
        }
        Ok(())
    }

    /// Returns the value of an upstream element, waiting as long as a new file may take to be seen.
    fn result(
        &mut self,
        header: &SubmissionHeader,
        task: TaskIndex,
        element: u32,
    ) -> Result<Upstream, NoInputs> {
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
                    outcome: Outcome::Succeeded | Outcome::Cached,
                    value: Some(value),
                    digests,
                    ..
                }) => return Ok(Upstream { value, digests }),
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

/// Returns the files of a value of the type that its task returns, with the notes of them.
fn counted(ty: &Type, value: &Value, notes: Vec<String>) -> Vec<GivenFile> {
    let paths = ty.files(value);
    let is_known = paths.len() == notes.len();
    let mut notes = notes.into_iter().filter(|_| is_known);
    let told = |path: &str| GivenFile {
        path: path.to_owned(),
        told: notes.next().map_or(Told::Unknown, Told::Note),
    };
    paths.into_iter().map(told).collect()
}

/// A list that is being put together.
#[derive(Debug)]
struct Collected {
    values: Vec<Value>,
    /// Of its entries, as long as all are known.
    digests: Option<Vec<Digest>>,
    files: Vec<GivenFile>,
}

impl Default for Collected {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            digests: Some(Vec::new()),
            files: Vec::new(),
        }
    }
}

impl Collected {
    fn add_digests(&mut self, more: Option<Vec<Digest>>) {
        match (&mut self.digests, more) {
            (Some(digests), Some(more)) => digests.extend(more),
            _ => self.digests = None,
        }
    }
}
