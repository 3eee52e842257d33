//! The digests of files that were read: what the tables in `files/` hold.

use std::cmp::Reverse;
use std::io;
use std::path::Path;

use super::cache::Amount;
use super::shelf::Shelf;
use super::sweep::remove;
use super::table::{BESIDES, Merge, Row};
use super::warning::StoreWarning;
use crate::identity::Digest;

/// What these tables call themselves.
const KIND: &str = "files";

/// Returns where a store has them.
pub(crate) fn shelf(store: &Path) -> Shelf {
    Shelf::new(store, store.join("files"), KIND)
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Of its content.
    pub(crate) digest: Digest,
    /// When it was read, in milliseconds since 1970.
    pub(crate) made_ms: u64,
}

impl Known {
    /// Returns it as the payload of a record.
    pub(crate) fn payload(self) -> Vec<u8> {
        [&self.digest.as_bytes()[..], &self.made_ms.to_le_bytes()].concat()
    }

    /// Returns what a payload says, if it is one. Later versions may add to it.
    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        let (digest, rest) = payload.split_first_chunk()?;
        Some(Self {
            digest: Digest::from_bytes(*digest),
            made_ms: u64::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

/// What is known of one file is the same in each record but for the time: the newest is kept.
pub(crate) fn keep_newest(rows: &mut Vec<Row>) {
    rows.sort_by_key(|row| Reverse(Known::of(&row.payload).map(|known| known.made_ms)));
    rows.truncate(1);
}

/// What a garbage collection takes of the digests of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesGarbage {
    /// Those of files that were read long ago.
    pub removed: Amount,
    /// Damaged files of the store that go.
    pub damaged: Vec<StoreWarning>,
}

/// Finds what was read before `before`, in milliseconds since 1970, and what is damaged, and takes it away
/// where `apply` says so. What cannot be read or removed stays, with a warning.
pub(super) fn collect(
    store: &Path,
    before: u64,
    apply: bool,
    warnings: &mut Vec<StoreWarning>,
) -> FilesGarbage {
    let shelf = shelf(store);
    let mut garbage = FilesGarbage::default();
    let collected = (|| -> io::Result<()> {
        let opened = shelf.open()?;
        warnings.extend(opened.others.iter().cloned());
        garbage.damaged.clone_from(&opened.damaged);
        if apply {
            remove(&opened.damaged, warnings);
        }
        let is_old = |row: &Row| Known::of(&row.payload).is_some_and(|it| it.made_ms < before);
        let mut merge = Merge::new(&opened.tables);
        while let Some((_, rows)) = merge.next()? {
            for row in rows.iter().filter(|row| is_old(row)) {
                garbage.removed.add(BESIDES + row.payload.len() as u64);
            }
        }
        if apply && garbage.removed.entries > 0 {
            shelf.retain(&mut |_, _, rows| {
                rows.retain(|row| !is_old(row));
                Ok(())
            })?;
        }
        Ok(())
    })();
    if let Err(error) = collected {
        warnings.push(StoreWarning::failed(shelf.directory, &error));
    }
    garbage
}
