//! The state log: everything that happened to the jobs of one supervisor, appended to one file.
//!
//! A line each, without fsync: a supervisor that is killed knows its past when it is started again. A
//! machine that goes down takes the processes with it, and what the last lines said of them.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use reflow_core::fault::reach;
use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, JobRequest};

use crate::element::{Element, End, Phase, letter, reason};
use crate::queue::{Job, Record};

/// What the log says of one job.
#[derive(Debug, Clone)]
pub(crate) struct PastJob {
    pub(crate) request: JobRequest,
    pub(crate) submitted: u64,
    pub(crate) elements: Vec<Element>,
    pub(crate) notes: Vec<(u32, String)>,
}

/// What the log says.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) instance: String,
    /// The number of the next job.
    pub(crate) next: u64,
    pub(crate) jobs: BTreeMap<u64, PastJob>,
    /// Processes that were started: id and start time.
    pub(crate) processes: HashSet<(u32, u64)>,
}

impl PastJob {
    pub(crate) fn is_ended(&self) -> bool {
        self.elements
            .iter()
            .all(|element| element.phase == Phase::Ended)
    }

    fn last_end(&self) -> u64 {
        let ends = self.elements.iter().map(|element| element.end.at);
        ends.max().unwrap_or(0)
    }
}

/// Returns elements as they are when a job is submitted.
pub(crate) fn fresh_elements(request: &JobRequest) -> Vec<Element> {
    let count = request.array.map_or(1, |array| array.count);
    vec![Element::default(); count as usize]
}

/// Reads a log. Lines that make no sense are passed over: they are the last words of a process that
/// was killed, or of a disk that was full.
pub(crate) fn read(path: &Path) -> io::Result<Past> {
    let bytes = fs_err::read(path)?;
    let mut past = Past::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            let _ = past.take(line);
        }
    }
    if past.instance.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is not a log of this backend", path.display()),
        ));
    }
    Ok(past)
}

impl Past {
    /// Takes in one line; none where it makes no sense.
    fn take(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "J" {
            let (number, rest) = rest.split_once(' ')?;
            let (submitted, request) = rest.split_once(' ')?;
            let number = number.parse().ok()?;
            let request: JobRequest = serde_json::from_str(request).ok()?;
            let job = PastJob {
                submitted: submitted.parse().ok()?,
                elements: fresh_elements(&request),
                request,
                notes: Vec::new(),
            };
            self.jobs.insert(number, job);
            self.next = self.next.max(number + 1);
            return Some(());
        }
        let mut fields = rest.split(' ');
        if kind == "H" {
            let (version, instance, next) = (fields.next()?, fields.next()?, fields.next()?);
            if version == "1" {
                instance.clone_into(&mut self.instance);
                self.next = self.next.max(next.parse().ok()?);
            }
            return Some(());
        }
        let mut number = || fields.next()?.parse::<u64>().ok();
        if kind == "P" {
            self.processes
                .insert((u32::try_from(number()?).ok()?, number()?));
            return Some(());
        }
        let job = self.jobs.get_mut(&number()?)?;
        if kind == "D" {
            let reason = reason(u8::try_from(number()?).ok()?)?;
            let at = number()?;
            for element in &mut job.elements {
                if element.phase == Phase::Pending {
                    element.phase = Phase::Ended;
                    element.end = End::without_status(reason, at);
                }
            }
            return Some(());
        }
        let index = u32::try_from(number()?).ok()?;
        let element = job.elements.get_mut(index as usize)?;
        match kind {
            "S" => {
                element.phase = Phase::Running;
                element.started = number()?;
            }
            "E" => {
                let reason = reason(u8::try_from(number()?).ok()?)?;
                let (what, value) = (number()?, u8::try_from(number()?).ok()?);
                let (at, elapsed, peak, started) = (number()?, number()?, number()?, number()?);
                element.phase = Phase::Ended;
                element.started = started;
                element.end = End {
                    reason,
                    code: (what == 1).then_some(value),
                    signal: (what == 2).then_some(value),
                    at,
                    elapsed,
                    peak,
                };
            }
            "N" => {
                let text = rest.splitn(3, ' ').nth(2)?;
                job.notes.push((index, serde_json::from_str(text).ok()?));
            }
            _ => {}
        }
        Some(())
    }

    /// Drops jobs that ended before `oldest`, unless an open one depends on them.
    pub(crate) fn trim(&mut self, oldest: u64) {
        let needed: HashSet<u64> = self
            .jobs
            .values()
            .filter(|job| !job.is_ended())
            .flat_map(|job| &job.request.dependencies)
            .filter_map(|dependency| self.number(&dependency.job))
            .collect();
        self.jobs.retain(|number, job| {
            !job.is_ended() || job.last_end() >= oldest || needed.contains(number)
        });
    }

