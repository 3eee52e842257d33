use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

use reflow_core::id::JobId;
use reflow_core::scheduler::{EndReason, JobRequest};

use crate::element::{Element, End, Phase, reason};
use crate::exits::PastExit;

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
    /// The life of the machine that it was written in; empty where that is not known.
    pub(crate) boot: String,
    /// The process that watched over the last supervisor: id and start time.
    pub(crate) watcher: Option<(u32, u64)>,
    /// The start time of the last supervisor.
    pub(crate) began: u64,
    /// Processes that were started, by number.
    pub(crate) processes: BTreeMap<u64, PastProcess>,
    /// The number of the next process.
    pub(crate) next_process: u64,
    /// Running elements that no process was written down for, in the order in which they were to start.
    pub(crate) unplaced: Vec<(u64, u32)>,
    /// Running elements that were being ended, and why.
    pub(crate) killed: HashMap<(u64, u32), EndReason>,
    /// Whether it is of another life of the machine.
    pub(crate) is_buried: bool,
    /// The process of each running element.
    pub(crate) placed: HashMap<(u64, u32), u64>,
}

/// What the log says of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastProcess {
    /// Its id and its start time, which name it for good.
    pub(crate) id: u32,
    pub(crate) started: u64,
    pub(crate) job: u64,
    /// Whether it serves many elements.
    pub(crate) is_worker: bool,
    /// The element that it runs, and since when on the monotonic clock.
    pub(crate) current: Option<(u32, u64)>,
    /// How it ended, where that was seen.
    pub(crate) exit: Option<PastExit>,
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

/// Returns whether the elements of a job are served by processes that run many.
pub(crate) fn is_served(request: &JobRequest) -> bool {
    request.command.serves_indices && request.array.is_some()
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
                fields.next().unwrap_or_default().clone_into(&mut self.boot);
            }
            return Some(());
        }
        let mut number = || fields.next()?.parse::<u64>().ok();
        if kind == "L" {
            let (watcher, started) = (u32::try_from(number()?).ok()?, number()?);
            self.watcher = (watcher != 0).then_some((watcher, started));
            self.began = number()?;
            return Some(());
        }
        if kind == "P" {
            let (process, id, started) = (number()?, u32::try_from(number()?).ok()?, number()?);
            let (job, is_worker) = (number()?, number()? == 1);
            self.next_process = self.next_process.max(process + 1);
            let past = PastProcess {
                id,
                started,
                job,
                is_worker,
                current: None,
                exit: None,
            };
            self.processes.insert(process, past);
            return Some(());
        }
        if kind == "X" {
            let process = self.processes.get_mut(&number()?)?;
            let (what, value) = (number()?, u8::try_from(number()?).ok()?);
            process.exit = Some(PastExit {
                code: (what == 1).then_some(value),
                signal: (what == 2).then_some(value),
                is_direct: true,
            });
            return Some(());
        }
        if kind == "A" {
            let (process, index, since) = (number()?, u32::try_from(number()?).ok()?, number()?);
            let past = self.processes.get_mut(&process)?;
            past.current = Some((index, since));
            let job = past.job;
            // It may have been meant for another process, which closed its standard input.
            if let Some(before) = self.placed.insert((job, index), process)
                && before != process
                && let Some(past) = self.processes.get_mut(&before)
            {
                past.current = None;
            }
            self.unplaced.retain(|element| *element != (job, index));
            return Some(());
        }
        let of = number()?;
        let job = self.jobs.get_mut(&of)?;
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
                self.unplaced.push((of, index));
            }
            "K" => {
                let reason = reason(u8::try_from(number()?).ok()?)?;
                self.killed.insert((of, index), reason);
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
                self.killed.remove(&(of, index));
                self.unplaced.retain(|element| *element != (of, index));
                if let Some(process) = self.placed.remove(&(of, index))
                    && let Some(past) = self.processes.get_mut(&process)
                {
                    past.current = None;
                    if !past.is_worker {
                        self.processes.remove(&process);
                    }
                }
            }
            "N" => {
                // Said of one that could not be started, before its end is written down.
                self.unplaced.retain(|element| *element != (of, index));
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

/// Judges what was open when the machine of this log went down: all of it is lost.
pub(crate) fn bury(past: &mut Past, at: u64) {
    for job in past.jobs.values_mut() {
        for element in &mut job.elements {
            if element.phase != Phase::Ended {
                element.phase = Phase::Ended;
                element.end = End::without_status(EndReason::Lost, at);
            }
        }
    }
    past.is_buried = true;
    past.processes.clear();
    past.placed.clear();
    past.unplaced.clear();
    past.killed.clear();
}
