use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::entry::settle;
use super::{CacheEntry, CacheError, Candidate, Origin};
use crate::identity::Digest;
use crate::store::StoreWarning;
use crate::store::shelf::{Opened, Shelf, is_gone};
use crate::store::table::{Place, Table};

/// How often a search begins again since a table has gone.
const SEARCHES: usize = 5;

/// What is remembered of one task, as it was when it was opened.
///
/// Its tables stay readable when others merge them; on a shared file system one may vanish all the same, and
/// then what is there at that moment is opened.
#[derive(Debug)]
pub struct TaskCache {
    shelf: Shelf,
    opened: RwLock<Arc<Opened>>,
}

impl TaskCache {
    pub(super) fn open(shelf: Shelf) -> Result<Self, CacheError> {
        let opened = shelf
            .open()
            .map_err(|source| CacheError::io("read", shelf.directory.clone(), source))?;
        Ok(Self {
            shelf,
            opened: RwLock::new(Arc::new(opened)),
        })
    }

    pub(super) fn opened(&self) -> Arc<Opened> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&opened)
    }

    /// Returns whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.opened().tables.iter().all(|table| table.len() == 0)
    }

    /// Returns what is remembered of an identity, the best first: a few reads, whatever the cache has.
    ///
    /// # Errors
    ///
    /// Those of [`TaskCache::find_many`].
    pub fn find(&self, identity: &Digest) -> io::Result<Arc<[Candidate]>> {
        let found = self.find_many(std::slice::from_ref(identity))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Returns what is remembered of each of the identities, in the order in which they are given, the best
    /// first. Those that are equal share one answer.
    ///
    /// # Errors
    ///
    /// Where files go again and again, or the directory cannot be listed any more. What is damaged or cannot be
    /// read is left out, and in [`TaskCache::warnings`].
    pub fn find_many(&self, identities: &[Digest]) -> io::Result<Vec<Arc<[Candidate]>>> {
        let mut order: Vec<usize> = (0..identities.len()).collect();
        order.sort_unstable_by_key(|at| identities[*at]);
        let mut keys: Vec<Digest> = order.iter().map(|at| identities[*at]).collect();
        keys.dedup();
        let found = self.search(&keys)?;
        let nothing: Arc<[Candidate]> = Arc::default();
        let mut answers = vec![nothing; identities.len()];
        let mut number = 0;
        for at in order {
            if keys[number] != identities[at] {
                number += 1;
            }
            answers[at] = Arc::clone(&found[number]);
        }
        Ok(answers)
    }

    /// Returns what is remembered of identities that are sorted and distinct.
    fn search(&self, keys: &[Digest]) -> io::Result<Vec<Arc<[Candidate]>>> {
        let mut searches = 0;
        loop {
            let opened = self.opened();
            let mut candidates = vec![Vec::new(); keys.len()];
            let searched = opened.tables.iter().try_for_each(|table| {
                match search(table, keys, &mut candidates) {
                    Err(error) if is_gone(&error) => Err(error),
                    // Noted by the table; the others may have it.
                    _ => Ok(()),
                }
            });
            searches += 1;
            match searched {
                Ok(()) => {
                    candidates.iter_mut().for_each(settle);
                    let nothing: Arc<[Candidate]> = Arc::default();
                    let shared = candidates.into_iter().map(|found| match found.as_slice() {
                        [] => Arc::clone(&nothing),
                        _ => Arc::from(found),
                    });
                    return Ok(shared.collect());
                }
                Err(_) if searches < SEARCHES => {
                    let again = Arc::new(self.shelf.open()?);
                    *self.opened.write().unwrap_or_else(PoisonError::into_inner) = again;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns what is wrong with the files of the cache, as far as it was noticed so far: ask after searching.
    pub fn warnings(&self) -> Vec<StoreWarning> {
        self.opened().warnings()
    }
}

/// Adds the candidates of a table.
fn search(table: &Table, keys: &[Digest], candidates: &mut [Vec<Candidate>]) -> io::Result<()> {
    let mut origins = Origins::default();
    table.find(keys, &mut |found| {
        if let Some(origin) = origins.get(table, found.shared)? {
            match serde_json::from_slice::<CacheEntry>(found.payload) {
                Ok(entry) => candidates[found.asked].push(Candidate { entry, origin }),
                Err(_) => table.note("a record in it is not understood"),
            }
        }
        Ok(())
    })
}

/// The origins that records of a table name, each read once.
#[derive(Debug, Default)]
pub(super) struct Origins {
    read: HashMap<Place, Option<Arc<Origin>>>,
}

impl Origins {
    /// Returns the origin at a place, or none where it is damaged.
    pub(super) fn get(&mut self, table: &Table, place: Place) -> io::Result<Option<Arc<Origin>>> {
        if let Some(origin) = self.read.get(&place) {
            return Ok(origin.clone());
        }
        let origin: Option<Origin> = table
            .shared(place)?
            .and_then(|part| serde_json::from_slice(&part).ok());
        if origin.is_none() {
            table.note("the origin of a record is damaged");
        }
        let origin = origin.map(Arc::new);
        self.read.insert(place, origin.clone());
        Ok(origin)
    }
}
