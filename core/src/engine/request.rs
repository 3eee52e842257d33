//! From the planner's wish to the request: the submission file and the job.

mod raise;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Map;

use super::remember::Remembering;
use super::{State, Width};
use crate::elements::ElementSet;
use crate::id::Tag;
use crate::identity::{Digest, list};
use crate::journal::{SubmissionKind, SubmissionRecord};
use crate::results::{ResultFinder, ValueDigests};
use crate::rundir::{
    CachePlan, DispatchMode, InputPlan, RunDir, SourcePlan, SubmissionFile, SubmissionHeader,
    UpstreamPart, UpstreamPlan, ValueRef, ValueStore,
};
use crate::scheduler::{
    ArrayRequest, Capabilities, Command, Dependency, JobRequest, OutputPaths, Resources,
};
use crate::workflow::{Delivery, Graph, Items, ParameterKind, Source, TaskIndex};

/// How long it takes until the first watch looks; each later one waits twice as long, up to sixteen times.
const WATCH: Duration = Duration::from_hours(1);

/// Returns the job for a submission, or none while a job that it comes after has no id.
pub(super) fn job_request(
    dir: &RunDir,
    graph: &Graph,
    state: &State,
    capabilities: &Capabilities,
    submission: &SubmissionRecord,
    now_ms: u64,
) -> Option<JobRequest> {
    let record = dir.record();
    let mut dependencies = Vec::new();
    for edge in &submission.after {
        let parent = state.submission(state.position(&edge.tag)?);
        dependencies.push(Dependency {
            job: parent.job.clone()?,
            kind: edge.kind,
        });
    }
    let mut argv = record.launcher.clone();
    let is_driver = submission.is_driver();
    argv.push(if is_driver { "dispatch" } else { "worker" }.to_owned());
    argv.extend(["--run-dir".to_owned(), dir.path().to_str()?.to_owned()]);
    argv.extend(["--submission".to_owned(), submission.tag.to_string()]);
    let indices = submission.indices();
    let array = indices
        .filter(|count| *count > 1)
        .map(|count| ArrayRequest {
            count,
            at_most: submission.at_most,
        });
    if indices == Some(1) {
        argv.extend(["--index".to_owned(), "0".to_owned()]);
    }
    let (resources, extra, what) = match &submission.kind {
        SubmissionKind::Elements {
            task,
            batch,
            raised,
            ..
        } => {
            let declared = graph.declared(*task);
            let limits = &capabilities.partitions;
            let resources = raise::resources(declared, *batch, *raised, limits);
            (resources, declared.extra.clone(), declared.name.to_string())
        }
        SubmissionKind::Dispatch => driver(dir, "dispatch"),
        SubmissionKind::Guard { .. } => driver(dir, "guard"),
        SubmissionKind::Watch { .. } => driver(dir, "watch"),
    };
    let not_before = match submission.kind {
        SubmissionKind::Watch { round } => Some(
            UNIX_EPOCH + Duration::from_millis(now_ms) + WATCH.saturating_mul(1 << round.min(4)),
        ),
        _ => None,
    };
    let output = dir.logs(&submission.tag).join("job");
    Some(JobRequest {
        tag: submission.tag.clone(),
        comment: Some(format!("{} {what}", record.run_id)),
        command: Command {
            argv,
            directory: dir.path().to_owned(),
            environment: BTreeMap::new(),
            setup: Vec::new(),
            serves_indices: array.is_some(),
        },
        array,
        dependencies,
        resources,
        not_before,
        output: OutputPaths {
            stdout: output.clone(),
            stderr: output,
        },
        requeue: is_driver,
        extra,
    })
}

fn driver(dir: &RunDir, what: &str) -> (Resources, Vec<String>, String) {
    let backend = &dir.record().backend;
    (
        backend.dispatch.clone(),
        backend.dispatch_extra.clone(),
        what.to_owned(),
    )
}

/// Builds the submission files of a run.
pub(super) struct FileBuilder<'a> {
    pub(super) dir: &'a RunDir,
    pub(super) graph: &'a Graph,
    pub(super) state: &'a State,
    pub(super) finder: &'a mut ResultFinder,
    pub(super) remembering: &'a Remembering<'a>,
}

