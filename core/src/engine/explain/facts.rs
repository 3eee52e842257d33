//! What is known of one run: read when it is asked for.

use std::io;

use super::inputs::{Given, SourceItems};
use super::parts::TaskSide;
use crate::cache::UserFiles;
use crate::engine::read::result_of;
use crate::engine::{State, Width};
use crate::id::TaskName;
use crate::identity::Digest;
use crate::results::{ResultFinder, ResultRecord, ValueDigests};
use crate::rundir::{RunDir, ValueStore};
use crate::workflow::{Graph, Input, Items, Source, TaskIndex, Type};

/// Where results of the elements of a run are read.
pub(in crate::engine) trait Results: std::fmt::Debug {
    /// Returns the result of an element that has a value, and where its long values are.
    fn result(
        &mut self,
        state: &State,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<Option<(ResultRecord, ValueStore)>>;
}

/// The results in a run directory.
#[derive(Debug)]
pub(super) struct Stored {
    values: ValueStore,
    finder: ResultFinder,
}

impl Stored {
    pub(super) fn of(dir: &RunDir) -> Self {
        Self {
            values: dir.values(),
            finder: ResultFinder::new(dir.clone()),
        }
    }
}

impl Results for Stored {
    fn result(
        &mut self,
        state: &State,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<Option<(ResultRecord, ValueStore)>> {
        let found = result_of(&mut self.finder, state, task, element)?;
        Ok(found.map(|result| (result, self.values.clone())))
    }
}

/// One run.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) dir: &'a RunDir,
    pub(super) graph: &'a Graph,
    pub(super) state: &'a State,
    pub(super) files: &'a UserFiles,
    pub(super) results: &'a mut dyn Results,
}

impl Facts<'_> {
    pub(super) fn side(&self, task: TaskIndex) -> TaskSide<'_> {
        TaskSide {
            graph: self.graph,
            task,
            parameters: &self.dir.record().parameters,
            files: self.files,
        }
    }

    pub(super) fn name(&self, task: TaskIndex) -> TaskName {
        self.graph.declared(task).name.clone()
    }

    /// Returns the number of elements of a task.
    pub(super) fn width(&self, task: TaskIndex) -> Option<u32> {
        match self.state.task(task).width {
            Width::Known(width) => Some(width),
            Width::Unknown | Width::Never { .. } => None,
        }
    }

    /// Returns what the elements of a task are given. Linear in the items.
    pub(super) fn given(&mut self, task: TaskIndex) -> io::Result<Vec<Given>> {
        let inputs = self.graph.task(task).inputs.iter();
        inputs.map(|input| self.of_input(input)).collect()
    }

    fn of_input(&mut self, input: &Input) -> io::Result<Given> {
        let sources = input.sources.iter();
        let sources: io::Result<Vec<SourceItems>> =
            sources.map(|source| self.of_source(*source)).collect();
        Ok(Given {
            parameter: input.parameter.to_string(),
            delivery: input.delivery,
            sources: sources?,
        })
    }

    fn of_source(&mut self, source: Source) -> io::Result<SourceItems> {
        let upstream = self.state.task(source.task);
        let is_complete = upstream.is_ended();
        let mut items = Vec::new();
        for element in 0..upstream.elements.len() as u32 {
            let found = self.results.result(self.state, source.task, element)?;
            match source.items {
                Items::One | Items::Elements => {
                    let digests = found.and_then(|(result, _)| result.digests);
                    items.push((element, digests.map(|digests| digests.whole)));
                }
                Items::List | Items::Flatten => {
                    let entries = match &found {
                        Some((result, values)) => self.entries(source.task, result, values)?,
                        None => None,
                    };
                    let entries = entries.into_iter().flatten();
                    items.extend(entries.map(|digest| (element, Some(digest))));
                }
            }
        }
        Ok(SourceItems {
            upstream: self.name(source.task),
            kind: source.items,
            is_complete,
            items,
        })
    }

    fn entries(
        &self,
        task: TaskIndex,
        result: &ResultRecord,
        values: &ValueStore,
    ) -> io::Result<Option<Vec<Digest>>> {
        let (Type::List(entry), Some(value)) = (&self.graph.declared(task).returns, &result.value)
        else {
            return Ok(None);
        };
        ValueDigests::of_entries(result.digests.as_ref(), entry, values, || {
            values.read(value)
        })
    }
}
