use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at once where reads follow each other.
const AHEAD: usize = 64 << 10;

/// A part of a file in memory: a read beside the one before takes what follows along, a single one takes no
/// more than it needs.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
    used: bool,
}

impl Window {
    /// Returns `length` bytes from `offset`, of a part of the file that ends at `end`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] where the part, or the file, ends before.
    pub(super) fn read(
        &mut self,
        file: &File,
        offset: u64,
        length: usize,
        end: u64,
    ) -> io::Result<&[u8]> {
        let room = end
            .checked_sub(offset)
            .filter(|room| *room >= length as u64)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let stop = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + length as u64 > stop {
            let follows =
                self.used && offset >= self.start && offset <= stop.saturating_add(AHEAD as u64);
            let take = if follows { length.max(AHEAD) } else { length };
            let take = (take as u64).min(room) as usize;
            self.used = true;
            self.start = offset;
            self.bytes.clear();
            self.bytes.resize(take, 0);
            if let Err(error) = file.read_exact_at(&mut self.bytes, offset) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + length])
    }
}
