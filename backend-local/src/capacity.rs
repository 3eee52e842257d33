//! What the machine has, as far as this process may use it.

use std::path::{Path, PathBuf};

use crate::queue::Needs;
use crate::settings::Settings;

/// Returns the cores and the memory to share out.
pub(crate) fn capacity(settings: &Settings) -> Needs {
    // Counts affinity and the quotas of control groups of both versions.
    let cpus = || std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
    let read = |path: &Path| fs_err::read_to_string(path).ok();
    Needs {
        cpus: settings.cpus.unwrap_or_else(cpus),
        memory: settings
            .mem
            .map_or_else(|| memory(&read), reflow_core::scheduler::Memory::bytes),
    }
}

/// Returns the bytes of memory of the machine, or of the control group where that is less.
fn memory(read: &dyn Fn(&Path) -> Option<String>) -> u64 {
    let machine = read(Path::new("/proc/meminfo"))
        .and_then(|text| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
        .map_or(u64::MAX, |kibibytes| kibibytes << 10);
    group_limit(read).map_or(machine, |limit| limit.min(machine))
}

/// Returns the directory of the memory control group of this process, and whether it is of the second
/// version.
pub(crate) fn own_group(read: &dyn Fn(&Path) -> Option<String>) -> Option<(PathBuf, bool)> {
    let found = own_groups(read)?;
    // Where both are there, one of them has the memory.
    let controls = |directory: &Path| {
        read(&directory.join("cgroup.controllers"))
            .is_some_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"))
    };
    found
        .into_iter()
        .find(|group| !group.is_v2 || controls(&group.directory))
        .map(|group| (group.directory, group.is_v2))
}

/// A control group around this process.
struct OwnGroup {
    directory: PathBuf,
    mount: PathBuf,
    is_v2: bool,
}

/// Returns the lowest memory limit of the control groups around this process.
fn group_limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut lowest: Option<u64> = None;
    for OwnGroup {
        mut directory,
        mount,
        is_v2,
    } in own_groups(read)?
    {
        let name = if is_v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        while directory.starts_with(&mount) {
            let limit = read(&directory.join(name)).and_then(|text| text.trim().parse().ok());
            if let Some(limit) = limit {
                lowest = Some(lowest.map_or(limit, |lowest: u64| lowest.min(limit)));
            }
            if !directory.pop() {
                break;
            }
        }
    }
    lowest
}

/// Returns the groups of this process that may control memory.
fn own_groups(read: &dyn Fn(&Path) -> Option<String>) -> Option<Vec<OwnGroup>> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|name| name == "memory") {
            continue;
        }
        let Some((root, mount)) = mounts.lines().find_map(|line| mount_of(line, is_v2)) else {
            continue;
        };
        // Inside a container the group is told from the machine's root, the mount from its own.
        let below = Path::new(group)
            .strip_prefix(&root)
            .unwrap_or(Path::new(""));
        found.push(OwnGroup {
            directory: mount.join(below),
            mount,
            is_v2,
        });
    }
    Some(found)
}

/// Returns the root and the mount point of a line of mountinfo that mounts memory control groups.
fn mount_of(line: &str, is_v2: bool) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let kind = after.next()?;
    let options = after.nth(1).unwrap_or_default();
    let is_it = if is_v2 {
        kind == "cgroup2"
    } else {
        kind == "cgroup" && options.split(',').any(|option| option == "memory")
    };
    let mut before = before.split(' ').skip(3);
    let (root, mount) = (before.next()?, before.next()?);
    is_it.then(|| (root.into(), mount.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn limit(files: &[(&str, &str)]) -> u64 {
        let files: HashMap<PathBuf, String> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        memory(&|path| files.get(path).cloned())
    }

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");

    #[test]
    fn without_control_groups_it_is_the_memory_of_the_machine() {
        assert_eq!(limit(&[MACHINE]), 16 << 20);
    }

    #[test]
    fn the_lowest_limit_around_the_process_counts() {
        let found = limit(&[
            MACHINE,
            ("/proc/self/cgroup", "0::/system.slice/job_7/step_0\n"),
            (
                "/proc/self/mountinfo",
                "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
            ),
            (
                "/sys/fs/cgroup/system.slice/job_7/step_0/memory.max",
                "max\n",
            ),
            ("/sys/fs/cgroup/system.slice/job_7/memory.max", "4194304\n"),
        ]);
        assert_eq!(found, 4 << 20);
    }

    #[test]
    fn the_first_version_is_read_inside_a_container_too() {
        let found = limit(&[
            MACHINE,
            (
                "/proc/self/cgroup",
                "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n",
            ),
            (
                "/proc/self/mountinfo",
                "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n"),
        ]);
        assert_eq!(found, 2 << 20);
    }

    #[test]
    fn no_limit_of_the_first_version_is_a_huge_number() {
        let found = limit(&[
            MACHINE,
            ("/proc/self/cgroup", "4:memory:/\n"),
            (
                "/proc/self/mountinfo",
                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);
        assert_eq!(found, 16 << 20);
    }
}
