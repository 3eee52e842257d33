use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;

use super::window::Window;
use super::{
    BLOCK, END, ENTRY, Header, PER_BLOCK, Place, REFERENCE, SCHEMA, START, TRAILER, u32_at, u64_at,
};
use crate::identity::Digest;
use crate::segment::read_frames;

/// An open table.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    file: std::fs::File,
    length: u64,
    count: u64,
    index: u64,
    /// The first damage that a read met.
    damage: Mutex<Option<String>>,
}

/// A file that is no table, or none for this program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("reading a table failed")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(String),
    #[error("it is not a file of this kind")]
    Foreign,
    #[error("it has version {0}, and this program reads {SCHEMA}")]
    Newer(u32),
}

fn damaged<T>(what: &str) -> Result<T, TableError> {
    Err(TableError::Damaged(what.to_owned()))
}

/// A record in a table, before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexEntry {
    pub(super) key: Digest,
    pub(super) place: Place,
}

/// A record as read: its shared part's place, and its payload.
pub(super) type Parts<'a> = (Place, &'a [u8]);

impl Table {
    /// Opens the table of that kind at `path`.
    pub(crate) fn open(path: &Path, kind: &str) -> Result<Self, TableError> {
        let (file, path) = fs::File::open(path)?.into_parts();
        let length = file.metadata()?.len();
        let mut start = [0; START.len()];
        let is_ours = length >= 8 && file.read_exact_at(&mut start, 0).is_ok() && start == *START;
        if length < (START.len() + TRAILER) as u64 {
            return if is_ours || length == 0 {
                damaged("it is too short to be whole")
            } else {
                Err(TableError::Foreign)
            };
        }
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, length - TRAILER as u64)?;
        match (is_ours, &trailer[24..] == END) {
            (false, false) => return Err(TableError::Foreign),
            (false, true) => return damaged("its start is damaged"),
            (true, false) => return damaged("its end is missing"),
            (true, true) => {}
        }
        if crc32fast::hash(&trailer[..20]) != u32_at(&trailer, 20) {
            return damaged("its trailer is damaged");
        }
        let (count, index) = (u64_at(&trailer, 0), u64_at(&trailer, 8));
        let blocks = count.div_ceil(PER_BLOCK as u64);
        let whole = count
            .checked_mul(ENTRY as u64)
            .and_then(|bytes| bytes.checked_add(blocks * 4))
            .and_then(|bytes| bytes.checked_add(index))
            .and_then(|bytes| bytes.checked_add(TRAILER as u64));
        if whole != Some(length) {
            return damaged("its index does not fit into it");
        }
        let header = u64::from(u32_at(&trailer, 16));
        if START.len() as u64 + header > index {
            return damaged("its header does not fit into it");
        }
        let mut begin = vec![0; header as usize];
        file.read_exact_at(&mut begin, START.len() as u64)?;
        let header: Option<Header> = read_frames(&begin)
            .next()
            .and_then(|header| serde_json::from_slice(header).ok());
        match header {
            None => damaged("its header is damaged"),
            Some(header) if header.schema > SCHEMA => Err(TableError::Newer(header.schema)),
            Some(header) if header.kind != kind => Err(TableError::Foreign),
            Some(_) => Ok(Self {
                path,
                file,
                length,
                count,
                index,
                damage: Mutex::new(None),
            }),
        }
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of its records.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Returns its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.length
    }

    /// Returns the first damage that a read met, if one did.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damage
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn note(&self, what: &str) {
        self.damage
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get_or_insert_with(|| what.to_owned());
    }

    /// Returns the number of blocks of the index.
    pub(super) fn blocks(&self) -> u64 {
        self.count.div_ceil(PER_BLOCK as u64)
    }

    /// Reads the entries of a block, or none where it is damaged.
    pub(super) fn block<'a>(
        &self,
        window: &'a mut Window,
        number: u64,
    ) -> io::Result<Option<&'a [u8]>> {
        let left = self.count - number * PER_BLOCK as u64;
        let bytes = left.min(PER_BLOCK as u64) as usize * ENTRY;
        let offset = self.index + number * BLOCK as u64;
        let read = window.read(&self.file, offset, bytes + 4, self.length - TRAILER as u64);
        let Some(block) = self.present(read)? else {
            return Ok(None);
        };
        if crc32fast::hash(&block[..bytes]) != u32_at(block, bytes) {
            self.note("a part of its index is damaged");
            return Ok(None);
        }
        Ok(Some(&block[..bytes]))
    }

    /// Reads the payload of a frame, or none where it is damaged.
    pub(super) fn frame<'a>(
        &self,
        window: &'a mut Window,
        place: Place,
    ) -> io::Result<Option<&'a [u8]>> {
        let read = window.read(&self.file, place.offset, place.length as usize, self.index);
        let Some(bytes) = self.present(read)? else {
            return Ok(None);
        };
        let payload = read_frames(bytes).next();
        if payload.is_none() {
            self.note("a record in it is damaged");
        }
        Ok(payload)
    }

    /// Reads a record, or none where it is damaged.
    pub(super) fn record<'a>(
        &self,
        window: &'a mut Window,
        place: Place,
    ) -> io::Result<Option<Parts<'a>>> {
        let Some(payload) = self.frame(window, place)? else {
            return Ok(None);
        };
        if payload.len() < REFERENCE {
            self.note("a record in it is too short");
            return Ok(None);
        }
        let shared = Place {
            offset: u64_at(payload, 0),
            length: u32_at(payload, 8),
        };
        Ok(Some((shared, &payload[REFERENCE..])))
    }

    /// Reads a part that records share; none where there is none, or where it is damaged.
    pub(crate) fn shared(&self, place: Place) -> io::Result<Option<Vec<u8>>> {
        if place == Place::NONE {
            return Ok(None);
        }
        let mut window = Window::default();
        Ok(self.frame(&mut window, place)?.map(<[u8]>::to_vec))
    }

    /// A file that ends too early was cut after it was opened: damage, not a failure.
    fn present<T>(&self, read: io::Result<T>) -> io::Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.note("it ends too early");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The entry at `position` of a block.
pub(super) fn entry(block: &[u8], position: usize) -> IndexEntry {
    let at = position * ENTRY;
    IndexEntry {
        key: Digest::from_bytes(block[at..at + 32].try_into().expect("32 bytes")),
        place: Place {
            offset: u64_at(block, at + 32),
            length: u32_at(block, at + 40),
        },
    }
}
