//! Taking out of the store what is not needed any more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::engine::{remembered_by, unfinished};
use crate::id::{RunId, Tag, TaskName};
use crate::identity::Digest;
use crate::rundir::{RunDir, ValueRef, ValueStore};
use crate::store::Catalogue;
use crate::store::cache::{Cache, Candidate, Origin};
use crate::workflow::Type;

/// What goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Criteria {
    /// What was made before this time, in milliseconds since 1970.
    pub made_before: Option<u64>,
    /// The oldest, until the rest takes no more than so many bytes in the store.
    pub most_bytes: Option<u64>,
    /// What can never be used again: a path or file that it names does not exist any more, or its value was
    /// in a run directory that is gone.
    pub unreachable: bool,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It can never be used again.
    Unreachable,
    /// It is old.
    Old,
    /// The store is too large.
    Size,
}

/// What goes of a store, or went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// By task and reason: the number of results, and about how many bytes in the store.
    pub gone: BTreeMap<(TaskName, Why), (u64, u64)>,
    /// How many results stay.
    pub kept: u64,
    /// About how many bytes these take.
    pub kept_bytes: u64,
    /// How many of these stay although they would go, since a run that has not ended uses them.
    pub in_use: u64,
    /// What could not be looked at.
    pub warnings: Vec<String>,
}

/// One result in the store.
#[derive(Debug)]
struct Remembered {
    task: usize,
    identity: Digest,
    tag: Tag,
    element: u32,
    made_ms: u64,
    bytes: u64,
    why: Option<Why>,
    is_in_use: bool,
}

/// Finds out what goes of a store, and takes it out where `apply` says so. What runs in the catalogue use
/// that have not ended stays: their own results, and what they have taken from other runs.
///
/// # Errors
/// Where the store cannot be read or, with `apply`, written.
pub fn collect(store: &Path, criteria: Criteria, apply: bool) -> io::Result<Collected> {
    let cache = Cache::new(store);
    let mut collected = Collected::default();
    let used = Used::of(&Catalogue::new(store), &mut collected.warnings)?;
    let tasks = cache.tasks().map_err(io::Error::other)?;
    let mut all = Vec::new();
    for (position, task) in tasks.iter().enumerate() {
        let opened = cache.open(task).map_err(io::Error::other)?;
        let sizes = opened.sizes();
        let bytes = sizes.bytes / sizes.records.max(1);
        let mut reach = Reach::default();
        opened.each(&mut |identity, candidates| {
            for candidate in candidates {
                let entry = &candidate.entry;
                let why = if criteria.unreachable && !reach.is_reachable(&candidate)? {
                    Some(Why::Unreachable)
                } else {
                    let is_old = criteria.made_before.is_some_and(|at| entry.made_ms < at);
                    is_old.then_some(Why::Old)
                };
                all.push(Remembered {
                    task: position,
                    identity: *identity,
                    tag: entry.tag.clone(),
                    element: entry.element,
                    made_ms: entry.made_ms,
                    bytes,
                    why,
                    is_in_use: used.has(task, &candidate),
                });
            }
            Ok(())
        })?;
        let warnings = opened.warnings();
        collected
            .warnings
            .extend(warnings.iter().map(ToString::to_string));
    }
    choose(&mut all, criteria.most_bytes);
    for it in &mut all {
        match it.why {
            Some(why) if !it.is_in_use => {
                let key = (tasks[it.task].clone(), why);
                let (number, bytes) = collected.gone.entry(key).or_default();
                *number += 1;
                *bytes += it.bytes;
            }
            why => {
                collected.in_use += u64::from(why.is_some());
                collected.kept += 1;
                collected.kept_bytes += it.bytes;
                it.why = None;
            }
        }
    }
    if apply {
        for (position, task) in tasks.iter().enumerate() {
            let gone: HashSet<(Digest, &Tag, u32)> = all
                .iter()
                .filter(|it| it.task == position && it.why.is_some())
                .map(|it| (it.identity, &it.tag, it.element))
                .collect();
            if !gone.is_empty() {
                cache
                    .retain(task, &mut |identity, candidate| {
                        let entry = &candidate.entry;
                        !gone.contains(&(*identity, &entry.tag, entry.element))
                    })
                    .map_err(io::Error::other)?;
            }
        }
    }
    Ok(collected)
}

