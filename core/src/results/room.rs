//! Writing where the disk may be full: what a body has computed is worth waiting for.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a worker waits for room on a full disk before it gives its result up. Its walltime goes on.
const PATIENCE: Duration = Duration::from_mins(10);
const FIRST_LOOK: Duration = Duration::from_millis(50);
const SLOWEST_LOOK: Duration = Duration::from_secs(2);

/// Returns whether an error says that the disk, or what the user may have of it, is full.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Counts the time that somebody waits for room.
#[derive(Debug)]
struct Wait {
    since: Option<Instant>,
    look: Duration,
}

impl Wait {
    fn new() -> Self {
        Self {
            since: None,
            look: FIRST_LOOK,
        }
    }

    /// Waits a moment, or returns the error where it is another or has lasted for too long.
    fn bear(&mut self, error: io::Error) -> io::Result<()> {
        if !is_full(&error) {
            return Err(error);
        }
        let since = *self.since.get_or_insert_with(|| {
            tracing::warn!(%error, "the disk is full; waiting for room");
            Instant::now()
        });
        if since.elapsed() > PATIENCE {
            return Err(error);
        }
        sleep(self.look);
        self.look = (self.look * 2).min(SLOWEST_LOOK);
        Ok(())
    }
}

/// Takes a step that changes nothing when it fails, again while the disk is full.
pub(crate) fn when_there_is_room<T>(mut step: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut wait = Wait::new();
    loop {
        match step() {
            Ok(done) => return Ok(done),
            Err(error) => wait.bear(error)?,
        }
    }
}

/// Writes all of `bytes`, going on where it was stopped by a full disk.
pub(crate) fn write_all(file: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    let mut wait = Wait::new();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => wait.bear(error)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for three bytes, then for none, twice, then for the rest.
    #[derive(Default)]
    struct Disk {
        written: Vec<u8>,
        refused: u32,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = match (self.written.len(), self.refused) {
                (0..3, _) => 3 - self.written.len(),
                (_, 0..2) => {
                    self.refused += 1;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                _ => bytes.len(),
            };
            let count = bytes.len().min(room);
            self.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_write_that_a_full_disk_has_cut_goes_on_where_it_was() {
        let mut disk = Disk::default();
        write_all(&mut disk, b"a result").unwrap();
        assert_eq!(disk.written, b"a result");
        assert_eq!(disk.refused, 2);
    }

    #[test]
    fn only_a_full_disk_is_waited_for() {
        let mut tries = 0;
        let error = when_there_is_room(|| {
            tries += 1;
            let kind = if tries == 1 {
                io::ErrorKind::QuotaExceeded
            } else {
                io::ErrorKind::PermissionDenied
            };
            io::Result::<()>::Err(kind.into())
        })
        .unwrap_err();
        assert_eq!((tries, error.kind()), (2, io::ErrorKind::PermissionDenied));
    }
}
