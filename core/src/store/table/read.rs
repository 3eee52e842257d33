use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::window::Window;
use super::{
    BLOCK, END, ENTRY, FRAME, Header, LONGEST, LONGEST_HEADER, PER_BLOCK, Place, REFERENCE, SCHEMA,
    START, TRAILER, u32_at, u64_at,
};
use crate::identity::Digest;
use crate::segment::read_frames;
use crate::store::file;
use crate::store::shelf::is_gone;

/// An open table.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    file: std::fs::File,
    length: u64,
    count: u64,
    index: u64,
    /// What a read met first that it could not give; what cannot be read before what is damaged.
    noted: Mutex<Option<Noted>>,
}

/// What a read could not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// A part is not what was written.
    Damage(String),
    /// A part could not be read, though it may be another time.
    Failure(String),
}

/// A file whose name begins so cannot be read any more after it was opened.
#[cfg(test)]
pub(crate) const UNREADABLE: &str = "unreadable-";

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
        let Some((file, length)) = file::open(path)? else {
            return Err(TableError::Foreign);
        };
        let (file, path) = file.into_parts();
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
        let header = u32_at(&trailer, 16);
        if header > LONGEST_HEADER || START.len() as u64 + u64::from(header) > index {
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
                #[cfg(test)]
                file: match path.file_name().and_then(|name| name.to_str()) {
                    // Its first page is never there, so that reading it is an error.
                    Some(name) if name.starts_with(UNREADABLE) => {
                        fs_err::File::open("/proc/self/mem")?.into_parts().0
                    }
                    _ => file,
                },
                #[cfg(not(test))]
                file,
                path,
                length,
                count,
                index,
                noted: Mutex::new(None),
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

    /// Returns what a read met that it could not give, if one did.
    pub(crate) fn noted(&self) -> Option<Noted> {
        self.noted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Returns whether a read has failed.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.noted(), Some(Noted::Failure(_)))
    }

    /// Notes damage.
    pub(crate) fn note(&self, what: &str) {
        self.keep(Noted::Damage(what.to_owned()));
    }

    fn keep(&self, noted: Noted) {
        let mut before = self
            .noted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let comes_first = matches!(
            (&*before, &noted),
            (None, _) | (Some(Noted::Damage(_)), Noted::Failure(_))
        );
        if comes_first {
            *before = Some(noted);
        }
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
        if place.length as usize > LONGEST + FRAME as usize {
            self.note("a record in it is damaged");
            return Ok(None);
        }
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

    /// A file that ends too early was cut after it was opened: damage, not a failure. One that is gone is none
    /// either: its records are in another.
    fn present<T>(&self, read: io::Result<T>) -> io::Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.note("it ends too early");
                Ok(None)
            }
            Err(error) => {
                if !is_gone(&error) {
                    self.keep(Noted::Failure(error.to_string()));
                }
                Err(error)
            }
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
