use std::io;
use std::sync::Arc;

use super::read::{IndexEntry, Table, entry};
use super::window::Window;
use super::{ENTRY, PER_BLOCK, Place};
use crate::identity::Digest;

/// A record of one of the tables that are read together.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Which table it is in.
    pub(crate) table: usize,
    /// The place of what it shares with others there.
    pub(crate) shared: Place,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

/// Reads one table from the first key to the last.
#[derive(Debug)]
struct Scan {
    table: Arc<Table>,
    index: Window,
    records: Window,
    block: Vec<u8>,
    position: u64,
}

impl Scan {
    /// Returns the entry that is next, past blocks that are damaged.
    fn peek(&mut self) -> io::Result<Option<IndexEntry>> {
        while self.position < self.table.len() {
            let within = (self.position % PER_BLOCK as u64) as usize;
            if within == 0 || self.block.is_empty() {
                let number = self.position / PER_BLOCK as u64;
                self.block.clear();
                if let Some(block) = self.table.block(&mut self.index, number)? {
                    self.block.extend_from_slice(block);
                } else {
                    self.position = (number + 1) * PER_BLOCK as u64;
                    continue;
                }
            }
            debug_assert!(within < self.block.len() / ENTRY);
            return Ok(Some(entry(&self.block, within)));
        }
        Ok(None)
    }
}

/// Reads tables together, from the first key to the last, with little of them in memory.
#[derive(Debug)]
pub(crate) struct Merge {
    scans: Vec<Scan>,
}

impl Merge {
    /// Begins to read.
    pub(crate) fn new(tables: &[Arc<Table>]) -> Self {
        let scans = tables
            .iter()
            .map(|table| Scan {
                table: Arc::clone(table),
                index: Window::default(),
                records: Window::default(),
                block: Vec::new(),
                position: 0,
            })
            .collect();
        Self { scans }
    }

    /// Returns the next key with all its records. Damaged ones are left out and noted.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Digest, Vec<Row>)>> {
        loop {
            let mut least: Option<Digest> = None;
            for scan in &mut self.scans {
                if let Some(entry) = scan.peek()? {
                    least = Some(least.map_or(entry.key, |key| key.min(entry.key)));
                }
            }
            let Some(key) = least else {
                return Ok(None);
            };
            let mut rows = Vec::new();
            for (table, scan) in self.scans.iter_mut().enumerate() {
                while let Some(entry) = scan.peek()?.filter(|entry| entry.key == key) {
                    scan.position += 1;
                    if let Some((shared, payload)) =
                        scan.table.record(&mut scan.records, entry.place)?
                    {
                        rows.push(Row {
                            table,
                            shared,
                            payload: payload.to_vec(),
                        });
                    }
                }
            }
            if !rows.is_empty() {
                return Ok(Some((key, rows)));
            }
        }
    }
}
