//! Taking out of the store what is not needed any more.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::home::Home;
use crate::engine::{remembered_by, unfinished};
use crate::id::{RunId, TaskName};
use crate::identity::plain;
use crate::rundir::{RunDir, RunDirError, ValueRef, ValueStore};
use crate::store::Catalogue;
use crate::store::cache::{Cache, CacheEntry, Candidate, GcOptions, GcReport, Origin};
use crate::workflow::Type;

/// What goes, besides what is damaged and what was left behind half written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Criteria {
    /// What was made longer ago than this.
    pub older_than: Option<Duration>,
    /// The oldest, until the rest takes no more than so many bytes in the store.
    pub max_bytes: Option<u64>,
    /// What can never be used again: a path or file that it names does not exist any more, or its value was
    /// in a run directory that is gone.
    pub unreachable: bool,
}

/// What goes of a store, or went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// By task.
    pub garbage: GcReport,
    /// What could not be looked at or removed.
    pub warnings: Vec<String>,
}

/// Finds out what goes of a store, and takes it out where `apply` says so. What runs in the catalogue use
/// that have not ended stays: their own results, and what they have taken from other runs.
///
/// # Errors
/// Where the store cannot be read. What cannot be written stays, with a warning.
pub fn collect(
    store: &Path,
    now_ms: u64,
    criteria: Criteria,
    apply: bool,
) -> io::Result<Collected> {
    let mut warnings = Vec::new();
    let used = Used::of(&Catalogue::new(store), &mut warnings)?;
    let reach = RefCell::new(Reach::default());
    let options = GcOptions {
        now_ms,
        older_than: criteria.older_than,
        max_bytes: criteria.max_bytes,
        unreachable: &|candidate| {
            criteria.unreachable && !reach.borrow_mut().is_reachable(candidate)
        },
        in_use: &|task, candidate| used.has(task, candidate),
    };
    let garbage = Cache::new(store)
        .collect_garbage(&options, apply)
        .map_err(io::Error::other)?;
    warnings.extend(garbage.warnings.iter().map(ToString::to_string));
    Ok(Collected { garbage, warnings })
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
            let taken = match RunDir::open(&entry.run_dir) {
                // Without its record nothing of it runs.
                Err(RunDirError::NoRun(_)) => continue,
                Ok(dir) if dir.record().run_id != entry.run_id => continue,
                Err(error) => Err(io::Error::other(error)),
                Ok(dir) => unfinished(&dir).map_err(io::Error::other).and_then(|live| {
                    live.map(|(graph, state)| remembered_by(&dir, &graph, &state))
                        .transpose()
                }),
            };
            match taken {
                Ok(None) => {}
                Ok(Some(taken)) => {
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
    returns: HashMap<(RunId, TaskName), Returns>,
}

/// What is known of the values of a task.
#[derive(Debug)]
enum Returns {
    /// Their type.
    Known(Type),
    /// Their run is gone, or another one is in its directory.
    Gone,
    /// Their run cannot be read, now or by this user.
    Unknown,
}

impl Reach {
    /// What cannot be found out now, of a file system that does not answer, is taken for reachable.
    fn is_reachable(&mut self, candidate: &Candidate) -> bool {
        let origin = &candidate.origin;
        let key = (origin.run_id.clone(), origin.task.clone());
        let returns = self
            .returns
            .entry(key)
            .or_insert_with(|| returns_of(origin));
        let entry = &candidate.entry;
        let is_inline = matches!(entry.value, ValueRef::Inline { .. });
        let returns = match returns {
            Returns::Known(returns) => returns,
            Returns::Gone => return is_whole(entry),
            Returns::Unknown => return true,
        };
        if is_inline && !returns.has_paths() {
            return true;
        }
        let values = ValueStore::new(origin.run_dir.join(".reflow/values"));
        let value = values.read(&entry.value).and_then(|text| {
            serde_json::from_str::<Value>(&text)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        });
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                return !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                );
            }
        };
        let mut is_there = true;
        returns.paths(&value, &mut |_, path| {
            // Relative to the run directory where it was in it.
            let exists = origin.run_dir.join(path).try_exists();
            is_there = is_there && exists.unwrap_or(true);
        });
        is_there
    }
}

/// Returns whether a value is in the store itself, whole: it is short, and no path.
fn is_whole(entry: &CacheEntry) -> bool {
    let ValueRef::Inline { json, .. } = &entry.value else {
        return false;
    };
    if entry.digests.files.is_some() || entry.digests.entries.is_some() {
        return false;
    }
    // A path counts otherwise than the same text does.
    match serde_json::from_str::<Value>(json.get()) {
        Ok(text @ Value::String(_)) => plain(&text) == entry.digests.whole,
        value => value.is_ok(),
    }
}

fn returns_of(origin: &Origin) -> Returns {
    let dir = match Home::of(origin) {
        Home::There(dir) => dir,
        Home::Gone | Home::Taken => return Returns::Gone,
        Home::Unknown => return Returns::Unknown,
    };
    let tasks = &dir.record().description.tasks;
    let task = tasks.iter().find(|task| task.name == origin.task);
    task.map_or(Returns::Gone, |task| Returns::Known(task.returns.clone()))
}
