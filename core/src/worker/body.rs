use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use wait4::Wait4;

use super::environment::Variables;
use super::launch::{Launcher, Started};
use super::logs::{Logs, Which};

/// Longest standard output that is read as a value.
const MOST_OUTPUT: usize = 256 << 20;
/// How often a child is looked at on kernels before 5.3, which have no process descriptors.
const LOOK: Duration = Duration::from_millis(20);
/// How long the signals that end a job may lie apart.
const SIGNALS_APART: Duration = Duration::from_millis(200);

/// How a body ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// Whether its end was asked for by a signal to this worker.
    pub(super) interrupted: bool,
    pub(super) stdout: Vec<u8>,
    /// Whether standard output was longer than what is read as a value.
    pub(super) is_cut: bool,
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    /// Peak memory of its largest process, in KiB.
    pub(super) peak_kib: u64,
}

/// Runs one body in a process group of its own and waits for its end.
///
/// Its output goes to the logs; what is left of its group at its end is killed. A termination signal to
/// this worker, seen on `stop`, is passed on to the group.
pub(super) fn run(
    launcher: &mut Launcher,
    argv: &[String],
    directory: &Path,
    variables: &Variables,
    logs: &mut Logs,
    stop: Option<&OwnedFd>,
) -> io::Result<Ended> {
    let started = Instant::now();
    let Started { child, out, err } = launcher.start(argv, directory, variables)?;
    let mut body = Body {
        child,
        out: Some(out),
        err: Some(err),
        stdout: Vec::new(),
        is_cut: false,
    };
    let mut interrupted = body.wait(logs, stop)?;
    crate::fault::reach("worker/body-ended");
    let usage = body.child.wait4()?;
    let by_signal =
        usage.status.signal().is_some() || usage.status.code().is_some_and(|code| code > 128);
    if by_signal && !interrupted {
        // Batch systems signal all processes of a job, one after the other: the body may have been first.
        interrupted = is_stopped_soon(stop)?;
    }
    Ok(Ended {
        code: usage.status.code(),
        signal: usage.status.signal(),
        interrupted,
        stdout: body.stdout,
        is_cut: body.is_cut,
        wall: started.elapsed(),
        cpu: usage.rusage.utime + usage.rusage.stime,
        peak_kib: usage.rusage.maxrss >> 10,
    })
}

struct Body {
    child: Child,
    out: Option<PipeReader>,
    err: Option<PipeReader>,
    stdout: Vec<u8>,
    is_cut: bool,
}

impl Body {
    /// Copies output until the child has ended, then kills what is left of its group. Does not reap the
    /// child, so that its group cannot be another's by then.
    fn wait(&mut self, logs: &mut Logs, stop: Option<&OwnedFd>) -> io::Result<bool> {
        let pid = Pid::from_child(&self.child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        let mut stop = stop;
        let mut interrupted = false;
        loop {
            let mut polled = Vec::with_capacity(4);
            if let Some(pidfd) = &pidfd {
                polled.push(PollFd::new(pidfd, PollFlags::IN));
            }
            if let Some(stop) = stop {
                polled.push(PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN));
            }
            for pipe in [&self.out, &self.err].into_iter().flatten() {
                polled.push(PollFd::new(pipe, PollFlags::IN));
            }
            let timeout = if pidfd.is_none() {
                Timespec::try_from(LOOK).ok()
            } else {
                None
            };
            match poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = |position: usize| {
                polled
                    .get(position)
                    .is_some_and(|fd| !fd.revents().is_empty())
            };
            let has_ended = match &pidfd {
                Some(_) => ready(0),
                None => has_ended(pid)?,
            };
            let is_stopped = stop.is_some() && ready(usize::from(pidfd.is_some()));
            drop(polled);
            self.copy(logs)?;
            if is_stopped {
                // Only once: the descriptor stays readable, so that nothing is started after this.
                stop = None;
                interrupted = true;
                let _ = kill_process_group(pid, Signal::TERM);
            }
            if has_ended {
                // Nobody is left to kill where the whole group has ended.
                let _ = kill_process_group(pid, Signal::KILL);
                self.copy(logs)?;
                return Ok(interrupted);
            }
        }
    }

    fn copy(&mut self, logs: &mut Logs) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        for (pipe, which) in [(&mut self.out, Which::Out), (&mut self.err, Which::Err)] {
            let Some(reader) = pipe else { continue };
            let is_at_end = loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break true,
                    Ok(count) => {
                        logs.write(which, &buffer[..count])?;
                        if which == Which::Out {
                            if self.stdout.len() + count <= MOST_OUTPUT {
                                self.stdout.extend_from_slice(&buffer[..count]);
                            } else {
                                self.is_cut = true;
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            };
            if is_at_end {
                *pipe = None;
            }
        }
        Ok(())
    }
}

/// Returns whether a termination signal has come to this worker, or comes within [`SIGNALS_APART`].
fn is_stopped_soon(stop: Option<&OwnedFd>) -> io::Result<bool> {
    let Some(stop) = stop else { return Ok(false) };
    let deadline = Instant::now() + SIGNALS_APART;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)];
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns whether a child has ended, without reaping it.
fn has_ended(pid: Pid) -> io::Result<bool> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}
