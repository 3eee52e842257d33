//! The parent of the supervisor, which starts it again when it is killed.
//!
//! It knows nothing of jobs, so there is nothing that it could lose. It inherits what a killed supervisor
//! ran, and writes down how that ends, for the next one.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use reflow_core::fault::reach;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, set_child_subreaper, setsid, waitid,
};
use tokio::signal::unix::{SignalKind, signal};

use super::start::lock;
use crate::exits::{self, PastExit};
use crate::location::{Location, io_error};
use crate::tree;

/// Set for the supervisor: the process that watches over it.
pub(super) const WATCHER_VARIABLE: &str = "REFLOW_LOCAL_WATCHER";

/// A supervisor that lived longer than this is started again at once.
const LONG: Duration = Duration::from_secs(1);

/// The longest pause before another start.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a supervisor is reminded that it was told to end.
const REMINDER: Duration = Duration::from_secs(1);

/// Returns the watcher of this process: its id and start time. None where this is to be the watcher.
#[expect(
    clippy::disallowed_methods,
    reason = "the watcher speaks to the supervisor that it starts through its environment"
)]
pub(super) fn own_watcher() -> Option<(u32, u64)> {
    let told: u32 = std::env::var(WATCHER_VARIABLE).ok()?.parse().ok()?;
    let parent = std::os::unix::process::parent_id();
    (told == parent).then_some((parent, tree::start_time(parent)?))
}

/// Runs supervisors in `location`, one after another, until one ends by itself.
pub(super) async fn watch(location: &Location) -> Result<(), SchedulerError> {
    reach("watcher/lock");
    // Held to the end of the process.
    let Some(_lock) = lock(&location.watch())? else {
        return Ok(());
    };
    // Fails where the process leads a group already: then it was detached by whoever started it.
    let _ = setsid();
    set_child_subreaper(Some(getpid())).map_err(|error| io_error(&error.into()))?;
    let mut deaths = signal(SignalKind::child()).map_err(|error| io_error(&error))?;
    let mut farewells = signal(SignalKind::terminate()).map_err(|error| io_error(&error))?;
    let mut reaper = Reaper::new(location)?;
    let mut is_told_to_end = false;
    let mut has_served = false;
    let mut quick_ends = 0u32;
    loop {
        reach("watcher/start");
        let begin = Instant::now();
        let mut child = start().map_err(|error| io_error(&error))?;
        let status = loop {
            tokio::select! {
                _ = deaths.recv() => {}
                _ = farewells.recv() => {
                    is_told_to_end = true;
                    tree::send(child.id(), Signal::TERM);
                }
                // Not at once: one that has only begun would be killed by it.
                () = tokio::time::sleep(REMINDER) => if is_told_to_end {
                    tree::send(child.id(), Signal::TERM);
                },
            }
            if let Some(status) = child.try_wait().map_err(|error| io_error(&error))? {
                break status;
            }
            reaper.reap(Some(child.id()));
        };
        if status.success() {
            return Ok(());
        }
        has_served |= begin.elapsed() >= LONG || status.signal().is_some();
        if !has_served || !location.check()? {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Io,
                format!("the supervisor ended with {status}"),
            ));
        }
        tracing::warn!("the supervisor ended with {status} and is started again");
        // Before the next one looks who is left.
        reaper.reap(None);
        if begin.elapsed() < LONG {
            let pause = Duration::from_millis(50) * 2u32.pow(quick_ends.min(8));
            quick_ends += 1;
            let end = Instant::now() + pause.min(LONGEST_PAUSE);
            while Instant::now() < end {
                tokio::select! {
                    _ = deaths.recv() => reaper.reap(None),
                    _ = farewells.recv() => is_told_to_end = true,
                    () = tokio::time::sleep(end.saturating_duration_since(Instant::now())) => {}
                }
            }
        } else {
            quick_ends = 0;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor outlives every call, and is this program with the same arguments"
)]
fn start() -> std::io::Result<Child> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(WATCHER_VARIABLE, std::process::id().to_string())
        .spawn()
}

/// Waits for what was inherited, and writes down how it ended.
#[derive(Debug)]
struct Reaper {
    exits: File,
    /// Whether the last line may have been cut short.
    is_cut: bool,
}

impl Reaper {
    fn new(location: &Location) -> Result<Self, SchedulerError> {
        let exits = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(location.exits())
            .map_err(|error| io_error(&error))?;
        Ok(Self {
            exits,
            is_cut: true,
        })
    }

    /// Waits for all that have ended, except the supervisor.
    fn reap(&mut self, supervisor: Option<u32>) {
        for process in tree::own_children() {
            if Some(process) == supervisor {
                continue;
            }
            if tree::is_zombie(process) && !self.take(process) {
                // It stays as it is until there is room for the line.
                break;
            }
        }
    }

    /// Writes down how a process ended, then waits for it. Returns whether it could.
    fn take(&mut self, process: u32) -> bool {
        let id = i32::try_from(process).ok().and_then(Pid::from_raw);
        let Some((id, started)) = id.zip(tree::start_time(process)) else {
            return true;
        };
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let Ok(Some(status)) = waitid(WaitId::Pid(id), ended | WaitIdOptions::NOWAIT) else {
            return true;
        };
        let exit = PastExit {
            code: status.exit_status().map(|code| code as u8),
            signal: status.terminating_signal().map(|signal| signal as u8),
            is_direct: tree::leads_group(process),
        };
        let mut line = exits::line(process, started, exit);
        if self.is_cut {
            line.insert(0, '\n');
        }
        reach("watcher/record-exit");
        self.is_cut = self.exits.write_all(line.as_bytes()).is_err();
        if self.is_cut {
            return false;
        }
        reach("watcher/reap");
        let _ = waitid(WaitId::Pid(id), ended);
        true
    }
}