/// Has the oldest go until the rest is small enough. What is in use counts, and stays.
fn choose(all: &mut [Remembered], most_bytes: Option<u64>) {
    let Some(most) = most_bytes else {
        return;
    };
    let stays = |it: &&mut Remembered| it.why.is_none() || it.is_in_use;
    let mut staying: Vec<&mut Remembered> = all.iter_mut().filter(stays).collect();
    let mut bytes: u64 = staying.iter().map(|it| it.bytes).sum();
    staying.sort_by_key(|it| it.made_ms);
    for it in staying {
        if bytes <= most {
            return;
        }
        if it.why.is_none() {
            it.why = Some(Why::Size);
        }
        if !it.is_in_use {
            bytes -= it.bytes;
        }
    }
}

/// What runs use that have not ended.
#[derive(Debug, Default)]
struct Used {
    runs: HashSet<RunId>,
    /// What they have taken: the name of the task in its flow, the run that made it, the element there.
    taken: HashSet<(TaskName, RunId, u32)>,
}

impl Used {
    fn of(catalogue: &Catalogue, warnings: &mut Vec<String>) -> io::Result<Self> {
        let mut used = Self::default();
        let listing = catalogue.list().map_err(io::Error::other)?;
        warnings.extend(listing.errors.iter().map(ToString::to_string));
        for entry in listing.entries {
            let Ok(dir) = RunDir::open(&entry.run_dir) else {
                // Without a record nothing of it runs.
                continue;
            };
            match unfinished(&dir) {
                Ok(None) => {}
                Ok(Some((graph, state))) => {
                    let taken = remembered_by(&dir, &graph, &state)?;
                    used.taken.extend(
                        taken
                            .into_iter()
                            .map(|(task, taken)| (task, taken.run, taken.element)),
                    );
                    used.runs.insert(entry.run_id);
                }
                Err(error) => {
                    warnings.push(format!(
                        "the run {} cannot be read, so its results stay: {error}",
                        entry.run_id
                    ));
                    used.runs.insert(entry.run_id);
                }
            }
        }
        Ok(used)
    }

    fn has(&self, task: &TaskName, candidate: &Candidate) -> bool {
        let run = &candidate.origin.run_id;
        self.runs.contains(run)
            || self
                .taken
                .contains(&(task.clone(), run.clone(), candidate.entry.element))
    }
}

/// Whether values can still be used.
#[derive(Debug, Default)]
struct Reach {
    /// What a task of a run returns; none where the run directory is gone.
    returns: HashMap<(PathBuf, TaskName), Option<Type>>,
}

impl Reach {
    fn is_reachable(&mut self, candidate: &Candidate) -> io::Result<bool> {
        let origin = &candidate.origin;
        let key = (origin.run_dir.clone(), origin.task.clone());
        let returns = self
            .returns
            .entry(key)
            .or_insert_with(|| returns_of(origin));
        let entry = &candidate.entry;
        let values = ValueStore::new(origin.run_dir.join(".reflow/values"));
        let Some(returns) = returns else {
            // The run is gone. A short value without paths is in the store itself.
            let has_paths = entry.digests.files.is_some() || entry.digests.entries.is_some();
            return Ok(matches!(entry.value, ValueRef::Inline { .. }) && !has_paths);
        };
        if !returns.has_paths() && matches!(entry.value, ValueRef::Inline { .. }) {
            return Ok(true);
        }
        let text = match values.read(&entry.value) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let value: Value = serde_json::from_str(&text)?;
        let mut is_there = true;
        returns.paths(&value, &mut |_, path| {
            // Relative to the run directory where it was in it.
            is_there = is_there && origin.run_dir.join(path).exists();
        });
        Ok(is_there)
    }
}

fn returns_of(origin: &Origin) -> Option<Type> {
    let dir = RunDir::open(&origin.run_dir).ok()?;
    let record = dir.record();
    let tasks = &record.description.tasks;
    let task = tasks.iter().find(|task| task.name == origin.task)?;
    (record.run_id == origin.run_id).then(|| task.returns.clone())
}
