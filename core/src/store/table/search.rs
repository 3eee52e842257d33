use std::io;

use super::read::{IndexEntry, Table, entry};
use super::window::Window;
use super::{ENTRY, PER_BLOCK, Place};
use crate::identity::Digest;

/// A record that was found.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// Which of the keys that were asked for.
    pub(crate) asked: usize,
    /// The place of what it shares with others, for [`Table::shared`].
    pub(crate) shared: Place,
    /// Its payload.
    pub(crate) payload: &'a [u8],
}

/// How often a block is guessed from the key before the search halves what is left: keys that are not
/// evenly spread must not make it slow.
const GUESSES: u32 = 4;

/// How many damaged blocks a search goes round in each direction.
const AROUND: u64 = 8;

/// A search through the index that remembers the block read last.
struct Search<'a> {
    table: &'a Table,
    window: Window,
    number: u64,
    block: Vec<u8>,
}

impl Search<'_> {
    /// Makes a block the current one; false where it is damaged.
    fn load(&mut self, number: u64) -> io::Result<bool> {
        if self.number == number {
            return Ok(!self.block.is_empty());
        }
        self.number = number;
        self.block.clear();
        if let Some(block) = self.table.block(&mut self.window, number)? {
            self.block.extend_from_slice(block);
        }
        Ok(!self.block.is_empty())
    }

    fn count(&self) -> usize {
        self.block.len() / ENTRY
    }

    /// Makes a block the current one that is whole: this one, or the nearest above it and below `high`, or the
    /// nearest below it and not below `low`. None where only damaged ones are near.
    fn load_near(&mut self, number: u64, low: u64, high: u64) -> io::Result<Option<u64>> {
        let above = number..high.min(number.saturating_add(AROUND));
        let below = (low.max(number.saturating_sub(AROUND))..number).rev();
        for near in above.chain(below) {
            if self.load(near)? {
                return Ok(Some(near));
            }
        }
        Ok(None)
    }

    /// Returns the position in the index of the first entry whose key is not below `key`, or one where there is
    /// no such key where it is in a damaged block; none where too many damaged blocks are in the way.
    fn lower_bound(&mut self, key: &Digest) -> io::Result<Option<u64>> {
        let wanted = spread(key);
        let (mut low, mut high) = (0, self.table.blocks());
        let (mut least, mut most) = (0, u64::MAX);
        let mut guesses = 0;
        while low < high {
            let guess = if guesses < GUESSES && least < most {
                let part = u128::from(wanted.clamp(least, most) - least) * u128::from(high - low)
                    / (u128::from(most - least) + 1);
                low + part as u64
            } else {
                u64::midpoint(low, high)
            };
            guesses += 1;
            let Some(guess) = self.load_near(guess, low, high)? else {
                if high - low <= AROUND {
                    low = high;
                    break;
                }
                return Ok(None);
            };
            let (first, last) = (entry(&self.block, 0), entry(&self.block, self.count() - 1));
            if last.key < *key {
                (low, least) = (guess + 1, spread(&last.key));
            } else if first.key >= *key {
                (high, most) = (guess, spread(&first.key));
            } else {
                let (mut start, mut end) = (0, self.count());
                while start < end {
                    let middle = usize::midpoint(start, end);
                    if entry(&self.block, middle).key < *key {
                        start = middle + 1;
                    } else {
                        end = middle;
                    }
                }
                return Ok(Some(guess * PER_BLOCK as u64 + start as u64));
            }
        }
        Ok(Some(low * PER_BLOCK as u64))
    }

    /// Returns the entry at a position of the index, if it has that key.
    fn at(&mut self, position: u64, key: &Digest) -> io::Result<Option<IndexEntry>> {
        if position >= self.table.len() || !self.load(position / PER_BLOCK as u64)? {
            return Ok(None);
        }
        let entry = entry(&self.block, (position % PER_BLOCK as u64) as usize);
        Ok((entry.key == *key).then_some(entry))
    }
}

/// The start of a key, as a number: where it is between the first and the last.
fn spread(key: &Digest) -> u64 {
    u64::from_be_bytes(key.as_bytes()[..8].try_into().expect("eight bytes"))
}

impl Table {
    /// Gives `found` all records of the keys, which must be sorted. Damaged ones are left out and noted.
    pub(crate) fn find(
        &self,
        keys: &[Digest],
        found: &mut dyn FnMut(Found<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut search = Search {
            table: self,
            window: Window::default(),
            number: u64::MAX,
            block: Vec::new(),
        };
        let mut records = Window::default();
        for (asked, key) in keys.iter().enumerate() {
            let Some(mut position) = search.lower_bound(key)? else {
                continue;
            };
            while let Some(entry) = search.at(position, key)? {
                if let Some((shared, payload)) = self.record(&mut records, entry.place)? {
                    found(Found {
                        asked,
                        shared,
                        payload,
                    })?;
                }
                position += 1;
            }
        }
        Ok(())
    }
}
