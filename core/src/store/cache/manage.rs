//! Walking through the cache, and thinning it out.

use std::collections::HashMap;
use std::io;

use fs_err as fs;

use super::entry::settle;
use super::task::Origins;
use super::{Cache, CacheEntry, CacheError, Candidate, TaskCache};
use crate::id::TaskName;
use crate::identity::Digest;
use crate::store::table::Merge;

/// How much the cache has of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Files.
    pub tables: u32,
    /// Records in them; one that is in two files for a moment is counted twice.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Cache {
    /// Returns the names of the tasks that something is remembered of, sorted.
    ///
    /// # Errors
    /// Where the cache cannot be listed. One that does not exist is empty.
    pub fn tasks(&self) -> Result<Vec<TaskName>, CacheError> {
        let directory = self.directory();
        let failed = |source| CacheError::io("read", directory.clone(), source);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut tasks = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let task = name.to_str().and_then(|name| TaskName::new(name).ok());
            // A file that somebody has put there is no task.
            tasks.extend(task.filter(|_| entry.path().is_dir()));
        }
        tasks.sort_unstable();
        Ok(tasks)
    }

    /// Keeps of what is remembered of a task what `keep` says, and returns how many records went. What is
    /// published meanwhile stays.
    ///
    /// # Errors
    /// Where the cache cannot be read or written. All that was there is there then.
    pub fn retain(
        &self,
        task: &TaskName,
        keep: &mut dyn FnMut(&Digest, &Candidate) -> bool,
    ) -> Result<u64, CacheError> {
        let shelf = self.shelf(task);
        let mut origins: HashMap<usize, Origins> = HashMap::new();
        let retained = shelf.retain(&mut |tables, key, rows| {
            let mut failure = None;
            rows.retain(|row| {
                let origins = origins.entry(row.table).or_default();
                let origin = origins.get(&tables[row.table], row.shared);
                match (origin, serde_json::from_slice::<CacheEntry>(&row.payload)) {
                    (Ok(Some(origin)), Ok(entry)) => keep(key, &Candidate { entry, origin }),
                    (Err(error), _) => {
                        failure = Some(error);
                        true
                    }
                    // Of a later version: not ours to judge.
                    _ => true,
                }
            });
            failure.map_or(Ok(()), Err)
        });
        retained.map_err(|source| CacheError::io("write", shelf.directory.clone(), source))
    }
}

impl TaskCache {
    /// Returns how much there is.
    pub fn sizes(&self) -> Sizes {
        let opened = self.opened();
        Sizes {
            tables: opened.tables.len() as u32,
            records: opened.tables.iter().map(|table| table.len()).sum(),
            bytes: opened.tables.iter().map(|table| table.bytes()).sum(),
        }
    }

    /// Calls `each` with every identity and what is remembered of it, the best first, in the order of the
    /// identities. What is damaged is left out, and in [`TaskCache::warnings`].
    ///
    /// # Errors
    /// Where reading fails, and those of `each`.
    pub fn each(
        &self,
        each: &mut dyn FnMut(&Digest, Vec<Candidate>) -> io::Result<()>,
    ) -> io::Result<()> {
        let opened = self.opened();
        let tables = &opened.tables;
        let mut origins: Vec<Origins> = tables.iter().map(|_| Origins::default()).collect();
        let mut merge = Merge::new(tables);
        while let Some((key, rows)) = merge.next()? {
            let mut candidates = Vec::with_capacity(rows.len());
            for row in rows {
                let table = &tables[row.table];
                if let Some(origin) = origins[row.table].get(table, row.shared)? {
                    match serde_json::from_slice::<CacheEntry>(&row.payload) {
                        Ok(entry) => candidates.push(Candidate { entry, origin }),
                        Err(_) => table.note("a record in it is not understood"),
                    }
                }
            }
            settle(&mut candidates);
            if !candidates.is_empty() {
                each(&key, candidates)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{digest, entry, origin, segments, shown, task};
    use super::*;

    fn all(cache: &Cache) -> Vec<(Digest, Vec<(String, String)>)> {
        let mut all = Vec::new();
        let opened = cache.open(&task()).unwrap();
        opened
            .each(&mut |identity, candidates| {
                all.push((*identity, shown(&candidates)));
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn what_is_not_kept_goes_and_nothing_else() {
        let store = tempfile::tempdir().unwrap();
        let cache = Cache::new(store.path());
        assert!(cache.tasks().unwrap().is_empty());
        for number in 0..8 {
            let entries = (0..5)
                .map(|value| (digest(value), entry(value, number, u64::from(number))))
                .collect();
            let name = format!("s-{number}");
            cache
                .publish(&task(), &name, &origin(number), entries)
                .unwrap();
        }
        assert_eq!(cache.tasks().unwrap(), [task()]);
        let before = all(&cache);
        assert_eq!(before.len(), 5);
        assert!(before.iter().all(|(_, candidates)| candidates.len() == 8));
        assert_eq!(cache.retain(&task(), &mut |_, _| true).unwrap(), 0);
        assert_eq!(all(&cache), before);
        let gone = cache
            .retain(&task(), &mut |identity, candidate| {
                *identity != digest(3) && candidate.entry.made_ms >= 4
            })
            .unwrap();
        assert_eq!(gone, 4 * 4 + 8);
        let after = all(&cache);
        let expected: Vec<_> = before
            .into_iter()
            .filter(|(identity, _)| *identity != digest(3))
            .map(|(identity, candidates)| (identity, candidates[4..].to_vec()))
            .collect();
        assert_eq!(after, expected);
        assert_eq!(segments(store.path()).len(), 1);
        let sizes = cache.open(&task()).unwrap().sizes();
        assert_eq!((sizes.tables, sizes.records), (1, 4 * 4));
        assert_eq!(cache.retain(&task(), &mut |_, _| false).unwrap(), 16);
        assert!(cache.open(&task()).unwrap().is_empty());
        assert!(segments(store.path()).is_empty());
    }
}
