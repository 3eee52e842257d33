//! Whether the kernel has killed for want of memory.

use std::path::PathBuf;

use fs_err as fs;

/// The kernel's count of processes that it killed in our memory control group: a batch system puts each
/// job in one of its own.
///
/// The exit status of a body says nothing about it: where the kernel kills a child of a script, the script
/// may end in any way (Slurm 22.05 with `task/cgroup`: 137, 1, and 0 were seen).
#[derive(Debug)]
pub(super) struct OutOfMemory {
    file: Option<PathBuf>,
    seen: u64,
}

impl OutOfMemory {
    /// Begins to count.
    pub(super) fn watch() -> Self {
        let file = fs::read_to_string("/proc/self/cgroup")
            .ok()
            .and_then(|text| counter(&text));
        let mut watch = Self { file, seen: 0 };
        watch.seen = watch.count();
        watch
    }

    /// Returns whether the kernel has killed since it was last asked.
    pub(super) fn has_killed(&mut self) -> bool {
        let count = self.count();
        let is_more = count > self.seen;
        self.seen = count;
        is_more
    }

    fn count(&self) -> u64 {
        let text = self
            .file
            .as_ref()
            .and_then(|file| fs::read_to_string(file).ok());
        text.as_deref().map_or(0, kills)
    }
}

/// Returns the file with the count, for the content of `/proc/self/cgroup` (`cgroups(7)`).
fn counter(text: &str) -> Option<PathBuf> {
    let mut unified = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if controllers.split(',').any(|it| it == "memory") {
            let directory = format!("/sys/fs/cgroup/memory{path}");
            return Some(PathBuf::from(directory).join("memory.oom_control"));
        }
        if number == "0" && controllers.is_empty() {
            let directory = format!("/sys/fs/cgroup{path}");
            unified = Some(PathBuf::from(directory).join("memory.events"));
        }
    }
    unified
}

/// Returns the count in `memory.oom_control` (version 1) or `memory.events` (version 2).
fn kills(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_that_of_our_own_group() {
        let first = "11:pids:/a\n4:memory:/slurm_c1/uid_0/job_9564/step_batch/task_0\n0::/x\n";
        let expected =
            "/sys/fs/cgroup/memory/slurm_c1/uid_0/job_9564/step_batch/task_0/memory.oom_control";
        assert_eq!(counter(first), Some(PathBuf::from(expected)));
        let second = "0::/system.slice/job_7/step_batch\n";
        let expected = "/sys/fs/cgroup/system.slice/job_7/step_batch/memory.events";
        assert_eq!(counter(second), Some(PathBuf::from(expected)));
        assert_eq!(counter("garbage\n"), None);
    }

    #[test]
    fn both_forms_of_the_file_are_read() {
        // Version 1, Slurm 22.05 on Linux 6; version 2 as in the kernel's `cgroup-v2.rst`.
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(kills(events), 2);
        assert_eq!(kills(""), 0);
    }
}
