use std::fs::File;

use super::adopt::mark;
use super::limits::Usage;
use super::run::Supervisor;
use super::spawn::{Marks, Part, spawn};
use super::workers::connect;
use crate::clock;
use crate::log::{self, PastProcess};
use crate::{ids, tree};
use reflow_core::fault::reach;

/// A process that the supervisor started, until nothing is left of it and of what it started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) job: u64,
    pub(super) id: u32,
    pub(super) mark: String,
    /// The element that it runs, and since when on the monotonic clock.
    pub(super) current: Option<(u32, u64)>,
    /// The worker's answer, where its end is waited for before it counts.
    pub(super) answer: Option<u8>,
    pub(super) worker: Option<Worker>,
    /// Whether it has talked nonsense, so that nothing it says counts any more.
    pub(super) is_mistrusted: bool,
    /// When it was started, where an earlier supervisor did it, so that it is no child of this one.
    pub(super) adopted: Option<u64>,
    pub(super) usage: Usage,
    /// How it ended.
    pub(super) exit: Option<Exit>,
    /// When it is killed, on the monotonic clock.
    pub(super) kill_at: Option<u64>,
}

#[derive(Debug)]
/// The side of a process that serves many elements.
pub(super) struct Worker {
    /// Closed to make it end.
    pub(super) stdin: Option<File>,
    /// Whether it can still answer.
    pub(super) is_open: bool,
    pub(super) idle_since: u64,
}

#[derive(Debug, Clone, Copy)]
/// How a process ended.
pub(super) struct Exit {
    pub(super) code: Option<u8>,
    pub(super) signal: Option<u8>,
    /// Whether somebody could say how; where not, it has neither status nor signal.
    pub(super) is_known: bool,
    /// KiB.
    pub(super) peak: u64,
    pub(super) at: u64,
}

impl Supervisor {
    /// Starts an element, in a worker where there is one. Returns whether it could be written down which
    /// process runs it; where not, it was not started. An error says why it could not be started.
    pub(super) fn start(&mut self, job: u64, index: u32) -> Result<bool, String> {
        let now = clock::now().mono;
        let Some(request) = self.queue.job(job).map(|job| &job.request) else {
            return Ok(true);
        };
        if !log::is_served(request) {
            let number = self.launch(job, Part::Element(index))?;
            self.assign(number, job, index, now);
            return Ok(true);
        }
        let mut is_fresh = false;
        while !is_fresh {
            let number = if let Some(number) = self.idle_worker(job) {
                number
            } else {
                is_fresh = true;
                self.launch(job, Part::Worker)?
            };
            reach("supervisor/record-hand-over");
            if let Err(error) = self.log.assign(number, index, now) {
                self.is_stuck(&error);
                self.idle.entry(job).or_default().push(number);
                return Ok(false);
            }
            if self.hand_over(number, index) {
                self.assign(number, job, index, now);
                return Ok(true);
            }
            self.dismiss(number);
        }
        Err("the worker closed its standard input".to_owned())
    }

    fn assign(&mut self, number: u64, job: u64, index: u32, now: u64) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.current = Some((index, now));
            process.usage.begin();
            // Not at once: most of what is short would be measured for nothing, and twice.
            self.measure_at = self.measure_at.min(now + process.usage.pause());
            self.running.insert((job, index), number);
        }
    }

    fn launch(&mut self, job: u64, part: Part) -> Result<u64, String> {
        let number = self.next_process;
        let mark = mark(&self.instance, number);
        let id = ids::job_id(&self.instance, job);
        let marks = Marks {
            directory: &self.location.directory,
            job: id.as_str(),
            mark: &mark,
        };
        let request = &self.queue.job(job).ok_or("the job is gone")?.request;
        reach("supervisor/spawn");
        let mut child = spawn(request, part, &marks)?;
        reach("supervisor/record-process");
        self.next_process += 1;
        let worker = match part {
            Part::Element(_) => None,
            Part::Worker => match connect(&mut child, number, &self.events) {
                Ok(worker) => Some(worker),
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("could not open the pipes to a worker: {error}"));
                }
            },
        };
        let id = child.id();
        // A child that has ended already still has its start time: it is not waited for before.
        if let Some(started) = tree::start_time(id) {
            let current = match part {
                Part::Element(index) => Some((index, clock::now().mono)),
                Part::Worker => None,
            };
            let past = PastProcess {
                id,
                started,
                job,
                is_worker: worker.is_some(),
                current,
                exit: None,
            };
            self.log.process(number, &past);
        }
        if let Err(error) = self.log.flush() {
            self.is_stuck(&error);
        }
        let usage = self.limit(job, &mark, id);
        let process = Process {
            job,
            id,
            mark,
            usage,
            current: None,
            answer: None,
            worker,
            is_mistrusted: false,
            adopted: None,
            exit: None,
            kill_at: None,
        };
        self.processes.insert(number, process);
        Ok(number)
    }
}
