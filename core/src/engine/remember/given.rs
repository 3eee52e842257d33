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
    /// Returns what `elements` of a task, in their order, are given, in the order of the names of its
    /// parameters; none where something that all are given is not known.
    ///
    /// Linear in `elements`, whatever else there is: while a long chain goes on this is asked again and again.
    pub(super) fn given(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        task: TaskIndex,
        elements: &[u32],
    ) -> io::Result<Option<Vec<Given>>> {
        let mut given = Vec::new();
        for name in result_parameters(of.graph.declared(task)) {
            let mut inputs = of.graph.task(task).inputs.iter();
            let Some(input) = inputs.find(|input| input.parameter.as_str() == name) else {
                return Ok(None);
            };
            let of_input = if input.delivery == Delivery::Spread {
                self.spread(of, state, input, elements)?.map(Given::Items)
            } else {
                self.whole(of, state, task, input)?.map(Given::Whole)
            };
            match of_input {
                Some(of_input) => given.push(of_input),
                None => return Ok(None),
            }
        }
        Ok(Some(given))
    }

    /// Returns the digests of the items of some elements, each at the place of its element.
    fn spread(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        input: &Input,
        elements: &[u32],
    ) -> io::Result<Option<Vec<Option<Digest>>>> {
        let mut items = Vec::new();
        for source in &input.sources {
            let width = state.task(source.task).elements.len() as u32;
            match source.items {
                Items::One | Items::Elements => {
                    let first = items.len() as u32;
                    items.resize(items.len() + width as usize, None);
                    let from = elements.partition_point(|element| *element < first);
                    let wanted = elements[from..].iter();
                    for element in wanted.take_while(|element| **element < first + width) {
                        let result = self.result(state, source.task, element - first)?;
                        let digests = result.and_then(|result| result.digests);
                        items[*element as usize] = digests.map(|digests| digests.whole);
                    }
                }
                Items::List | Items::Flatten => match self.all_entries(of, state, *source)? {
                    Some(entries) => items.extend(entries.into_iter().map(Some)),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(items))
    }

    /// Returns the digest of what all elements of a task are given for a parameter.
    fn whole(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        task: TaskIndex,
        input: &Input,
    ) -> io::Result<Option<Digest>> {
        let is_complete = |source: &Source| state.task(source.task).is_complete();
        if !input.sources.iter().all(is_complete) {
            return Ok(None);
        }
        let key = (task, input.parameter.to_string());
        if let Some(known) = self.wholes.get(&key) {
            return Ok(Some(*known));
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
                Items::List | Items::Flatten => match self.all_entries(of, state, *source)? {
                    Some(entries) => items.extend(entries.into_iter().map(Some)),
                    None => return Ok(None),
                },
            }
        }
        let whole = match input.delivery {
            Delivery::Collect => {
                let all: Option<Vec<Digest>> = items.into_iter().collect();
                all.map(|all| identity::list(all.into_iter()))
            }
            Delivery::Direct | Delivery::Spread => items.first().copied().flatten(),
        };
        if let Some(whole) = whole {
            self.wholes.insert(key, whole);
        }
        Ok(whole)
    }

    /// Returns the digests of the entries of all lists of a task that has ended.
    fn all_entries(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        source: Source,
    ) -> io::Result<Option<Vec<Digest>>> {
        if !state.task(source.task).is_complete() {
            return Ok(None);
        }
        let mut all = Vec::new();
        for element in 0..state.task(source.task).elements.len() as u32 {
            let key = (source.task, element);
            if !self.lists.contains_key(&key)
                && let Some(entries) = self.entries(of, state, source.task, element)?
            {
                self.lists.insert(key, entries.into());
            }
            match self.lists.get(&key) {
                Some(entries) => all.extend_from_slice(entries),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
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
