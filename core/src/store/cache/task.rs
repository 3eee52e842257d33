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
    /// Where reading fails. What is damaged is left out, and in [`TaskCache::warnings`].
    pub fn find(&self, identity: &Digest) -> io::Result<Vec<Candidate>> {
        Ok(self
            .find_many(std::slice::from_ref(identity))?
            .pop()
            .unwrap_or_default())
    }

    /// Returns what is remembered of each of the identities, in the order in which they are given, the best
    /// first.
    ///
    /// # Errors
    ///
    /// Where reading fails. What is damaged is left out, and in [`TaskCache::warnings`].
    pub fn find_many(&self, identities: &[Digest]) -> io::Result<Vec<Vec<Candidate>>> {
        let mut order: Vec<usize> = (0..identities.len()).collect();
        order.sort_unstable_by_key(|at| identities[*at]);
        let sorted: Vec<Digest> = order.iter().map(|at| identities[*at]).collect();
        let mut searches = 0;
        loop {
            let opened = self.opened();
            let mut candidates = vec![Vec::new(); identities.len()];
            let searched = opened
                .tables
                .iter()
                .try_for_each(|table| search(table, &sorted, &order, &mut candidates));
            searches += 1;
            match searched {
                Ok(()) => {
                    candidates.iter_mut().for_each(settle);
                    return Ok(candidates);
                }
                Err(error) if is_gone(&error) && searches < SEARCHES => {
                    let again = Arc::new(self.shelf.open()?);
                    *self.opened.write().unwrap_or_else(PoisonError::into_inner) = again;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns what is wrong with the files of the cache, as far as it was noticed so far.
    pub fn warnings(&self) -> Vec<StoreWarning> {
        let opened = self.opened();
        let damaged = opened.tables.iter().filter_map(|table| {
            let damage = table.damage()?;
            Some(StoreWarning::damaged(table.path().to_owned(), &damage))
        });
        opened.warnings.iter().cloned().chain(damaged).collect()
    }
}

/// Adds the candidates of a table.
fn search(
    table: &Arc<Table>,
    sorted: &[Digest],
    order: &[usize],
    candidates: &mut [Vec<Candidate>],
) -> io::Result<()> {
    let mut origins = Origins::default();
    table.find(sorted, &mut |found| {
        if let Some(origin) = origins.get(table, found.shared)? {
            match serde_json::from_slice::<CacheEntry>(found.payload) {
                Ok(entry) => candidates[order[found.asked]].push(Candidate { entry, origin }),
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