impl FileBuilder<'_> {
    /// Writes the file of a submission that runs elements.
    pub(super) fn write(
        &mut self,
        tag: &Tag,
        task: TaskIndex,
        attempt: u32,
        elements: &ElementSet,
        batch: u32,
    ) -> io::Result<()> {
        let record = self.dir.record();
        let declared = self.graph.declared(task);
        let wires = self.graph.task(task);
        let mut plain = Map::new();
        let mut run_dir_parameters = Vec::new();
        for parameter in &declared.parameters {
            match &parameter.kind {
                ParameterKind::Plain { .. } => {
                    if let Some(value) = record.parameters.get(task, parameter.name.as_str()) {
                        plain.insert(parameter.name.to_string(), value.clone());
                    }
                }
                ParameterKind::RunDir => run_dir_parameters.push(parameter.name.clone()),
                ParameterKind::Result { .. } => {}
            }
        }
        let mut upstream: BTreeMap<TaskIndex, UpstreamPlan> = BTreeMap::new();
        let mut inputs = Vec::new();
        for input in &wires.inputs {
            let mut sources = Vec::new();
            for source in &input.sources {
                let plan = self.source(input.delivery, *source)?;
                if let SourcePlan::Upstream { task, .. } = plan {
                    upstream.entry(task).or_insert_with(|| self.upstream(task));
                }
                sources.push(plan);
            }
            inputs.push(InputPlan {
                parameter: input.parameter.clone(),
                delivery: input.delivery,
                sources,
            });
        }
        for task in &wires.after {
            if !self.state.task(*task).is_complete() {
                upstream
                    .entry(*task)
                    .or_insert_with(|| self.upstream(*task));
            }
        }
        let after = wires
            .after
            .iter()
            .filter(|task| upstream.contains_key(task))
            .copied()
            .collect();
        let mut description = declared.clone();
        description
            .setup
            .splice(0..0, record.backend.setup.iter().cloned());
        let header = SubmissionHeader {
            tag: tag.clone(),
            workflow: record.description.name.clone(),
            task,
            description,
            attempt,
            elements: SubmissionFile::describe(elements),
            batch,
            plain,
            run_dir_parameters,
            inputs,
            upstream: upstream.into_values().collect(),
            after,
            latency_ms: record.latency_ms,
            plans: record.dispatch == DispatchMode::Worker
                && !declared.array
                && (super::ingest::counts_items(self.graph, task) || self.is_last(task)),
            is_retried: record.dispatch == DispatchMode::Worker
                && elements.iter().any(|element| {
                    let attempts = self.state.attempts.get(&(task, element));
                    u32::from(attempts.map_or(0, |it| it.automatic)) < declared.retry.retries
                }),
            requests: self.state.requests,
            cache: self.cache_plan(task, elements),
        };
        SubmissionFile::write(&self.dir.submission(tag), &header, elements)
    }

    /// Returns how identities are computed. Where that is not known, nothing is remembered of the elements.
    fn cache_plan(&self, task: TaskIndex, elements: &ElementSet) -> Option<CachePlan> {
        match self.remembering.plan_of(task, elements) {
            Ok(plan) => Some(plan),
            Err(error) => {
                let name = &self.graph.declared(task).name;
                tracing::warn!(%error, "results of `{name}` are not remembered");
                None
            }
        }
    }

    /// Returns whether a task is the only one that nothing comes after: when it has ended, so has the run,
    /// or something has failed.
    fn is_last(&self, task: TaskIndex) -> bool {
        let mut last = self
            .graph
            .order()
            .iter()
            .filter(|task| self.graph.task(**task).consumers.is_empty());
        last.next() == Some(&task) && last.next().is_none()
    }

    fn source(&mut self, delivery: Delivery, source: Source) -> io::Result<SourcePlan> {
        let task = self.state.task(source.task);
        let width = task.elements.len() as u32;
        let returns = &self.graph.declared(source.task).returns;
        match source.items {
            Items::One | Items::List if task.is_complete() => {
                let is_list = source.items == Items::List;
                let ty = if is_list {
                    returns.entry()
                } else {
                    Some(returns)
                };
                Ok(match self.value(source.task, 0) {
                    Ok((value, digests)) => SourcePlan::Known {
                        value,
                        list: is_list,
                        ty: ty.cloned(),
                        digests,
                    },
                    // The worker finds the same, and says so as the end of its element.
                    Err(error) if is_damage(&error) => {
                        tracing::warn!(%error, "a result was damaged");
                        SourcePlan::Upstream {
                            task: source.task,
                            items: source.items,
                            width,
                        }
                    }
                    Err(error) => return Err(error),
                })
            }
            Items::Flatten if delivery == Delivery::Spread => {
                let (value, digests) = self.flattened(source.task)?;
                Ok(SourcePlan::Known {
                    value,
                    list: true,
                    ty: returns.entry().cloned(),
                    digests,
                })
            }
            items => Ok(SourcePlan::Upstream {
                task: source.task,
                items,
                width,
            }),
        }
    }

    fn value(
        &mut self,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<(ValueRef, Option<ValueDigests>)> {
        let missing = || {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "the result of `{}` is missing",
                    self.graph.declared(task).name
                ),
            )
        };
        let entry = self
            .state
            .task(task)
            .elements
            .get(element as usize)
            .ok_or_else(missing)?;
        let submission = self.state.submission(entry.submission);
        let index = match &submission.record.kind {
            SubmissionKind::Elements {
                elements, batch, ..
            } => elements.rank(element) / batch,
            _ => 0,
        };
        let found = self.finder.find(&submission.record.tag, index, element)?;
        let digests = found.as_ref().and_then(|result| result.digests.clone());
        let value = found.and_then(|result| result.value).ok_or_else(missing)?;
        Ok((value, digests))
    }

    /// Puts the lists of all elements into one list, so that a worker reads just its item.
    fn flattened(&mut self, task: TaskIndex) -> io::Result<(ValueRef, Option<ValueDigests>)> {
        let values = self.dir.values();
        let has_paths = self.graph.declared(task).returns.has_paths();
        let mut json = JsonList::default();
        let mut entries = JsonList::default();
        let mut files = JsonList::default();
        for element in 0..self.state.task(task).elements.len() as u32 {
            let (value, digests) = self.value(task, element)?;
            json.add_all(&values.read(&value)?)?;
            if !has_paths {
                continue;
            }
            let (of_entries, of_files) = match digests {
                Some(digests) => (digests.entries, digests.files),
                None => (None, None),
            };
            entries.add_known(&values, of_entries.as_ref())?;
            files.add_known(&values, of_files.as_ref())?;
        }
        let digests = match entries.finish() {
            Some(entries) if has_paths => {
                let whole: Vec<Digest> = serde_json::from_str(&entries)?;
                let files = files.finish().map(|files| values.put(files)).transpose()?;
                Some(ValueDigests {
                    whole: list(whole.into_iter()),
                    entries: Some(values.put(entries)?),
                    files,
                })
            }
            _ => None,
        };
        let json = json.finish().unwrap_or_default();
        Ok((values.put(json)?, digests))
    }

    fn upstream(&self, task: TaskIndex) -> UpstreamPlan {
        let state = self.state.task(task);
        let mut parts: BTreeMap<u32, ElementSet> = BTreeMap::new();
        for (index, element) in (0..).zip(&state.elements) {
            if element.attempt > 0 {
                parts.entry(element.submission).or_default().insert(index);
            }
        }
        let parts = parts.into_iter().filter_map(|(position, elements)| {
            let record = &self.state.submission(position).record;
            let SubmissionKind::Elements {
                elements: all,
                batch,
                ..
            } = &record.kind
            else {
                return None;
            };
            Some(UpstreamPart {
                tag: record.tag.clone(),
                elements,
                all: all.clone(),
                batch: *batch,
            })
        });
        UpstreamPlan {
            task,
            name: self.graph.declared(task).name.to_string(),
            width: if let Width::Known(width) = state.width {
                width
            } else {
                0
            },
            parts: parts.collect(),
            returns: Some(self.graph.declared(task).returns.clone()),
        }
    }
}

/// The JSON text of a list that is put together of other lists.
#[derive(Debug, Default)]
struct JsonList {
    text: String,
    /// Whether some part of it is not known.
    has_gap: bool,
}

impl JsonList {
    fn add_all(&mut self, list: &str) -> io::Result<()> {
        let entries: Vec<&serde_json::value::RawValue> = serde_json::from_str(list)?;
        for entry in entries {
            self.text.push(if self.text.is_empty() { '[' } else { ',' });
            self.text.push_str(entry.get());
        }
        Ok(())
    }

    fn add_known(&mut self, values: &ValueStore, list: Option<&ValueRef>) -> io::Result<()> {
        let Some(list) = list else {
            self.has_gap = true;
            return Ok(());
        };
        self.add_all(&values.read(list)?)
    }

    /// Returns the text, unless some part is not known.
    fn finish(mut self) -> Option<String> {
        if self.text.is_empty() {
            self.text.push('[');
        }
        self.text.push(']');
        (!self.has_gap).then_some(self.text)
    }
}

/// Returns whether an error says that a file holds something else than was written.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
