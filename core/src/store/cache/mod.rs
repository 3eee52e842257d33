//! The cache: the identities of elements that were run, and where their values are.
//!
//! There is a directory for each task, `STORE/cache/<task>`, and in it tables that are never changed.
//! Whoever takes results in publishes one; they are merged eight at a time, so that there are few of them
//! however often something is published. Nothing is locked: anybody may read, publish and merge at the
//! same moment, on any node.

mod entry;
mod error;
mod gc;
mod manage;
mod task;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use entry::{CacheEntry, Candidate, Origin};
pub use error::CacheError;
pub use gc::{Amount, GcOptions, GcReason, GcReport, TaskGarbage};
pub use manage::Sizes;
pub use task::TaskCache;

use entry::Rank;

use super::shelf::{Shelf, is_name};
use super::table::Row;
use crate::id::TaskName;
use crate::identity::Digest;

/// What tables of the cache call themselves.
const KIND: &str = "cache";

/// The cache in a store.
#[derive(Debug, Clone)]
pub struct Cache {
    store: PathBuf,
}

impl Cache {
    /// Returns the cache of a store, which need not exist yet. Nothing is read before it is asked for.
    pub fn new(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.store.join("cache")
    }

    fn shelf(&self, task: &TaskName) -> Shelf {
        Shelf::new(&self.store, self.directory().join(task.as_str()), KIND)
    }

    /// Publishes what was run, by identity, under a name that is the same when the same is published again:
    /// letters, digits, `_`, `-` and `.`. Returns false where there is something of that name.
    ///
    /// Of several entries of one identity, that of the first element is remembered. `task` is the name of the task in its own flow. All of it is there afterwards, or nothing; directories
    /// are made as needed. Merging what has been published before is part of the work from time to time; where
    /// that fails, what was published is there all the same.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] where the store cannot be written, on a full or read-only disk too. A run goes on
    /// without.
    pub fn publish(
        &self,
        task: &TaskName,
        name: &str,
        origin: &Origin,
        mut entries: Vec<(Digest, CacheEntry)>,
    ) -> Result<bool, CacheError> {
        if !is_name(name) {
            return Err(CacheError::Name(name.to_owned()));
        }
        entries.sort_by_key(|(identity, entry)| (*identity, entry.element));
        // Items that are equal have one identity: of ten thousand, one is as good as all.
        entries.dedup_by_key(|(identity, _)| *identity);
        let shelf = self.shelf(task);
        let published = shelf
            .publish(name, &|table| {
                let place = table.share(&serde_json::to_vec(origin)?)?;
                entries.iter().try_for_each(|(identity, entry)| {
                    table.push(identity, place, &serde_json::to_vec(entry)?)
                })
            })
            .map_err(|source| CacheError::io("write", shelf.directory.clone(), source))?;
        if let Err(error) = shelf.merge(&keep_distinct) {
            tracing::warn!(
                directory = %shelf.directory.display(), %error,
                "could not merge what was published before; it stays as it is"
            );
        }
        Ok(published)
    }

    /// Opens what is remembered of a task: what is there now.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] where the directory cannot be listed. A store or a task that does not exist is empty.
    pub fn open(&self, task: &TaskName) -> Result<TaskCache, CacheError> {
        TaskCache::open(self.shelf(task))
    }
}

/// Keeps of the records of one identity those that may be taken for its result.
fn keep_distinct(rows: &mut Vec<Row>) {
    if rows.len() < 2 {
        return;
    }
    // What is of a later version, or damaged in a way that no checksum shows, is not ours to drop.
    let mut others = Vec::new();
    let mut understood = Vec::new();
    let mut ranks: Vec<Rank> = Vec::new();
    for row in rows.drain(..) {
        match serde_json::from_slice(&row.payload) {
            Ok(rank) => {
                ranks.push(rank);
                understood.push(Some(row));
            }
            Err(_) => others.push(row),
        }
    }
    let kept = entry::kept(&ranks).into_iter();
    rows.extend(kept.filter_map(|at| understood[at].take()));
    rows.append(&mut others);
}
