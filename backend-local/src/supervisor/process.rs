use std::fs::File;
use std::io::Write;
use std::process::Child;
use std::time::Duration;

use reflow_core::scheduler::EndReason;
use rustix::process::{Signal, WaitOptions, wait};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::run::{Event, Supervisor};
use super::spawn::{Marks, Part, pipes, spawn};
use crate::element::End;
use crate::{ids, tree};

/// How often a process is looked at that has to end, in milliseconds.
const LOOK: u64 = 20;

/// How long a worker may be without work, in milliseconds.
const WORKER_PATIENCE: u64 = 2000;

/// How long a worker may take to end after its standard input was closed, in milliseconds.
const WORKER_FAREWELL: u64 = 10_000;

/// A process that the supervisor started, until nothing is left of it and of what it started.
#[derive(Debug)]
pub(super) struct Process {
    job: u64,
    id: u32,
    mark: String,
    /// The element that it runs, and since when on the monotonic clock.
    current: Option<(u32, u64)>,
    /// The worker's answer, where its end is waited for before it counts.
    answer: Option<u8>,
    worker: Option<Worker>,
    /// Whether it has talked nonsense, so that nothing it says counts any more.
    is_mistrusted: bool,
    /// How it ended.
    exit: Option<Exit>,
    /// When it is killed, on the monotonic clock.
    kill_at: Option<u64>,
}

#[derive(Debug)]
struct Worker {
    /// Closed to make it end.
    stdin: Option<File>,
    /// Whether it can still answer.
    is_open: bool,
    idle_since: u64,
}

#[derive(Debug, Clone, Copy)]
struct Exit {
    code: Option<u8>,
    signal: Option<u8>,
    /// KiB.
    peak: u64,
    at: u64,
}

impl Supervisor {
    /// Starts an element, in a worker where there is one. An error says why it could not be.
    pub(super) fn start(&mut self, job: u64, index: u32) -> Result<(), String> {
        let now = self.clock.now().mono;
        let Some(request) = self.queue.job(job).map(|job| &job.request) else {
            return Ok(());
        };
        if !(request.command.serves_indices && request.array.is_some()) {
            let number = self.launch(job, Part::Element(index))?;
            self.assign(number, job, index, now);
            return Ok(());
        }
        while let Some(number) = self.idle_worker(job) {
            if self.hand_over(number, index) {
                self.assign(number, job, index, now);
                return Ok(());
            }
            self.dismiss(number);
        }
        let number = self.launch(job, Part::Worker)?;
        if self.hand_over(number, index) {
            self.assign(number, job, index, now);
            Ok(())
        } else {
            self.dismiss(number);
            Err("the worker closed its standard input".to_owned())
        }
    }

