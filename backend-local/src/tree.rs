//! Processes and what they started, found in `/proc`.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, kill_process};

/// Set for each process that a supervisor starts, and so for everything started by it.
pub(crate) const MARK_VARIABLE: &str = "REFLOW_LOCAL_PROCESS";

/// Returns the signal of that name, without `SIG`.
pub(crate) fn signal(name: &str) -> Option<Signal> {
    Some(match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "ALRM" => Signal::ALARM,
        "TERM" => Signal::TERM,
        "CONT" => Signal::CONT,
        "STOP" => Signal::STOP,
        "XCPU" => Signal::XCPU,
        "URG" => Signal::URG,
        "WINCH" => Signal::WINCH,
        _ => return None,
    })
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    group: u32,
    session: u32,
    is_zombie: bool,
    /// In ticks since the start of the machine: with the id, it names a process for good.
    started: u64,
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs_err::read(format!("/proc/{process}/stat")).ok()?;
    // The name of the program is in parentheses and may hold anything.
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = text.split(' ');
    let state = fields.next()?;
    Some(Stat {
        is_zombie: state == "Z" || state == "X",
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        started: fields.nth(15)?.parse().ok()?,
    })
}

/// Returns when a process was started, in ticks since the start of the machine.
pub(crate) fn start_time(process: u32) -> Option<u64> {
    stat(process).map(|stat| stat.started)
}

/// Returns whether the process that was started then is still there: it runs, or it is a child of
/// `reaper` that is still to be waited for.
pub(crate) fn is_there(process: u32, started: u64, reaper: Option<u32>) -> bool {
    stat(process).is_some_and(|stat| {
        stat.started == started && (!stat.is_zombie || Some(stat.parent) == reaper)
    })
}

/// Returns whether a process has ended and is still to be waited for.
pub(crate) fn is_zombie(process: u32) -> bool {
    stat(process).is_some_and(|stat| stat.is_zombie)
}

/// Returns whether a process leads a group of its own in the session of this process, as each that a
/// supervisor starts does.
pub(crate) fn leads_group(process: u32) -> bool {
    let session = stat(std::process::id()).map(|own| own.session);
    stat(process).is_some_and(|stat| stat.group == process && Some(stat.session) == session)
}

/// Returns the process group of a process.
pub(crate) fn group(process: u32) -> Option<u32> {
    stat(process).map(|stat| stat.group)
}

/// Returns the children of this process, those it took over included.
pub(crate) fn own_children() -> Vec<u32> {
    children(std::process::id())
}

/// Returns the children of a process, those it took over included.
pub(crate) fn children(process: u32) -> Vec<u32> {
    listed_children(process).unwrap_or_else(|| {
        let all = all().into_iter();
        all.filter(|(_, stat)| stat.parent == process)
            .map(|(child, _)| child)
            .collect()
    })
}

/// Returns the children as the kernel lists them, where it was built to.
fn listed_children(process: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs_err::read_dir(format!("/proc/{process}/task")).ok()? {
        let path = thread.ok()?.path().join("children");
        match fs_err::read_to_string(path) {
            Ok(text) => children.extend(
                text.split_ascii_whitespace()
                    .filter_map(|process| process.parse::<u32>().ok()),
            ),
            // A thread may end while it is looked at; what it had went to another.
            Err(_) => return None,
        }
    }
    Some(children)
}

/// Returns all processes.
fn all() -> HashMap<u32, Stat> {
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .filter_map(|entry| {
            let process = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((process, stat(process)?))
        })
        .collect()
}

/// Returns the mark that a process inherited; none where it hides its environment or is ending.
pub(crate) fn mark(process: u32) -> Option<Vec<u8>> {
    let environment = fs_err::read(format!("/proc/{process}/environ")).ok()?;
    environment.split(|&byte| byte == 0).find_map(|variable| {
        let value = variable.strip_prefix(MARK_VARIABLE.as_bytes())?;
        value.strip_prefix(b"=").map(<[u8]>::to_vec)
    })
}

/// Returns the processes below `roots`, themselves included, zombies left out. This process and its
/// parent are left out, with what is found by way of them: a job may have started its supervisor.
pub(crate) fn with_descendants(roots: &[u32]) -> Vec<u32> {
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    let all = all();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (&process, stat) in &all {
        children.entry(stat.parent).or_default().push(process);
    }
    let mut found: Vec<u32> = roots.to_vec();
    let mut next = 0;
    while next < found.len() {
        if let Some(more) = children.get(&found[next])
            && !own.contains(&found[next])
        {
            found.extend(more.iter().copied());
        }
        next += 1;
    }
    found.retain(|process| {
        all.get(process).is_some_and(|stat| !stat.is_zombie) && !own.contains(process)
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the processes of this user whose mark is as asked for, wherever they are.
pub(crate) fn marked(is_meant: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let own = std::process::id();
    all()
        .into_keys()
        .filter(|&process| process != own && mark(process).is_some_and(|mark| is_meant(&mark)))
        .collect()
}

/// Returns the same in a way that costs little while there are few of them; zombies may be among them.
pub(crate) fn few_with_descendants(roots: &[u32]) -> Vec<u32> {
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    let mut found: Vec<u32> = Vec::new();
    let mut left: Vec<u32> = roots.to_vec();
    while let Some(process) = left.pop() {
        if found.contains(&process) || own.contains(&process) {
            continue;
        }
        found.push(process);
        match listed_children(process) {
            Some(children) => left.extend(children),
            None if stat(process).is_some_and(|stat| !stat.is_zombie) => {
                return with_descendants(roots);
            }
            None => {}
        }
    }
    found
}

/// Sends a signal to a process that may be gone.
pub(crate) fn send(process: u32, signal: Signal) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_start_and_its_parent() {
        let own = std::process::id();
        let stat = stat(own).expect("we are running");
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        assert!(!stat.is_zombie);
        assert!(with_descendants(&[own, stat.parent]).is_empty());
        assert!(children(stat.parent).contains(&own));
        assert!(is_there(own, stat.started, None));
        assert!(!is_there(own, stat.started + 1, None));
        assert_eq!(mark(own), None);
    }

    #[test]
    fn signals_are_known_with_and_without_their_prefix() {
        assert_eq!(signal("USR1"), Some(Signal::USR1));
        assert_eq!(signal("SIGINT"), Some(Signal::INT));
        assert_eq!(signal("usr1"), None);
    }
}
