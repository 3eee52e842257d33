//! How processes end, and that nothing of them is left.

use reflow_core::fault::reach;
use reflow_core::scheduler::EndReason;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::process::{Exit, Process};
use super::run::Supervisor;
use crate::clock;
use crate::element::End;
use crate::{exits, tree};

/// How often a process is looked at that an earlier supervisor started, in milliseconds.
const ADOPTED_LOOK: u64 = 100;

/// What is said of the end of an element that nobody saw.
pub(super) const UNKNOWN_END: &str =
    "the supervisor was killed while it ran, so that how it ended is not known";

/// How often a process is looked at that has to end, in milliseconds.
const LOOK: u64 = 20;

impl Supervisor {
    /// Ends a running element: asks now, kills later.
    pub(super) fn kill(&mut self, job: u64, index: u32) {
        if let Some(&number) = self.running.get(&(job, index)) {
            let now = clock::now().mono;
            self.end_process(number, now);
        }
    }

    pub(super) fn end_process(&mut self, number: u64, now: u64) {
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
        reach("supervisor/signal");
        if process.worker.is_some() && process.exit.is_none() {
            tree::send(process.id, signal);
        } else {
            for id in tree::with_descendants(&self.roots(process)) {
                tree::send(id, signal);
            }
        }
    }

    /// Returns the process, if it is left, and the orphans that bear its mark.
    pub(super) fn roots(&self, process: &Process) -> Vec<u32> {
        let mut roots = self.orphans(process);
        if process.exit.is_none() {
            roots.push(process.id);
        }
        roots
    }

    fn orphans(&self, process: &Process) -> Vec<u32> {
        if process.adopted.is_some() {
            return self.adopted_orphans(process);
        }
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

    /// Returns what is left of a process that an earlier supervisor started: no children of this one.
    fn adopted_orphans(&self, process: &Process) -> Vec<u32> {
        let mut orphans = tree::marked(|mark| mark == process.mark.as_bytes());
        if let Some((watcher, _)) = self.watcher {
            let inherited = tree::children(watcher).into_iter();
            orphans.extend(inherited.filter(|id| tree::group(*id) == Some(process.id)));
        }
        orphans.retain(|id| *id != process.id && !tree::is_zombie(*id));
        orphans
    }

    /// Looks whether processes that an earlier supervisor started have ended.
    pub(super) fn look_after_adopted(&mut self, now: u64) {
        if now < self.adopted_at {
            return;
        }
        self.adopted_at = u64::MAX;
        let reaper = self.watcher.map(|(id, _)| id);
        let mut ended = Vec::new();
        for (&number, process) in &self.processes {
            let (Some(started), None) = (process.adopted, process.exit) else {
                continue;
            };
            self.adopted_at = now + ADOPTED_LOOK;
            if !tree::is_there(process.id, started, reaper) {
                ended.push((number, (process.id, started)));
            }
        }
        if ended.is_empty() {
            return;
        }
        let exits = exits::read(&self.location.exits());
        for (number, id) in ended {
            let exit = exits.get(&id);
            if let Some(process) = self.processes.get_mut(&number) {
                process.exit = Some(Exit {
                    code: exit.and_then(|exit| exit.code),
                    signal: exit.and_then(|exit| exit.signal),
                    is_known: exit.is_some(),
                    peak: 0,
                    at: now,
                });
            }
            self.look(number);
        }
    }

    /// Returns whether an orphan came from `process`: it says so, or it hides where it came from and is
    /// still in the group of `process`, or `process` is the only one left that can have started it.
    fn is_of(&self, orphan: u32, process: &Process) -> bool {
        match tree::mark(orphan) {
            Some(mark) => mark == process.mark.as_bytes(),
            None => tree::group(orphan) == Some(process.id) || self.processes.len() == 1,
        }
    }

    /// Waits for those that have ended, once it is written down how: until then, whoever comes after this
    /// process can see it too.
    pub(super) fn reap(&mut self) {
        self.reap_orphans();
        let mut ended = Vec::new();
        // As many calls as there are processes, which are as few as there are cores.
        for (&number, process) in &self.processes {
            let is_ours = process.exit.is_none() && process.adopted.is_none();
            let id = i32::try_from(process.id).ok().and_then(Pid::from_raw);
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if is_ours
                && let Some(id) = id
                && let Ok(Some(status)) = waitid(WaitId::Pid(id), look)
            {
                let code = status.exit_status().map(|code| code as u8);
                let signal = status.terminating_signal().map(|signal| signal as u8);
                self.log.exited(number, code, signal);
                ended.push((number, process.id, code, signal));
            }
        }
        if ended.is_empty() {
            return;
        }
        reach("supervisor/record-exit");
        if let Err(error) = self.log.flush() {
            self.is_stuck(&error);
            return;
        }
        let at = clock::now().mono;
        for (number, id, code, signal) in ended {
            reach("supervisor/reap");
            let usage = wait4::try_wait4_pid(id).ok().flatten();
            if let Some(process) = self.processes.get_mut(&number) {
                process.exit = Some(Exit {
                    code,
                    signal,
                    is_known: true,
                    peak: usage.map_or(0, |usage| usage.rusage.maxrss >> 10),
                    at,
                });
            }
            self.look(number);
        }
    }

    /// Waits for orphans that have ended.
    fn reap_orphans(&mut self) {
        for id in tree::own_children() {
            let is_known = self
                .processes
                .values()
                .any(|process| process.id == id && process.exit.is_none());
            if !is_known
                && tree::is_zombie(id)
                && let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw)
            {
                let _ = waitid(
                    WaitId::Pid(id),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
        }
    }

    /// Looks whether a process and all that it started have ended, and kills what should have.
    pub(super) fn look(&mut self, number: u64) {
        let now = clock::now().mono;
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let Some(exit) = process.exit else {
            if process.kill_at.is_some_and(|at| at <= now) {
                reach("supervisor/kill");
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
                reach("supervisor/kill-left");
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
        let verdict = process.usage.verdict(process.kill_at.is_some());
        process.usage.end();
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
        let now = clock::now();
        let is_worker = process.worker.is_some();
        let code = match (is_worker, process.answer) {
            (true, answer @ Some(_)) => answer,
            // It did not answer, so its own exit status says nothing good about the element.
            (true, None) => exit.code.filter(|code| *code != 0),
            (false, _) => exit.code,
        };
        let is_unknown =
            process.adopted.is_some() && process.answer.is_none() && (is_worker || !exit.is_known);
        if is_unknown && process.kill_at.is_none() {
            self.log.note(job, index, UNKNOWN_END);
            self.queue.note(job, index, UNKNOWN_END.to_owned());
        } else if is_worker && process.answer.is_none() && process.kill_at.is_none() {
            let text = "the worker ended without an answer";
            self.log.note(job, index, text);
            self.queue.note(job, index, text.to_owned());
        }
        let mut end = End {
            code,
            signal: if code.is_some() { None } else { exit.signal },
            elapsed: now.mono.saturating_sub(since),
            peak: if is_worker { 0 } else { exit.peak },
            ..End::without_status(reason(code), now.wall)
        };
        self.judge_memory(job, index, verdict, &mut end);
        if is_unknown {
            (end.reason, end.code, end.signal) = (EndReason::Lost, None, None);
        }
        self.queue.ended(now, job, index, end);
    }
}

/// Returns what an exit status says.
pub(super) fn reason(code: Option<u8>) -> EndReason {
    if code == Some(0) {
        EndReason::Completed
    } else {
        EndReason::Failed
    }
}