    fn assign(&mut self, number: u64, job: u64, index: u32, now: u64) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.current = Some((index, now));
            self.running.insert((job, index), number);
        }
    }

    fn idle_worker(&mut self, job: u64) -> Option<u64> {
        let workers = self.idle.get_mut(&job)?;
        let number = workers.pop();
        if workers.is_empty() {
            self.idle.remove(&job);
        }
        number
    }

    /// Writes an index to a worker.
    fn hand_over(&mut self, number: u64, index: u32) -> bool {
        let worker = self.processes.get_mut(&number);
        let Some(stdin) = worker
            .and_then(|process| process.worker.as_mut())
            .and_then(|worker| worker.stdin.as_mut())
        else {
            return false;
        };
        // Never blocks: the pipe holds no more than this one line.
        stdin.write_all(format!("{index}\n").as_bytes()).is_ok()
    }

    /// Closes a worker's standard input, so that it ends.
    fn dismiss(&mut self, number: u64) {
        let now = self.clock.now().mono;
        if let Some(process) = self.processes.get_mut(&number)
            && let Some(worker) = &mut process.worker
        {
            worker.stdin = None;
            let at = now + WORKER_FAREWELL;
            process.kill_at = Some(process.kill_at.map_or(at, |sooner| sooner.min(at)));
            self.looks.insert((at, number));
        }
    }

    /// Dismisses workers whose job has nothing left for them, or not for a while.
    pub(super) fn release_workers(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        let now = self.clock.now().mono;
        let mut dismissed = Vec::new();
        for (job, workers) in &mut self.idle {
            let has_work = self
                .queue
                .job(*job)
                .is_some_and(crate::queue::Job::has_pending);
            workers.retain(|number| {
                let idle_since = self
                    .processes
                    .get(number)
                    .and_then(|process| process.worker.as_ref())
                    .map_or(0, |worker| worker.idle_since);
                let keep = has_work && now < idle_since + WORKER_PATIENCE;
                if !keep {
                    dismissed.push(*number);
                }
                keep
            });
        }
        self.idle.retain(|_, workers| !workers.is_empty());
        for number in dismissed {
            self.dismiss(number);
        }
    }

    fn launch(&mut self, job: u64, part: Part) -> Result<u64, String> {
        let number = self.next_process;
        let mark = format!("{}-{number}", self.instance);
        let id = ids::job_id(&self.instance, job);
        let marks = Marks {
            directory: &self.location.directory,
            job: id.as_str(),
            mark: &mark,
        };
        let request = &self.queue.job(job).ok_or("the job is gone")?.request;
        let mut child = spawn(request, part, &marks)?;
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
        if let Some(started) = tree::start_time(id) {
            self.log.process(id, started);
        }
        let process = Process {
            job,
            id,
            mark,
            current: None,
            answer: None,
            worker,
            is_mistrusted: false,
            exit: None,
            kill_at: None,
        };
        self.processes.insert(number, process);
        Ok(number)
    }

    /// Takes in what a worker said.
    pub(super) fn answered(&mut self, number: u64, answer: Result<(u32, u8), String>) {
        let now = self.clock.now();
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        if process.is_mistrusted {
            return;
        }
        let job = process.job;
        let code = match (answer, process.current) {
            (Ok((index, code)), Some((current, _))) if index == current => code,
            (answer, current) => {
                process.is_mistrusted = true;
                if let Some((index, _)) = current {
                    let current = index;
                    let said = match answer {
                        Ok((index, code)) => format!("`{index} {code}` to index {current}"),
                        Err(line) => line,
                    };
                    let text = format!("the worker answered {said}");
                    self.log.note(job, index, &text);
                    self.queue.note(job, index, text);
                }
                self.end_process(number, now.mono);
                return;
            }
        };
        if process.kill_at.is_some() {
            // It counts when nothing of it is left.
            process.answer = Some(code);
            self.dismiss(number);
            return;
        }
        let Some((index, since)) = process.current.take() else {
            return;
        };
        if let Some(worker) = &mut process.worker {
            worker.idle_since = now.mono;
        }
        self.idle.entry(job).or_default().push(number);
        self.running.remove(&(job, index));
        let end = End {
            code: Some(code),
            elapsed: now.mono - since,
            ..End::without_status(reason(Some(code)), now.wall)
        };
        self.queue.ended(now, job, index, end);
    }

    /// Takes in that a worker will say nothing more.
    pub(super) fn closed(&mut self, number: u64) {
        if let Some(worker) = self
            .processes
            .get_mut(&number)
            .and_then(|process| process.worker.as_mut())
        {
            worker.is_open = false;
            self.look(number);
        }
    }

    /// Ends a running element: asks now, kills later.
    pub(super) fn kill(&mut self, job: u64, index: u32) {
        if let Some(&number) = self.running.get(&(job, index)) {
            let now = self.clock.now().mono;
            self.end_process(number, now);
        }
    }

    fn end_process(&mut self, number: u64, now: u64) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let at = now + self.settings.kill_wait * 1000;
        process.kill_at = Some(process.kill_at.map_or(at, |sooner| sooner.min(at)));
        self.looks.insert((at, number));
        self.signal(number, Signal::TERM);
        self.signal(number, Signal::CONT);
        self.look(number);
    }

    /// Sends the signal that was asked for ahead of the walltime.
    pub(super) fn warn(&mut self, job: u64, index: u32) {
        let name = self
            .queue
            .job(job)
            .and_then(|job| job.request.resources.signal.as_ref());
        if let Some(signal) = name.and_then(|signal| tree::signal(&signal.name))
            && let Some(&number) = self.running.get(&(job, index))
        {
            self.signal(number, signal);
        }
    }

    /// Sends a signal: to a worker alone, which passes it on, otherwise to all processes.
    fn signal(&self, number: u64, signal: Signal) {
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        if process.worker.is_some() && process.exit.is_none() {
            tree::send(process.id, signal);
        } else {
            for id in tree::with_descendants(&self.roots(process)) {
                tree::send(id, signal);
            }
        }
    }

    /// Returns the process, if it is left, and the orphans that bear its mark.
    fn roots(&self, process: &Process) -> Vec<u32> {
        let mut roots = self.orphans(process);
        if process.exit.is_none() {
            roots.push(process.id);
        }
        roots
    }

    fn orphans(&self, process: &Process) -> Vec<u32> {
        let mut children = tree::own_children();
        children.retain(|id| {
            let is_known = self
                .processes
                .values()
                .any(|known| known.id == *id && known.exit.is_none());
            !is_known && self.is_of(*id, process)
        });
        children
    }

    /// Returns whether an orphan came from `process`: it says so, or it hides where it came from and
    /// `process` is the only one left that can have started it.
    fn is_of(&self, orphan: u32, process: &Process) -> bool {
        match tree::mark(orphan) {
            Some(mark) => mark == process.mark.as_bytes(),
            None => self.processes.len() == 1,
        }
    }

    /// Waits for those that have ended.
    pub(super) fn reap(&mut self) {
        if self.processes.is_empty() {
            self.reap_orphans();
            return;
        }
        let mut ended = Vec::new();
        let now = self.clock.now().mono;
        for (&number, process) in &mut self.processes {
            if process.exit.is_some() {
                continue;
            }
            // As many calls as there are processes, which are as few as there are cores.
            if let Ok(Some(use_)) = wait4::try_wait4_pid(process.id) {
                use std::os::unix::process::ExitStatusExt;
                process.exit = Some(Exit {
                    code: use_.status.code().map(|code| code as u8),
                    signal: use_.status.signal().map(|signal| signal as u8),
                    peak: use_.rusage.maxrss >> 10,
                    at: now,
                });
                ended.push(number);
            }
        }
        self.reap_orphans();
        for number in ended {
            self.look(number);
        }
    }

    /// Waits for orphans that ended. A process of ours that ends in between is waited for here too.
    fn reap_orphans(&mut self) {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            let id = id.as_raw_nonzero().get() as u32;
            let at = self.clock.now().mono;
            let ours = self
                .processes
                .iter_mut()
                .find(|(_, process)| process.id == id && process.exit.is_none());
            if let Some((&number, process)) = ours {
                process.exit = Some(Exit {
                    code: status.exit_status().map(|code| code as u8),
                    signal: status.terminating_signal().map(|signal| signal as u8),
                    peak: 0,
                    at,
                });
                self.looks.insert((at, number));
            }
        }
    }

    /// Looks whether a process and all that it started have ended, and kills what should have.
    pub(super) fn look(&mut self, number: u64) {
        let now = self.clock.now().mono;
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let Some(exit) = process.exit else {
            if process.kill_at.is_some_and(|at| at <= now) {
                for id in tree::with_descendants(&self.roots(process)) {
                    tree::send(id, Signal::KILL);
                }
                self.looks.insert((now + LOOK, number));
            }
            return;
        };
        let left = self.orphans(process);
        if !left.is_empty() {
            // What a job leaves behind is killed, but one that is being cancelled has its time.
            if process.kill_at.is_none_or(|at| at <= now) {
                for id in tree::with_descendants(&left) {
                    tree::send(id, Signal::KILL);
                }
            }
            self.looks.insert((now + LOOK, number));
            return;
        }
        let may_answer = process.worker.as_ref().is_some_and(|worker| worker.is_open);
        if may_answer && now < exit.at + 1000 {
            self.looks.insert((now + LOOK, number));
            return;
        }
        self.finish(number, exit);
    }

    /// Takes in that nothing is left of a process.
    fn finish(&mut self, number: u64, exit: Exit) {
        let Some(process) = self.processes.remove(&number) else {
            return;
        };
        let job = process.job;
        if let Some(workers) = self.idle.get_mut(&job) {
            workers.retain(|worker| *worker != number);
            if workers.is_empty() {
                self.idle.remove(&job);
            }
        }
        let Some((index, since)) = process.current else {
            return;
        };
        self.running.remove(&(job, index));
        let now = self.clock.now();
        let is_worker = process.worker.is_some();
        let code = match (is_worker, process.answer) {
            (true, answer @ Some(_)) => answer,
            // It did not answer, so its own exit status says nothing good about the element.
            (true, None) => exit.code.filter(|code| *code != 0),
            (false, _) => exit.code,
        };
        if is_worker && process.answer.is_none() && process.kill_at.is_none() {
            let text = "the worker ended without an answer";
            self.log.note(job, index, text);
            self.queue.note(job, index, text.to_owned());
        }
        let end = End {
            code,
            signal: if code.is_some() { None } else { exit.signal },
            elapsed: now.mono - since,
            peak: if is_worker { 0 } else { exit.peak },
            ..End::without_status(reason(code), now.wall)
        };
        self.queue.ended(now, job, index, end);
    }
}

