//! A table: immutable records sorted by a digest, published whole or not at all. The cache and the memory
//! of file contents are made of tables.
//!
//! ```text
//! magic "reflowt1" | frame: header, JSON {schema, kind}
//! | frames: records, by ascending key, and parts that records share, before the first that names them
//! | index: blocks of 4096 bytes, the last one shorter
//! | record count u64 | offset of the index u64 | length of the header's frame u32
//! | checksum of these three u32 | magic "reflowte"
//!
//! a record: offset of its shared part u64 (0: none) | length of that part's frame u32 | payload
//! a block:  up to 93 of (key 32 bytes, offset of the record's frame u64, length of the frame u32)
//!           | checksum of these u32
//! ```
//! Numbers are little-endian, checksums are CRC-32, frames are those of [`crate::segment`]. A key may have
//! many records. Keys are digests and so evenly spread: a block is guessed from the key, and a record is
//! found with two or three reads, however large the table. Each block and each frame has a checksum of its
//! own, so what is damaged costs what is in it and nothing else, unless many blocks side by side are damaged.
//!
//! A `schema` above [`SCHEMA`] is of a later version of this program and is not read.

mod merge;
mod read;
mod search;
#[cfg(test)]
mod tests;
mod window;
mod write;

pub(crate) use merge::{Merge, Row};
#[cfg(test)]
pub(crate) use read::UNREADABLE;
pub(crate) use read::{Noted, Table, TableError};
#[cfg(test)]
pub(crate) use search::Found;
pub(crate) use write::TableWriter;

/// The version of the tables that this program writes, and the newest that it reads.
pub(crate) const SCHEMA: u32 = 1;

const START: &[u8; 8] = b"reflowt1";
const END: &[u8; 8] = b"reflowte";
const TRAILER: usize = 32;
/// Bytes of one entry of the index.
const ENTRY: usize = 44;
/// Entries of a block: with the checksum, 4096 bytes.
const PER_BLOCK: usize = 93;
const BLOCK: usize = PER_BLOCK * ENTRY + 4;
/// Bytes of the reference to a shared part, in front of a payload.
const REFERENCE: usize = 12;
/// Bytes of a frame besides its payload.
const FRAME: u32 = 8;
/// Bytes that a record takes besides its payload, and what it shares with others.
pub(crate) const BESIDES: u64 = ENTRY as u64 + FRAME as u64 + REFERENCE as u64;
/// Longest payload: what a frame holds, less than the 64 MiB that a frame may have.
const LONGEST: usize = 32 << 20;

/// Longest frame of a header; one of ours has less than a hundred bytes.
const LONGEST_HEADER: u32 = 64 << 10;

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    offset: u64,
    length: u32,
}

impl Place {
    /// What a record names that shares nothing.
    pub(crate) const NONE: Self = Self {
        offset: 0,
        length: 0,
    };
}

/// The header of a table.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Header {
    schema: u32,
    kind: String,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
