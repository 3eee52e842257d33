//! Memory control groups, of both versions, where this process may make them.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::capacity;

/// What the names of groups start with.
const PREFIX: &str = "reflow-";

/// The group of supervisors themselves, where they have to leave their own.
const LEAF: &str = "reflow-supervisor";

/// The group that those of processes are made in.
#[derive(Debug)]
pub(crate) struct Groups {
    directory: PathBuf,
    is_v2: bool,
}

/// The group of one process and all that it starts.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    is_v2: bool,
    /// How often the kernel had killed for memory when the present element began.
    killed_before: u64,
}

impl Groups {
    /// Returns whether groups can be made from where this process is.
    pub(crate) fn are_possible() -> bool {
        let Some((directory, is_v2)) = home() else {
            return false;
        };
        access(&directory, Access::WRITE_OK).is_ok()
            && (!is_v2 || hands_on(&directory) || has_only(&directory, &[std::process::id()]))
    }

    /// Makes a group for those of a supervisor, in the group of this process; none where that is not
    /// possible. `watcher` is moved with this process, where it has to be.
    pub(crate) fn make(instance: &str, watcher: Option<u32>) -> Option<Self> {
        let (own, is_v2) = home()?;
        if is_v2 && !hands_on(&own) {
            hand_on(&own, watcher)?;
        }
        let directory = own.join(format!("{PREFIX}{instance}"));
        make(&directory)?;
        if is_v2 {
            write(&directory.join("cgroup.subtree_control"), "+memory")?;
        }
        let groups = Self { directory, is_v2 };
        groups.sweep();
        Some(groups)
    }

    /// Puts a process into a group of its own that may use `limit` bytes.
    pub(crate) fn put(&self, name: &str, process: u32, limit: u64) -> Option<Group> {
        let group = self.group(name);
        make(&group.directory)?;
        let limit = limit.to_string();
        let is_in = if self.is_v2 {
            let _ = write(&group.directory.join("memory.swap.max"), "0");
            write(&group.directory.join("memory.max"), &limit)
        } else {
            let limited = write(&group.directory.join("memory.limit_in_bytes"), &limit);
            // Not where swap is not counted.
            let _ = write(&group.directory.join("memory.memsw.limit_in_bytes"), &limit);
            limited
        }
        .and_then(|()| write(&group.directory.join("cgroup.procs"), &process.to_string()));
        if is_in.is_none() {
            group.remove();
        }
        is_in.map(|()| group)
    }

    /// Returns the group that an earlier supervisor put a process into.
    pub(crate) fn found(&self, name: &str) -> Option<Group> {
        let group = self.group(name);
        group.directory.is_dir().then_some(group)
    }

    fn group(&self, name: &str) -> Group {
        Group {
            directory: self.directory.join(name),
            is_v2: self.is_v2,
            killed_before: 0,
        }
    }

    /// Removes what supervisors of that name have left, where nothing runs in it.
    pub(crate) fn clean(instance: &str) {
        if let Some((own, is_v2)) = home() {
            let directory = own.join(format!("{PREFIX}{instance}"));
            // Gone with the value.
            drop(Self { directory, is_v2 });
        }
    }

    /// Removes groups that nothing runs in any more.
    fn sweep(&self) {
        let Ok(entries) = fs_err::read_dir(&self.directory) else {
            return;
        };
        for entry in entries.flatten() {
            // Fails for files, and where something runs.
            let _ = fs_err::remove_dir(entry.path());
        }
    }
}

impl Drop for Groups {
    /// Removes them all, where nothing runs in them.
    fn drop(&mut self) {
        self.sweep();
        let _ = fs_err::remove_dir(&self.directory);
    }
}

/// Returns whether the kernel has killed for memory in the group that an earlier supervisor made for a
/// process, which may have ended.
pub(crate) fn has_killed(instance: &str, name: &str) -> bool {
    home().is_some_and(|(own, is_v2)| {
        let directory = own.join(format!("{PREFIX}{instance}")).join(name);
        let group = Group {
            directory,
            is_v2,
            killed_before: 0,
        };
        group.has_killed()
    })
}

impl Group {
    /// Takes in that another element begins.
    pub(crate) fn begin(&mut self) {
        self.killed_before = self.kills();
    }

    /// Returns whether the kernel has killed for memory since the element began.
    pub(crate) fn has_killed(&self) -> bool {
        self.kills() > self.killed_before
    }

    fn kills(&self) -> u64 {
        let (file, key) = if self.is_v2 {
            ("memory.events", "oom_kill ")
        } else {
            ("memory.oom_control", "oom_kill ")
        };
        read(&self.directory.join(file))
            .and_then(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                line.trim().parse().ok()
            })
            .unwrap_or(0)
    }

    /// Removes it, where nothing runs in it any more.
    pub(crate) fn remove(&self) {
        let _ = fs_err::remove_dir(&self.directory);
    }
}

/// Returns the group to make others in, and whether it is of the second version.
fn home() -> Option<(PathBuf, bool)> {
    let (mut directory, is_v2) = capacity::own_group(&read)?;
    if directory.file_name().is_some_and(|name| name == LEAF) {
        directory.pop();
    }
    Some((directory, is_v2))
}

/// Has a group of the second version give its groups control of their memory. That can only be one without
/// processes of its own, so this process and its watcher move to a group below it; where others are there,
/// it cannot be done.
fn hand_on(directory: &Path, watcher: Option<u32>) -> Option<()> {
    let control = directory.join("cgroup.subtree_control");
    let mut ours = vec![std::process::id()];
    ours.extend(watcher);
    if has_only(directory, &ours) {
        let leaf = directory.join(LEAF);
        make(&leaf)?;
        for process in ours {
            write(&leaf.join("cgroup.procs"), &process.to_string())?;
        }
    }
    write(&control, "+memory")
}

/// Returns whether a group has no processes but these.
fn has_only(directory: &Path, processes: &[u32]) -> bool {
    read(&directory.join("cgroup.procs")).is_some_and(|text| {
        let mut found = text.lines().map(str::parse);
        found.all(|process| process.is_ok_and(|process: u32| processes.contains(&process)))
    })
}

/// Returns whether a group of the second version gives its groups control of their memory.
fn hands_on(directory: &Path) -> bool {
    read(&directory.join("cgroup.subtree_control"))
        .is_some_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"))
}

fn read(path: &Path) -> Option<String> {
    fs_err::read_to_string(path).ok()
}

fn write(path: &Path, text: &str) -> Option<()> {
    // Not created: where the file is missing, there is no such control.
    let file = fs_err::OpenOptions::new().write(true).open(path).ok()?;
    std::io::Write::write_all(&mut file.into_parts().0, text.as_bytes()).ok()
}

fn make(directory: &Path) -> Option<()> {
    match fs_err::create_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => None,
        _ => Some(()),
    }
}
