//! What earlier runs remember of the elements of a run.

mod given;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::State;
use super::explain::Results;
use super::plan::{Lookup, Remembered};
use crate::cache::{Found, Homes, Taker, UserFiles, task_digest};
use crate::elements::ElementSet;
use crate::id::TaskName;
use crate::identity::{Digest, ElementHasher};
use crate::results::{ResultFinder, ResultRecord, SpoolFrame};
use crate::rundir::{CachePlan, RunDir, ValueRef, ValueStore, Verify};
use crate::store::ToldOnce;
use crate::store::cache::{Cache, TaskCache};
use crate::worker::ValueCheck;
use crate::workflow::{Graph, ParameterKind, TaskIndex};

/// Looks up elements of a run in the store, and keeps what was found until it is recorded.
#[derive(Debug)]
pub(super) struct Remembering<'a> {
    dir: &'a RunDir,
    graph: &'a Graph,
    store: Option<Cache>,
    /// Whether what was found will be used: long values are then copied into the run.
    copies: bool,
    homes: Homes,
    known: Mutex<Known>,
}

/// What was found out so far. Nothing of it changes while a run is planned.
#[derive(Debug)]
struct Known {
    finder: ResultFinder,
    files: Option<UserFiles>,
    tasks: HashMap<TaskIndex, Digest>,
    /// What all elements of a task are given, by the parameter.
    wholes: HashMap<(TaskIndex, String), Digest>,
    /// The digests of the entries of lists that elements returned.
    lists: HashMap<(TaskIndex, u32), Arc<[Digest]>>,
    /// Whether the store has anything of tasks, by the names that it uses. It is not kept open: a task may have
    /// dozens of files there.
    stored: BTreeMap<TaskName, bool>,
    /// What is wrong with the store and was told.
    told: ToldOnce,
    /// What was found, by task and element.
    hits: HashMap<(TaskIndex, u32), Found>,
    /// Elements that were looked up in vain.
    missed: HashMap<TaskIndex, ElementSet>,
}

