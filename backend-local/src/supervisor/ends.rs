//! How processes end, and that nothing of them is left.

use reflow_core::fault::reach;
use reflow_core::scheduler::EndReason;
use rustix::process::{Signal, WaitOptions, wait};

use super::process::{Exit, Process};
use super::run::Supervisor;
use crate::element::End;
use crate::tree;

/// How often a process is looked at that has to end, in milliseconds.
const LOOK: u64 = 20;

impl Supervisor {
    /// Ends a running element: asks now, kills later.
    pub(super) fn kill(&mut self, job: u64, index: u32) {
        if let Some(&number) = self.running.get(&(job, index)) {
            let now = self.clock.now().mono;
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
    fn roots(&self, process: &Process) -> Vec<u32> {
        let mut roots = self.orphans(process);
        if process.exit.is_none() {
            roots.push(process.id);
        }
        roots
    }

    fn orphans(&self, process: &Process) -> Vec<u32> {
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

    /// Returns whether an orphan came from `process`: it says so, or it hides where it came from and is
    /// still in the group of `process`, or `process` is the only one left that can have started it.
    fn is_of(&self, orphan: u32, process: &Process) -> bool {
        match tree::mark(orphan) {
            Some(mark) => mark == process.mark.as_bytes(),
            None => tree::group(orphan) == Some(process.id) || self.processes.len() == 1,
        }
    }

    /// Waits for those that have ended.
    pub(super) fn reap(&mut self) {
        reach("supervisor/reap");
        if self.processes.is_empty() {
            self.reap_orphans();
            return;
        }
        let mut ended = Vec::new();
        let now = self.clock.now().mono;
        for (&number, process) in &mut self.processes {
            if process.exit.is_some() {
                continue;
            }
            // As many calls as there are processes, which are as few as there are cores.
            if let Ok(Some(use_)) = wait4::try_wait4_pid(process.id) {
                use std::os::unix::process::ExitStatusExt;
                process.exit = Some(Exit {
                    code: use_.status.code().map(|code| code as u8),
                    signal: use_.status.signal().map(|signal| signal as u8),
                    peak: use_.rusage.maxrss >> 10,
                    at: now,
                });
                ended.push(number);
            }
        }
        self.reap_orphans();
        for number in ended {
            self.look(number);
        }
    }

    /// Waits for orphans that ended. A process of ours that ends in between is waited for here too.
    fn reap_orphans(&mut self) {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            let id = id.as_raw_nonzero().get() as u32;
            let at = self.clock.now().mono;
            let ours = self
                .processes
                .iter_mut()
                .find(|(_, process)| process.id == id && process.exit.is_none());
            if let Some((&number, process)) = ours {
                process.exit = Some(Exit {
                    code: status.exit_status().map(|code| code as u8),
                    signal: status.terminating_signal().map(|signal| signal as u8),
                    peak: 0,
                    at,
                });
                self.looks.insert((at, number));
            }
        }
    }

    /// Looks whether a process and all that it started have ended, and kills what should have.
    pub(super) fn look(&mut self, number: u64) {
        let now = self.clock.now().mono;
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
        let now = self.clock.now();
        let is_worker = process.worker.is_some();
        let code = match (is_worker, process.answer) {
            (true, answer @ Some(_)) => answer,
            // It did not answer, so its own exit status says nothing good about the element.
            (true, None) => exit.code.filter(|code| *code != 0),
            (false, _) => exit.code,
        };
        if is_worker && process.answer.is_none() && process.kill_at.is_none() {
            let text = "the worker ended without an answer";
            self.log.note(job, index, text);
            self.queue.note(job, index, text.to_owned());
        }
        let end = End {
            code,
            signal: if code.is_some() { None } else { exit.signal },
            elapsed: now.mono - since,
            peak: if is_worker { 0 } else { exit.peak },
            ..End::without_status(reason(code), now.wall)
        };
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
