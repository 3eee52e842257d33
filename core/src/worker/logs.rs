use std::io;
use std::path::PathBuf;

use fs_err as fs;

use crate::results::{LogSpan, room};

/// The output of the elements of one worker: one file for standard output and one for standard error,
/// made when there is something to write.
#[derive(Debug)]
pub(super) struct Logs {
    base: PathBuf,
    out: Stream,
    err: Stream,
}

#[derive(Debug, Default)]
struct Stream {
    file: Option<fs::File>,
    length: u64,
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Out,
    Err,
}

impl Logs {
    /// Returns logs at `base` with `.out` and `.err` behind it.
    pub(super) fn new(base: PathBuf) -> Self {
        Self {
            base,
            out: Stream::default(),
            err: Stream::default(),
        }
    }

    /// Appends to a stream.
    pub(super) fn write(&mut self, which: Which, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (stream, extension) = match which {
            Which::Out => (&mut self.out, "out"),
            Which::Err => (&mut self.err, "err"),
        };
        let file = match &mut stream.file {
            Some(file) => file,
            none => {
                let mut name = self.base.clone().into_os_string();
                name.push(".");
                name.push(extension);
                let path = PathBuf::from(name);
                if let Some(parent) = path.parent() {
                    room::when_there_is_room(|| fs::create_dir_all(parent))?;
                }
                crate::fault::reach("worker/log-open");
                let open = || fs::OpenOptions::new().append(true).create(true).open(&path);
                let file = room::when_there_is_room(open)?;
                // A second start of the same index appends to what the first left.
                stream.length = file.metadata()?.len();
                none.insert(file)
            }
        };
        crate::fault::reach("worker/log-write");
        room::write_all(file, bytes)?;
        stream.length += bytes.len() as u64;
        Ok(())
    }

    /// Returns where the next output of each stream goes.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.out.length, self.err.length)
    }

    /// Returns what was written since `start`, if anything.
    pub(super) fn span_since(&self, start: (u64, u64)) -> Option<LogSpan> {
        let (out, err) = self.position();
        (start != (out, err)).then_some(LogSpan(start.0, out, start.1, err))
    }
}
