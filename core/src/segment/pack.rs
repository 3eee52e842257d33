//! A pack: immutable records with a sorted index, published whole or not at all.
//!
//! ```text
//! magic "reflowp1" | frames, one a record | index: (key u32, offset u64) sorted by key
//! | record count u32 | checksum of the index u32 | magic "reflowpe"
//! ```
//! A record is found with two reads after the index is known; numbers are little-endian.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fs_err as fs;

use super::frame::{append_frame, read_frames};
use crate::rundir::create_exclusive;

const START: &[u8; 8] = b"reflowp1";
const END: &[u8; 8] = b"reflowpe";
const ENTRY: usize = 12;
const TRAILER: usize = 16;

/// Writes `records` (key and payload, in any order, keys unique) as a pack at `path`, unless there is a
/// file already; says whether it did.
pub fn write_pack(path: &Path, records: &mut [(u32, Vec<u8>)]) -> io::Result<bool> {
    records.sort_by_key(|(key, _)| *key);
    let mut bytes = START.to_vec();
    let mut index = Vec::with_capacity(records.len() * ENTRY);
    for (key, payload) in records.iter() {
        index.extend_from_slice(&key.to_le_bytes());
        index.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        append_frame(&mut bytes, payload);
    }
    bytes.extend_from_slice(&index);
    bytes.extend_from_slice(&(records.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
    bytes.extend_from_slice(END);
    crate::fault::reach("pack/write");
    create_exclusive(path, &bytes)
}

/// An open pack with its index in memory.
#[derive(Debug)]
pub struct Pack {
    file: fs::File,
    index: Vec<u8>,
    frames_end: u64,
}

impl Pack {
    /// Opens the pack at `path`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when the file is not a whole pack.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        let invalid = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{}` is not a pack: {what}", path.display()),
            )
        };
        if length < (START.len() + TRAILER) as u64 {
            return Err(invalid("it is too short"));
        }
        let mut trailer = [0; TRAILER];
        file.file()
            .read_exact_at(&mut trailer, length - TRAILER as u64)?;
        if &trailer[8..] != END {
            return Err(invalid("its end is missing"));
        }
        let count = u32::from_le_bytes(trailer[..4].try_into().expect("four bytes"));
        let checksum = u32::from_le_bytes(trailer[4..8].try_into().expect("four bytes"));
        let index_length = u64::from(count) * ENTRY as u64;
        let frames_end = (length - TRAILER as u64)
            .checked_sub(index_length)
            .filter(|end| *end >= START.len() as u64)
            .ok_or_else(|| invalid("its index is longer than the file"))?;
        let mut index = vec![0; index_length as usize];
        file.file().read_exact_at(&mut index, frames_end)?;
        if crc32fast::hash(&index) != checksum {
            return Err(invalid("its index is damaged"));
        }
        Ok(Self {
            file,
            index,
            frames_end,
        })
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.index.len() / ENTRY
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn entry(&self, position: usize) -> (u32, u64) {
        let entry = &self.index[position * ENTRY..(position + 1) * ENTRY];
        (
            u32::from_le_bytes(entry[..4].try_into().expect("four bytes")),
            u64::from_le_bytes(entry[4..].try_into().expect("eight bytes")),
        )
    }

    /// Returns the payload of the record with `key`, or none.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] when the record is damaged.
    pub fn get(&self, key: u32) -> io::Result<Option<Vec<u8>>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.entry(middle).0 < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == self.len() || self.entry(low).0 != key {
            return Ok(None);
        }
        let start = self.entry(low).1;
        let end = if low + 1 < self.len() {
            self.entry(low + 1).1
        } else {
            self.frames_end
        };
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("record {key} of a pack is damaged"),
            )
        };
        let length = end
            .checked_sub(start)
            .filter(|_| end <= self.frames_end)
            .ok_or_else(damaged)?;
        let mut bytes = vec![0; length as usize];
        self.file.file().read_exact_at(&mut bytes, start)?;
        read_frames(&bytes)
            .next()
            .map(|payload| Some(payload.to_vec()))
            .ok_or_else(damaged)
    }

    /// Returns all records, by ascending key.
    pub fn records(&self) -> io::Result<Vec<(u32, Vec<u8>)>> {
        let mut bytes = vec![0; self.frames_end as usize - START.len()];
        self.file
            .file()
            .read_exact_at(&mut bytes, START.len() as u64)?;
        let payloads = read_frames(&bytes);
        Ok((0..self.len())
            .map(|position| self.entry(position).0)
            .zip(payloads.map(<[u8]>::to_vec))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_found_by_key_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pack");
        assert!(
            write_pack(
                &path,
                &mut [
                    (7, b"seven".to_vec()),
                    (2, b"two".to_vec()),
                    (900_000, vec![]),
                ],
            )
            .unwrap()
        );
        let pack = Pack::open(&path).unwrap();
        assert_eq!(pack.get(2).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(pack.get(7).unwrap().as_deref(), Some(&b"seven"[..]));
        assert_eq!(pack.get(900_000).unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(pack.get(3).unwrap(), None);
        assert_eq!(pack.get(u32::MAX).unwrap(), None);
        assert_eq!(pack.records().unwrap().len(), 3);
    }

    #[test]
    fn a_pack_that_was_cut_or_overwritten_is_an_error_and_never_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pack");
        let mut records: Vec<_> = (0..50).map(|key| (key, vec![key as u8; 20])).collect();
        write_pack(&path, &mut records).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(Pack::open(&path).is_err(), "cut at {cut} went unnoticed");
        }
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x55;
            fs::write(&path, &bytes).unwrap();
            if let Ok(pack) = Pack::open(&path) {
                for key in 0..50 {
                    if let Ok(payload) = pack.get(key) {
                        assert!(payload.is_none_or(|payload| payload == vec![key as u8; 20]));
                    }
                }
            }
        }
    }
}