    /// Returns the number of a job of this log.
    pub(crate) fn number(&self, id: &JobId) -> Option<u64> {
        let (instance, number) = crate::ids::parse(id)?;
        (instance == self.instance).then_some(number)
    }
}

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
        writeln!(log.buffer, "H 1 {} {}", past.instance, past.next)?;
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
        for &(process, started) in &past.processes {
            log.process(process, started);
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

    fn started(&mut self, job: u64, index: u32, at: u64) {
        put(&mut self.buffer, b'S', &[job, index.into(), at]);
    }

    fn ended(&mut self, job: u64, index: u32, started: u64, end: &End) {
        let (what, value) = match (end.code, end.signal) {
            (Some(code), _) => (1, code),
            (None, Some(signal)) => (2, signal),
            (None, None) => (0, 0),
        };
        let numbers = [
            job,
            index.into(),
            letter(end.reason).into(),
            what,
            value.into(),
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

    /// Adds that a process was started.
    pub(crate) fn process(&mut self, process: u32, started: u64) {
        put(&mut self.buffer, b'P', &[process.into(), started]);
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

/// Judges what was open when the supervisor of this log died: running elements are lost, or pending
/// again where the request allows it.
pub(crate) fn bury(past: &mut Past, at: u64, requeue: bool) {
    for job in past.jobs.values_mut() {
        let again = requeue && job.request.requeue;
        for element in &mut job.elements {
            if element.phase == Phase::Running {
                if again {
                    *element = Element::default();
                } else {
                    element.phase = Phase::Ended;
                    element.end = End::without_status(EndReason::Lost, at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> JobRequest {
        serde_json::from_str(text).expect("the test writes a request")
    }

    const ARRAY: &str = r#"{"tag": "raaaaaaaaaaaaaa", "command": {"argv": ["true"], "directory": "/"},
        "array": {"count": 3}, "output": {"stdout": "/dev/null", "stderr": "/dev/null"}, "requeue": false}"#;

    fn past() -> Past {
        Past {
            instance: "abc".to_owned(),
            next: 7,
            ..Past::default()
        }
    }

    #[test]
    fn a_log_says_what_was_written_even_where_it_was_cut_short() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("jobs");
        let mut log = Log::create(&path, &past()).expect("the directory is writable");
        log.submitted(7, 1000, &request(ARRAY)).expect("written");
        let end = End {
            code: Some(3),
            elapsed: 20,
            peak: 512,
            ..End::without_status(EndReason::Failed, 1040)
        };
        log.started(7, 0, 1020);
        log.ended(7, 0, 1020, &end);
        log.note(7, 0, "a \"remark\"\nof two lines");
        log.started(7, 1, 1030);
        log.process(4711, 99);
        log.flush().expect("written");
        let whole = fs_err::read(&path).expect("it is there");
        fs_err::write(&path, [&whole[..], b"E 7 1 9"].concat()).expect("writable");

        let past = read(&path).expect("a log");
        assert_eq!(past.next, 8);
        let job = &past.jobs[&7];
        assert_eq!(job.elements[0].end, end);
        assert_eq!(job.elements[0].started, 1020);
        assert_eq!(job.elements[1].phase, Phase::Running);
        assert_eq!(job.elements[2].phase, Phase::Pending);
        assert_eq!(job.notes, [(0, "a \"remark\"\nof two lines".to_owned())]);
        assert!(past.processes.contains(&(4711, 99)));

        // Written anew, it says the same.
        Log::create(&path, &past).expect("the directory is writable");
        let again = read(&path).expect("a log");
        assert_eq!(again.jobs[&7].elements, past.jobs[&7].elements);
        assert_eq!(again.next, 8);
    }

    #[test]
    fn old_jobs_are_dropped_unless_an_open_one_depends_on_them() {
        let mut past = past();
        for number in 1..=3 {
            let mut job = PastJob {
                request: request(ARRAY),
                submitted: 1,
                elements: vec![
                    Element {
                        phase: Phase::Ended,
                        end: End::without_status(EndReason::Completed, 50),
                        started: 40,
                    };
                    3
                ],
                notes: Vec::new(),
            };
            if number == 3 {
                job.elements[0] = Element::default();
                job.request.dependencies =
                    serde_json::from_str(r#"[{"job": "local-abc-2", "kind": "ok"}]"#)
                        .expect("a dependency");
            }
            past.jobs.insert(number, job);
        }
        past.trim(100);
        assert_eq!(past.jobs.keys().copied().collect::<Vec<_>>(), [2, 3]);
    }
}
