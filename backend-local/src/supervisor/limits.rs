//! Memory limits: who uses more than it asked for is killed, and nobody else.

use reflow_core::fault::reach;
use reflow_core::scheduler::{EndReason, Memory};
use rustix::process::Signal;

use super::process::Process;
use super::run::Supervisor;
use crate::element::End;
use crate::memory::{self, Group, Groups};
use crate::settings::MemLimits;
use crate::{clock, tree};

/// How often memory is measured while something has a limit, in milliseconds.
const LOOK: u64 = 100;

/// How often it is measured otherwise, to tell how much was used.
const SLOW_LOOK: u64 = 1000;

/// How soon a slow measurement is made again that found nothing wrong, in milliseconds.
const CONFIRM: u64 = 1000;

/// How long a worker may take to write down what became of a body that used too much, in milliseconds.
const MEMORY_WAIT: u64 = 1000;

/// How soon control groups are tried again where they could not be made, in milliseconds.
const GROUPS_AGAIN: u64 = 10_000;

/// What is known of the memory of a process.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Bytes, for each element.
    limit: Option<u64>,
    /// The most that was seen of the present element, in bytes.
    peak: u64,
    group: Option<Group>,
    /// When a slow measurement may be made again, on the monotonic clock.
    confirm_at: u64,
}

/// What the memory of a process says about the end of an element.
#[derive(Debug)]
pub(super) struct MemoryVerdict {
    /// KiB.
    peak: u64,
    /// What there is to say where the kernel has killed for memory, and nobody else has.
    told: Option<String>,
}

impl Usage {
    /// Takes in that another element begins.
    pub(super) fn begin(&mut self) {
        self.peak = 0;
        self.confirm_at = 0;
        if let Some(group) = &mut self.group {
            group.begin();
        }
    }

    /// Returns how long until the next measurement, in milliseconds.
    pub(super) fn pause(&self) -> u64 {
        if self.limit.is_some() {
            LOOK
        } else {
            SLOW_LOOK
        }
    }

    fn has_killed(&self) -> bool {
        self.group.as_ref().is_some_and(Group::has_killed)
    }

    fn told(&self) -> String {
        let limit = self.limit.unwrap_or(0);
        // Where the kernel was first, all of it was in use.
        memory::told(self.peak.max(limit), limit)
    }

    /// Returns what there is to say at the end of the present element.
    pub(super) fn verdict(&self, is_being_ended: bool) -> MemoryVerdict {
        let has_killed = self.has_killed();
        let limit = self.limit.filter(|_| has_killed).unwrap_or(0);
        MemoryVerdict {
            peak: self.peak.max(limit) >> 10,
            told: (has_killed && !is_being_ended).then(|| self.told()),
        }
    }

    /// Takes in that nothing is left of the process.
    pub(super) fn end(&self) {
        if let Some(group) = &self.group {
            group.remove();
        }
    }
}

impl Supervisor {
    /// Has a process that was just started kept within the memory that its job asked for.
    pub(super) fn limit(&mut self, job: u64, mark: &str, process: u32) -> Usage {
        let limit = self.memory_of(job);
        let Some(bytes) = limit else {
            return Usage::default();
        };
        let now = clock::now().mono;
        if self.settings.mem_limits == MemLimits::Auto
            && self.groups.is_none()
            && now >= self.groups_at
        {
            reach("supervisor/make-groups");
            self.groups = Groups::make(&self.instance, self.watcher.map(|(id, _)| id));
            self.groups_at = now + GROUPS_AGAIN;
            if self.groups.is_some() {
                tracing::info!("memory limits are kept by control groups");
            }
        }
        reach("supervisor/limit");
        let groups = self.groups.as_ref();
        Usage {
            limit,
            group: groups.and_then(|groups| groups.put(mark, process, bytes)),
            ..Usage::default()
        }
    }

