//! The processes of jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, Write};

use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, umask, wait};

use super::job::How;
use super::rules::Launch;

/// What makes a process the leader of a session; of util-linux.
const SETSID: &str = "/usr/bin/setsid";

/// Starts a process and returns its id.
pub(super) fn start(launch: &Launch) -> io::Result<u32> {
    // The server starts processes from one thread only, so that nothing else sees this.
    let before = umask(Mode::from_raw_mode(launch.umask));
    let started = start_with_umask(launch);
    umask(before);
    started
}

fn start_with_umask(launch: &Launch) -> io::Result<u32> {
    let stdout = output(&launch.stdout)?;
    let stderr = match &launch.stderr {
        Some(path) => output(path)?,
        None => stdout.try_clone()?,
    };
    let stdin = match &launch.stdin {
        Some(bytes) => input(bytes, &launch.stdout.with_extension("in"))?.into(),
        None => Stdio::null(),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the fake starts jobs, not clients"
    )]
    let mut command = Command::new(SETSID);
    command
        .arg(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(
            launch
                .environment
                .iter()
                .map(|(name, value)| (name.to_os(), value.to_os())),
        )
        .current_dir(&launch.directory)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    Ok(command.spawn()?.id())
}

/// Opens a file to append to, empty, since `=>> PBS: job killed` and others come in between.
fn output(path: &Path) -> io::Result<File> {
    fs::File::create(path)?;
    Ok(fs::OpenOptions::new()
        .append(true)
        .open(path)?
        .into_parts()
        .0)
}

/// Returns an open file without a name that holds `bytes`.
fn input(bytes: &[u8], path: &Path) -> io::Result<File> {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.rewind()?;
    fs::remove_file(path)?;
    Ok(file.into_parts().0)
}

/// Returns the processes that have ended, of jobs and of what they left behind.
pub(super) fn reap() -> Vec<(u32, How)> {
    let mut ended = Vec::new();
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => How::Exited(code),
            (None, Some(signal)) => How::Signalled(signal),
            (None, None) => continue,
        };
        ended.push((pid.as_raw_nonzero().get().cast_unsigned(), how));
    }
    ended
}

/// Sends a signal to every process of each of these sessions, and to their leaders.
pub(super) fn signal_sessions(signals: &BTreeMap<u32, i32>) {
    if signals.is_empty() {
        return;
    }
    let me = rustix::process::getpid()
        .as_raw_nonzero()
        .get()
        .cast_unsigned();
    for (&leader, &signal) in signals {
        // At its start it may not lead a session yet; after its end its number may be another's.
        if stat(leader).is_some_and(|(parent, _)| parent == me) {
            send(leader, signal);
        }
    }
    for process in processes() {
        // By getsid(2) it would be quicker, but rustix refuses the 0 of what has none.
        let session = stat(process).map(|(_, session)| session);
        if let Some(&signal) = session.and_then(|session| signals.get(&session))
            && Some(process) != session
        {
            send(process, signal);
        }
    }
}

/// Kills the children of this process, and what becomes its children by that, until there are none.
pub(super) fn end_children() {
    for _ in 0..200 {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let mine: Vec<u32> = processes()
            .into_iter()
            .filter(|process| {
                stat(*process).is_some_and(|(parent, _)| parent == me.cast_unsigned())
            })
            .collect();
        if mine.is_empty() {
            return;
        }
        for process in mine {
            send(process, 9);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        reap();
    }
}

/// Returns the bytes of memory that the processes of each session occupy together.
pub(super) fn memory(sessions: &BTreeSet<u32>) -> BTreeMap<u32, u64> {
    let mut used = BTreeMap::new();
    for process in processes() {
        if let Some((_, session)) = stat(process)
            && sessions.contains(&session)
        {
            *used.entry(session).or_default() += resident(process).unwrap_or(0);
        }
    }
    used
}

fn resident(process: u32) -> Option<u64> {
    let status = fs::read(format!("/proc/{process}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Returns the parent and the session of a process.
fn stat(process: u32) -> Option<(u32, u32)> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // `pid (name) state ppid pgrp session ...`; the name may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    Some((parent, fields.nth(1)?.parse().ok()?))
}

fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn send(process: u32, signal: i32) {
    // It may be gone, which is what is wanted.
    if let (Some(pid), Some(signal)) = (
        Pid::from_raw(process.cast_signed()),
        Signal::from_named_raw(signal),
    ) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process is there.
pub(super) fn is_alive(process: u32) -> bool {
    Pid::from_raw(process.cast_signed())
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

/// Returns the number of a signal from its number or name, with or without `SIG`.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..65).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    Some(match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ABRT" => 6,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        "CHLD" => 17,
        "CONT" => 18,
        "STOP" => 19,
        "TSTP" => 20,
        "XCPU" => 24,
        "XFSZ" => 25,
        _ => return None,
    })
}