fn reason(code: Option<u8>) -> EndReason {
    if code == Some(0) {
        EndReason::Completed
    } else {
        EndReason::Failed
    }
}

/// Takes the pipes to a worker, and has its answers read.
fn connect(
    child: &mut Child,
    number: u64,
    events: &mpsc::UnboundedSender<Event>,
) -> std::io::Result<Worker> {
    let (stdin, stdout) = pipes(child).ok_or(std::io::ErrorKind::BrokenPipe)?;
    let stdout = pipe::Receiver::from_owned_fd(stdout)?;
    let events = events.clone();
    tokio::spawn(async move {
        let _ = read_answers(stdout, number, &events).await;
        let _ = events.send(Event::Closed(number));
    });
    Ok(Worker {
        stdin: Some(stdin.into()),
        is_open: true,
        idle_since: 0,
    })
}

/// Longest line that a worker says.
const LINE: usize = 64;

async fn read_answers(
    mut stdout: pipe::Receiver,
    number: u64,
    events: &mpsc::UnboundedSender<Event>,
) -> std::io::Result<()> {
    let mut buffer = [0; 4 * LINE];
    let mut length = 0;
    loop {
        let count = stdout.read(&mut buffer[length..]).await?;
        if count == 0 {
            return Ok(());
        }
        length += count;
        let mut from = 0;
        while let Some(end) = buffer[from..length].iter().position(|&byte| byte == b'\n') {
            let line = &buffer[from..from + end];
            from += end + 1;
            let answer = parse(line).ok_or_else(|| shown(line));
            if events.send(Event::Answered(number, answer)).is_err() {
                return Ok(());
            }
        }
        buffer.copy_within(from..length, 0);
        length -= from;
        if length == buffer.len() {
            let _ = events.send(Event::Answered(number, Err(shown(&buffer[..LINE]))));
            // What follows is read so that it is not stuck, and thrown away.
            length = 0;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn parse(line: &[u8]) -> Option<(u32, u8)> {
    let (index, code) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((index.parse().ok()?, code.trim_end().parse().ok()?))
}

fn shown(line: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(line).escape_debug())
}