impl<'a> Remembering<'a> {
    pub(super) fn new(
        dir: &'a RunDir,
        graph: &'a Graph,
        files: Option<UserFiles>,
        copies: bool,
    ) -> Self {
        Self {
            dir,
            graph,
            store: dir.record().cache.store.as_deref().map(Cache::new),
            copies,
            homes: Homes::default(),
            known: Mutex::new(Known {
                finder: ResultFinder::new(dir.clone()),
                files,
                tasks: HashMap::new(),
                wholes: HashMap::new(),
                lists: HashMap::new(),
                stored: BTreeMap::new(),
                told: ToldOnce::default(),
                hits: HashMap::new(),
                missed: HashMap::new(),
            }),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether results of a task may be taken from earlier runs.
    fn is_used(&self, task: TaskIndex) -> bool {
        let declared = self.graph.declared(task);
        declared.cache.enabled && !self.dir.record().cache.force.contains(&declared.name)
    }

    /// Returns what was found for elements, as the frames of a pack.
    ///
    /// # Errors
    /// Where a result cannot be written as JSON.
    pub(super) fn frames(
        &self,
        task: TaskIndex,
        elements: &ElementSet,
    ) -> io::Result<Vec<(u32, Vec<u8>)>> {
        let known = self.known();
        let found = elements
            .iter()
            .filter_map(|element| known.hits.get(&(task, element)));
        // One after the other: all of them at once, twice, are more than all else that planning needs.
        let frames = found.map(|(result, _)| {
            let frame = SpoolFrame::End(Box::new(result.clone()));
            Ok((result.element, serde_json::to_vec(&frame)?))
        });
        frames.collect()
    }

    /// Returns what a worker needs to know to compute identities and to look elements up that had none when
    /// they were planned.
    pub(super) fn plan_of(&self, task: TaskIndex, elements: &ElementSet) -> io::Result<CachePlan> {
        let mut known = self.known();
        let digest = known.task(self.dir, self.graph, task)?;
        let missed = known.missed.get(&task);
        let is_open = elements
            .iter()
            .any(|element| missed.is_none_or(|missed| !missed.contains(element)));
        let record = self.dir.record();
        let store = record.cache.store.clone();
        let declared = self.graph.declared(task);
        let mut files = Vec::new();
        for parameter in &declared.parameters {
            if matches!(parameter.kind, ParameterKind::Plain { .. })
                && let Some(value) = record.parameters.get(task, parameter.name.as_str())
            {
                for path in parameter.ty.files(value) {
                    let note = known.files(self.dir)?.note(path);
                    files.extend(note.map(|note| (path.to_owned(), note)));
                }
            }
        }
        Ok(CachePlan {
            task: digest,
            store: store.filter(|_| is_open && self.is_used(task)),
            verify: record.cache.verify,
            files,
        })
    }

    /// Looks waiting elements up, and returns those that were found, with the number of items of each value.
    fn look(
        &self,
        state: &State,
        task: TaskIndex,
        waiting: &ElementSet,
    ) -> io::Result<Vec<(u32, Option<u32>)>> {
        let Some(store) = self.store.as_ref().filter(|_| self.is_used(task)) else {
            return Ok(Vec::new());
        };
        let known = &mut *self.known();
        let missed = known.missed.get(&task);
        let wanted: Vec<u32> = waiting
            .iter()
            .filter(|element| missed.is_none_or(|missed| !missed.contains(*element)))
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.graph.declared(task).own_name();
        let mut opened = None;
        if !known.stored.contains_key(own) {
            opened = known.open(store, own);
            known.stored.insert(own.clone(), opened.is_some());
        }
        let is_stored = known.stored.get(own).is_some_and(|is_stored| *is_stored);
        let identified = known.identities(self, state, task, &wanted, is_stored)?;
        if identified.is_empty() {
            return Ok(Vec::new());
        }
        let opened = opened.or_else(|| is_stored.then(|| known.open(store, own)).flatten());
        let Some(opened) = opened else {
            known.miss(task, identified.iter().map(|(element, _)| *element));
            return Ok(Vec::new());
        };
        let identities: Vec<Digest> = identified.iter().map(|(_, identity)| *identity).collect();
        let candidates = opened.find_many(&identities)?;
        known.told.tell(&opened.warnings());
        drop(opened);
        let declared = self.graph.declared(task);
        let verify = self.dir.record().cache.verify;
        // What is only imagined has no place to make the check in.
        let check = match verify {
            Verify::Content if self.copies && !identities.is_empty() => {
                let backend = &self.dir.record().backend;
                let setup = [&backend.setup[..], &declared.setup[..]].concat();
                ValueCheck::of(self.dir, declared, &setup)?
            }
            _ => None,
        };
        let taker = Taker {
            dir: self.dir,
            verify,
            copies: self.copies,
            homes: &self.homes,
            check: check.as_ref(),
        };
        let returns = &declared.returns;
        let taken = taker.take_all(returns, &identified, &candidates);
        let mut found = Vec::new();
        let mut in_vain = Vec::new();
        for ((element, _), taken) in identified.iter().zip(taken) {
            match taken {
                Some(taken) => {
                    let value = taken.0.value.as_ref();
                    found.push((*element, value.and_then(ValueRef::items)));
                    known.hits.insert((task, *element), taken);
                }
                None => in_vain.push(*element),
            }
        }
        known.miss(task, in_vain.into_iter());
        Ok(found)
    }
}

impl Known {
    /// Opens what the store has of a task, if it has anything.
    fn open(&mut self, store: &Cache, task: &TaskName) -> Option<TaskCache> {
        match store.open(task) {
            Ok(opened) => {
                self.told.tell(&opened.warnings());
                Some(opened).filter(|opened| !opened.is_empty())
            }
            Err(error) => {
                tracing::warn!(%error, "what earlier runs remember of `{task}` is not used");
                None
            }
        }
    }

    fn files(&mut self, dir: &RunDir) -> io::Result<&UserFiles> {
        if self.files.is_none() {
            self.files = Some(UserFiles::of(dir)?);
        }
        Ok(self.files.get_or_insert_default())
    }

    fn task(&mut self, dir: &RunDir, graph: &Graph, task: TaskIndex) -> io::Result<Digest> {
        if let Some(digest) = self.tasks.get(&task) {
            return Ok(*digest);
        }
        let digest = task_digest(dir, graph, self.files(dir)?, task)?;
        self.tasks.insert(task, digest);
        Ok(digest)
    }

    fn miss(&mut self, task: TaskIndex, elements: impl Iterator<Item = u32>) {
        let missed = self.missed.entry(task).or_default();
        let mut all: Vec<u32> = missed.iter().chain(elements).collect();
        all.sort_unstable();
        *missed = all.into_iter().collect();
    }

    /// Returns the elements whose inputs are known, with their identities. Where nothing is stored the
    /// identities are not wanted: they are not computed.
    fn identities(
        &mut self,
        of: &Remembering<'_>,
        state: &State,
        task: TaskIndex,
        elements: &[u32],
        is_wanted: bool,
    ) -> io::Result<Vec<(u32, Digest)>> {
        if !is_wanted {
            let none = Digest::from_bytes([0; 32]);
            let is_known = given::are_known(of.graph, state, task);
            let elements = elements.iter().filter(|_| is_known);
            return Ok(elements.map(|element| (*element, none)).collect());
        }
        let Some(given) = self.given(of, state, task, elements)? else {
            return Ok(Vec::new());
        };
        let hasher = ElementHasher::new(&self.task(of.dir, of.graph, task)?, given.len());
        let mut digests = Vec::with_capacity(given.len());
        let mut identified = Vec::with_capacity(elements.len());
        for element in elements {
            digests.clear();
            digests.extend(given.iter().filter_map(|given| given.of(*element)));
            if digests.len() == given.len() {
                identified.push((*element, hasher.identity(&digests)));
            }
        }
        Ok(identified)
    }
}

impl Results for &Remembering<'_> {
    fn result(
        &mut self,
        state: &State,
        task: TaskIndex,
        element: u32,
    ) -> io::Result<Option<(ResultRecord, ValueStore)>> {
        let mut known = self.known();
        let found = known.result(state, task, element)?;
        Ok(found.map(|result| (result, known.values(self, task, element))))
    }
}

impl Lookup for Remembering<'_> {
    fn remembered(&self, state: &State, task: TaskIndex, waiting: &ElementSet) -> Remembered {
        let found = match self.look(state, task, waiting) {
            Ok(found) => found,
            Err(error) => {
                let name = &self.graph.declared(task).name;
                tracing::warn!(%error, "earlier results of `{name}` could not be looked up");
                Vec::new()
            }
        };
        let is_counted = super::ingest::counts_items(self.graph, task);
        let mut remembered = Remembered::default();
        for (element, items) in found {
            if is_counted {
                remembered.items.extend(items.map(|items| (element, items)));
            }
            remembered.elements.insert(element);
        }
        remembered
    }
}
