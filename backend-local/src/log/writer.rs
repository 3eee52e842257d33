use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use reflow_core::fault::reach;
use reflow_core::scheduler::{EndReason, JobRequest};

use super::{Past, PastProcess};
use crate::element::{End, Phase, letter};
use crate::queue::{Job, Record};

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    /// What was written whole.
    length: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Writes the past anew and opens the log behind it.
    pub(crate) fn create(path: &Path, past: &Past) -> io::Result<Self> {
        let new = path.with_extension("new");
        reach("supervisor/compact");
        let file = fs_err::File::create(&new)?.into_parts().0;
        let mut log = Self {
            file,
            length: 0,
            buffer: Vec::new(),
        };
        writeln!(
            log.buffer,
            "H 1 {} {} {}",
            past.instance, past.next, past.boot
        )?;
        let (watcher, started) = past.watcher.unwrap_or_default();
        put(
            &mut log.buffer,
            b'L',
            &[watcher.into(), started, past.began],
        );
        for (&number, job) in &past.jobs {
            log.line_of_job(number, job.submitted, &job.request)?;
            for (index, element) in job.elements.iter().enumerate() {
                let index = index as u32;
                if element.phase != Phase::Pending {
                    log.started(number, index, element.started);
                }
                if element.phase == Phase::Ended {
                    log.ended(number, index, element.started, &element.end);
                }
            }
            for (index, note) in &job.notes {
                log.note(number, *index, note);
            }
        }
        for (&(job, index), &reason) in &past.killed {
            log.killed(job, index, reason);
        }
        for (&number, process) in &past.processes {
            log.process(number, process);
        }
        log.flush()?;
        reach("supervisor/replace-log");
        fs_err::rename(&new, path)?;
        Ok(log)
    }

    fn line_of_job(&mut self, number: u64, submitted: u64, request: &JobRequest) -> io::Result<()> {
        write!(self.buffer, "J {number} {submitted} ")?;
        serde_json::to_writer(&mut self.buffer, request)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    /// Writes down a new job, before anything else is done with it.
    pub(crate) fn submitted(
        &mut self,
        number: u64,
        submitted: u64,
        request: &JobRequest,
    ) -> io::Result<()> {
        self.flush()?;
        reach("supervisor/record-job");
        let written = self.line_of_job(number, submitted, request);
        let written = written.and_then(|()| self.flush());
        if written.is_err() {
            self.buffer.clear();
        }
        written
    }

    pub(super) fn started(&mut self, job: u64, index: u32, at: u64) {
        put(&mut self.buffer, b'S', &[job, index.into(), at]);
    }

    pub(super) fn ended(&mut self, job: u64, index: u32, started: u64, end: &End) {
        let (what, value) = status(end.code, end.signal);
        let numbers = [
            job,
            index.into(),
            letter(end.reason).into(),
            what,
            value,
            end.at,
            end.elapsed,
            end.peak,
            started,
        ];
        put(&mut self.buffer, b'E', &numbers);
    }

    /// Adds what the queue did; written by [`flush`](Self::flush).
    pub(crate) fn record(&mut self, record: &Record, job: Option<&Job>) {
        match *record {
            Record::Started { job, index, at } => self.started(job, index, at),
            Record::Killed { job, index, reason } => self.killed(job, index, reason),
            Record::Ended {
                job: number,
                index,
                end,
            } => {
                let started = job.map_or(0, |job| job.elements[index as usize].started);
                self.ended(number, index, started, &end);
            }
            Record::Dropped { job, reason, at } => {
                put(&mut self.buffer, b'D', &[job, letter(reason).into(), at]);
            }
        }
    }

    /// Adds a remark about an element.
    pub(crate) fn note(&mut self, job: u64, index: u32, text: &str) {
        let text = serde_json::Value::from(text);
        self.buffer
            .extend_from_slice(format!("N {job} {index} {text}\n").as_bytes());
    }

    /// Adds that a process was started, and what it runs.
    pub(crate) fn process(&mut self, number: u64, process: &PastProcess) {
        let numbers = [
            number,
            process.id.into(),
            process.started,
            process.job,
            process.is_worker.into(),
        ];
        put(&mut self.buffer, b'P', &numbers);
        if let Some((index, since)) = process.current {
            self.assigned(number, index, since);
        }
    }

    /// Adds how a process ended, before it is waited for: after that, nobody else can see it.
    pub(crate) fn exited(&mut self, number: u64, code: Option<u8>, signal: Option<u8>) {
        let (what, value) = status(code, signal);
        put(&mut self.buffer, b'X', &[number, what, value]);
    }

    /// Writes down that a process runs an element, before it is told to. On error, nothing is kept.
    pub(crate) fn assign(&mut self, number: u64, index: u32, since: u64) -> io::Result<()> {
        let length = self.buffer.len();
        self.assigned(number, index, since);
        let written = self.flush();
        if written.is_err() {
            self.buffer.truncate(length);
        }
        written
    }

    /// Adds that a process runs an element, and since when on the monotonic clock.
    fn assigned(&mut self, number: u64, index: u32, since: u64) {
        put(&mut self.buffer, b'A', &[number, index.into(), since]);
    }

    pub(super) fn killed(&mut self, job: u64, index: u32, reason: EndReason) {
        put(
            &mut self.buffer,
            b'K',
            &[job, index.into(), letter(reason).into()],
        );
    }

    /// Adds an empty line where there is nothing else to write, to see whether that can be done again.
    pub(crate) fn probe(&mut self) {
        if self.buffer.is_empty() {
            self.buffer.push(b'\n');
        }
    }

    /// Returns whether anything was added since the last flush.
    pub(crate) fn has_news(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Writes what was added. On error, it is kept for the next time.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length))?;
            return Err(error);
        }
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Returns an exit status or a signal as two numbers.
fn status(code: Option<u8>, signal: Option<u8>) -> (u64, u64) {
    match (code, signal) {
        (Some(code), _) => (1, code.into()),
        (None, Some(signal)) => (2, signal.into()),
        (None, None) => (0, 0),
    }
}

/// Writes a line of numbers: done for every element, so without the machinery of formatting.
fn put(buffer: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    buffer.push(kind);
    for &number in numbers {
        buffer.push(b' ');
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        buffer.extend_from_slice(&digits[at..]);
    }
    buffer.push(b'\n');
}
