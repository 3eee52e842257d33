//! The digests of what elements are given, as far as it is known.

use std::io;

use super::{Known, Remembering};
use crate::engine::State;
use crate::engine::read::result_of;
use crate::identity::{self, Digest, result_parameters};
use crate::results::{ResultRecord, ValueDigests};
use crate::rundir::ValueStore;
use crate::workflow::{Delivery, Graph, Input, Items, Source, TaskIndex, Type};

/// What the elements of a task are given for one parameter.
#[derive(Debug)]
pub(super) enum Given {
    /// The same to all.
    Whole(Digest),
    /// One item each, as far as it is known.
    Items(Vec<Option<Digest>>),
}

impl Given {
    pub(super) fn of(&self, element: u32) -> Option<Digest> {
        match self {
            Self::Whole(digest) => Some(*digest),
            Self::Items(items) => items.get(element as usize).copied().flatten(),
        }
    }
}

/// Returns whether everything that the elements of a task are given is known.
pub(super) fn are_known(graph: &Graph, state: &State, task: TaskIndex) -> bool {
    let mut sources = graph
        .task(task)
        .inputs
        .iter()
        .flat_map(|input| &input.sources);
    sources.all(|source| state.task(source.task).is_complete())
}

impl Known {
    /// Returns what the elements of a task are given, in the order of the names of its parameters; none where
    /// something that all are given is not known.
    pub(super) fn given(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        task: TaskIndex,
    ) -> io::Result<Option<Vec<Given>>> {
        let mut given = Vec::new();
        for name in result_parameters(of.graph.declared(task)) {
            let mut inputs = of.graph.task(task).inputs.iter();
            let Some(input) = inputs.find(|input| input.parameter.as_str() == name) else {
                return Ok(None);
            };
            match self.of_input(of, state, input)? {
                Some(of_input) => given.push(of_input),
                None => return Ok(None),
            }
        }
        Ok(Some(given))
    }

    fn of_input(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        input: &Input,
    ) -> io::Result<Option<Given>> {
        if input.delivery != Delivery::Spread {
            let is_complete = |source: &Source| state.task(source.task).is_complete();
            if !input.sources.iter().all(is_complete) {
                return Ok(None);
            }
        }
        let mut items = Vec::new();
        for source in &input.sources {
            match source.items {
                Items::One | Items::Elements => {
                    for element in 0..state.task(source.task).elements.len() as u32 {
                        let result = self.result(state, source.task, element)?;
                        let digests = result.and_then(|result| result.digests);
                        items.push(digests.map(|digests| digests.whole));
                    }
                }
                Items::List | Items::Flatten => {
                    if !state.task(source.task).is_complete() {
                        return Ok(None);
                    }
                    for element in 0..state.task(source.task).elements.len() as u32 {
                        match self.entries(of, state, source.task, element)? {
                            Some(entries) => items.extend(entries.into_iter().map(Some)),
                            None => return Ok(None),
                        }
                    }
                }
            }
        }
        Ok(match input.delivery {
            Delivery::Spread => Some(Given::Items(items)),
            Delivery::Direct => items.first().copied().flatten().map(Given::Whole),
            Delivery::Collect => {
                let all: Option<Vec<Digest>> = items.into_iter().collect();
                all.map(|all| Given::Whole(identity::list(all.into_iter())))
            }
        })
    }

    /// Returns the digests of the entries of the list that an element returned.
    fn entries(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<Option<Vec<Digest>>> {
        let Type::List(entry) = &of.graph.declared(task).returns else {
            return Ok(None);
        };
        let Some(result) = self.result(state, task, element)? else {
            return Ok(None);
        };
        let Some(value) = &result.value else {
            return Ok(None);
        };
        let values = self.values(of, task, element);
        ValueDigests::of_entries(result.digests.as_ref(), entry, &values, || {
            values.read(value)
        })
    }

    /// Returns where the long values of an element are.
    pub(super) fn values(&self, of: &Remembering<'_>, task: TaskIndex, element: u32) -> ValueStore {
        match self.hits.get(&(task, element)) {
            Some((_, origin)) if !of.copies => {
                ValueStore::new(origin.run_dir.join(".reflow/values"))
            }
            _ => of.dir.values(),
        }
    }

    /// Returns the result of an element that has a value.
    pub(super) fn result(
        &mut self,
        state: &State,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<Option<ResultRecord>> {
        if let Some((result, _)) = self.hits.get(&(task, element)) {
            return Ok(Some(result.clone()));
        }
        result_of(&mut self.finder, state, task, element)
    }
}
