use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{BLOCK, END, ENTRY, FRAME, Header, LONGEST, PER_BLOCK, Place, SCHEMA, START};
use crate::identity::Digest;
use crate::segment::append_frame;
use crate::store::draft::Draft;

/// Writes a table: records in the order of their keys, then its name.
#[derive(Debug)]
pub(crate) struct TableWriter {
    file: BufWriter<Draft>,
    offset: u64,
    header: u32,
    count: u64,
    /// Finished blocks, and the one that is being filled.
    index: Vec<u8>,
    filled: usize,
    last: [u8; 32],
    frame: Vec<u8>,
}

impl TableWriter {
    /// Begins a table of that kind in `directory`, which must exist.
    pub(crate) fn create(directory: &Path, kind: &str) -> io::Result<Self> {
        let mut writer = Self {
            file: BufWriter::with_capacity(256 << 10, Draft::create(directory)?),
            offset: START.len() as u64,
            header: 0,
            count: 0,
            index: Vec::new(),
            filled: 0,
            last: [0; 32],
            frame: Vec::new(),
        };
        writer.file.write_all(START)?;
        let header = serde_json::to_vec(&Header {
            schema: SCHEMA,
            kind: kind.to_owned(),
        })?;
        writer.header = writer.append(&[&header])?.length;
        Ok(writer)
    }

    fn append(&mut self, parts: &[&[u8]]) -> io::Result<Place> {
        let payload = parts.concat();
        if payload.len() > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a record of the store is longer than {LONGEST} bytes"),
            ));
        }
        self.frame.clear();
        append_frame(&mut self.frame, &payload);
        self.file.write_all(&self.frame)?;
        let place = Place {
            offset: self.offset,
            length: payload.len() as u32 + FRAME,
        };
        self.offset += u64::from(place.length);
        Ok(place)
    }

    /// Adds a part that records share, and returns its place for [`TableWriter::push`].
    pub(crate) fn share(&mut self, part: &[u8]) -> io::Result<Place> {
        self.append(&[part])
    }

    /// Adds a record. Keys must not descend.
    pub(crate) fn push(&mut self, key: &Digest, shared: Place, payload: &[u8]) -> io::Result<()> {
        debug_assert!(*key.as_bytes() >= self.last, "keys descend");
        let place = self.append(&[
            &shared.offset.to_le_bytes(),
            &shared.length.to_le_bytes(),
            payload,
        ])?;
        self.last = *key.as_bytes();
        self.count += 1;
        self.index.extend_from_slice(&self.last);
        self.index.extend_from_slice(&place.offset.to_le_bytes());
        self.index.extend_from_slice(&place.length.to_le_bytes());
        self.filled += 1;
        if self.filled == PER_BLOCK {
            self.end_block();
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let block = &self.index[self.index.len() - self.filled * ENTRY..];
        debug_assert!(block.len() + 4 <= BLOCK);
        let checksum = crc32fast::hash(block);
        self.index.extend_from_slice(&checksum.to_le_bytes());
        self.filled = 0;
    }

    /// Returns the number of records so far.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Ends the table and publishes it as `name` in its directory, synced, unless there is a file of that
    /// name; says whether it did.
    pub(crate) fn publish(mut self, name: &str) -> io::Result<bool> {
        if self.filled > 0 {
            self.end_block();
        }
        self.file.write_all(&self.index)?;
        let mut trailer = Vec::with_capacity(super::TRAILER);
        trailer.extend_from_slice(&self.count.to_le_bytes());
        trailer.extend_from_slice(&self.offset.to_le_bytes());
        trailer.extend_from_slice(&self.header.to_le_bytes());
        let checksum = crc32fast::hash(&trailer);
        trailer.extend_from_slice(&checksum.to_le_bytes());
        trailer.extend_from_slice(END);
        self.file.write_all(&trailer)?;
        self.file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .publish(name)
    }
}