    /// Returns what is known of the memory of a process that an earlier supervisor started.
    pub(super) fn limited(&mut self, job: u64, mark: &str) -> Usage {
        if self.settings.mem_limits == MemLimits::Auto
            && self.groups.is_none()
            && self.memory_of(job).is_some()
        {
            self.groups = Groups::make(&self.instance, self.watcher.map(|(id, _)| id));
        }
        let groups = self.groups.as_ref();
        Usage {
            limit: self.memory_of(job),
            group: groups.and_then(|groups| groups.found(mark)),
            ..Usage::default()
        }
    }

    fn memory_of(&self, job: u64) -> Option<u64> {
        let memory = self.queue.job(job)?.request.resources.mem;
        memory
            .filter(|_| self.settings.mem_limits != MemLimits::Off)
            .map(Memory::bytes)
    }

    /// Measures what runs, and ends what uses too much.
    pub(super) fn measure(&mut self, now: u64) {
        if now < self.measure_at {
            return;
        }
        self.measure_at = u64::MAX;
        let mut found = Vec::new();
        for (&number, process) in &self.processes {
            if process.current.is_none() || process.exit.is_some() {
                continue;
            }
            self.measure_at = self.measure_at.min(now + process.usage.pause());
            found.push((number, memory::resident(&self.members(process))));
        }
        for (number, used) in found {
            self.judge_usage(number, used, now);
        }
    }

    /// Returns a process and all that it started.
    fn members(&self, process: &Process) -> Vec<u32> {
        tree::few_with_descendants(&self.roots(process))
    }

    fn judge_usage(&mut self, number: u64, used: u64, now: u64) {
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let limit = process.usage.limit.unwrap_or(u64::MAX);
        let mut used = used;
        let mut confirm_at = 0;
        if used > limit {
            if now < process.usage.confirm_at {
                return;
            }
            // What processes share was counted in each of them.
            let shared = memory::proportional(&self.members(process));
            used = shared.map_or(used, |shared| shared.min(used));
            confirm_at = now + CONFIRM;
        }
        let is_over = used > limit || process.usage.has_killed();
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        process.usage.confirm_at = confirm_at;
        process.usage.peak = process.usage.peak.max(used);
        let (job, told) = (process.job, process.usage.told());
        if let Some((index, _)) = process.current
            && process.kill_at.is_none()
            && is_over
        {
            self.log.note(job, index, &told);
            self.queue.note(job, index, told);
            self.queue.kill(job, index, EndReason::Memory);
            self.end_for_memory(number, now);
        }
    }

    /// Kills what a process has started at once, and itself if the memory is its own. A worker is told to
    /// end, so that it says what became of the body.
    fn end_for_memory(&mut self, number: u64, now: u64) {
        reach("supervisor/kill-for-memory");
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let at = now + MEMORY_WAIT.min(self.settings.kill_wait * 1000);
        process.kill_at = Some(at);
        self.looks.insert((at, number));
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let mut members = self.members(process);
        members.retain(|member| *member != process.id);
        let limit = process.usage.limit.unwrap_or(0);
        let is_its_own = members.is_empty() || memory::resident(&[process.id]) > limit / 2;
        if process.exit.is_none() {
            if is_its_own {
                tree::send(process.id, Signal::KILL);
            } else {
                tree::send(process.id, Signal::TERM);
                tree::send(process.id, Signal::CONT);
            }
        }
        for member in members {
            tree::send(member, Signal::KILL);
        }
    }

    /// Judges the end of an element once more: the kernel may have killed for memory what was run for it.
    pub(super) fn judge_memory(
        &mut self,
        job: u64,
        index: u32,
        verdict: MemoryVerdict,
        end: &mut End,
    ) {
        end.peak = end.peak.max(verdict.peak);
        if let Some(told) = verdict.told
            && end.reason == EndReason::Failed
        {
            end.reason = EndReason::Memory;
            self.log.note(job, index, &told);
            self.queue.note(job, index, told);
        }
    }
}
