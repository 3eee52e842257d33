//! Processes that serve many elements, one after another.

use std::io::Write;
use std::process::Child;
use std::time::Duration;

use reflow_core::fault::reach;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::ends::reason;
use super::process::Worker;
use super::run::{Event, Supervisor};
use super::spawn::pipes;
use crate::clock;
use crate::element::End;

/// How long a worker may be without work, in milliseconds.
const WORKER_PATIENCE: u64 = 2000;

/// How long a worker may take to end after its standard input was closed, in milliseconds.
const WORKER_FAREWELL: u64 = 10_000;

impl Supervisor {
    pub(super) fn idle_worker(&mut self, job: u64) -> Option<u64> {
        let workers = self.idle.get_mut(&job)?;
        let number = workers.pop();
        if workers.is_empty() {
            self.idle.remove(&job);
        }
        number
    }

    /// Writes an index to a worker.
    pub(super) fn hand_over(&mut self, number: u64, index: u32) -> bool {
        let worker = self.processes.get_mut(&number);
        let Some(stdin) = worker
            .and_then(|process| process.worker.as_mut())
            .and_then(|worker| worker.stdin.as_mut())
        else {
            return false;
        };
        reach("supervisor/hand-over");
        // Never blocks: the pipe holds no more than this one line.
        stdin.write_all(format!("{index}\n").as_bytes()).is_ok()
    }

    /// Closes a worker's standard input, so that it ends.
    pub(super) fn dismiss(&mut self, number: u64) {
        let now = clock::now().mono;
        if let Some(process) = self.processes.get_mut(&number)
            && let Some(worker) = &mut process.worker
        {
            reach("supervisor/dismiss");
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
        let now = clock::now().mono;
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

    /// Takes in what a worker said.
    pub(super) fn answered(&mut self, number: u64, answer: Result<(u32, u8), String>) {
        reach("supervisor/take-answer");
        let now = clock::now();
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
        let verdict = process.usage.verdict(false);
        if process.adopted.is_some() {
            // Nobody can hand it another index, and it ends by itself.
            self.dismiss(number);
        } else {
            self.idle.entry(job).or_default().push(number);
        }
        self.running.remove(&(job, index));
        let mut end = End {
            code: Some(code),
            elapsed: now.mono.saturating_sub(since),
            ..End::without_status(reason(Some(code)), now.wall)
        };
        self.judge_memory(job, index, verdict, &mut end);
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
}

/// Has the answers of a worker read that an earlier supervisor started, where it can still answer.
pub(super) fn reconnect(
    process: u32,
    number: u64,
    events: &mpsc::UnboundedSender<Event>,
) -> Worker {
    // Its end of the pipe is still there, and the other can be opened anew by way of it.
    let path = format!("/proc/{process}/fd/1");
    let stdout = pipe::OpenOptions::new().open_receiver(path).ok();
    let is_open = stdout.is_some();
    if let Some(stdout) = stdout {
        listen(stdout, number, events.clone());
    }
    Worker {
        stdin: None,
        is_open,
        idle_since: 0,
    }
}

fn listen(stdout: pipe::Receiver, number: u64, events: mpsc::UnboundedSender<Event>) {
    tokio::spawn(async move {
        let _ = read_answers(stdout, number, &events).await;
        let _ = events.send(Event::Closed(number));
    });
}

/// Takes the pipes to a worker, and has its answers read.
pub(super) fn connect(
    child: &mut Child,
    number: u64,
    events: &mpsc::UnboundedSender<Event>,
) -> std::io::Result<Worker> {
    let (stdin, stdout) = pipes(child).ok_or(std::io::ErrorKind::BrokenPipe)?;
    let stdout = pipe::Receiver::from_owned_fd(stdout)?;
    listen(stdout, number, events.clone());
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
