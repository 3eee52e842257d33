//! The end of elements: their processes, what is left of them, and their output.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::job::{Cause, ElementState, How, Outcome};
use super::process;
use super::rules::Delivered;
use super::text::Millis;

/// Between two attempts to deliver output, in milliseconds.
const AGAIN: Millis = 200;

impl Engine {
    /// Notes the processes that have ended.
    pub(super) fn reap(&mut self, now: Millis) {
        let mut sessions = BTreeMap::new();
        for (pid, how) in process::reap() {
            // Others are what jobs have left behind.
            let Some((number, position)) = self.by_process.remove(&pid) else {
                continue;
            };
            // What is being ended has until the last of its signals: a script that traps the first got it
            // when its child ended (OpenPBS 23.06.06), and the shell above it may end before.
            if self.signals.iter().any(|(_, process, _)| *process == pid) {
                self.leaderless.insert(pid);
            } else {
                sessions.insert(pid, 9);
            }
            self.exited(number, position, how, now);
        }
        process::signal_sessions(&sessions);
    }

    /// Notes the end of an element's process.
    pub(super) fn exited(&mut self, number: u64, position: usize, how: How, now: Millis) {
        let Some(job) = self.cluster.jobs.get_mut(&number) else {
            return;
        };
        let element = &mut job.elements[position];
        element.outcome = Some(Outcome {
            how,
            cause: element.stopping.clone(),
        });
        element.suspended = false;
        job.move_to(position, ElementState::Exiting, now);
        self.delivering.push((now, now, number, position));
    }

    /// Delivers the output of what has ended.
    pub(super) fn deliver(&mut self, now: Millis) {
        let patience = self.cluster.options.deliver_for.as_millis() as Millis;
        for (since, when, number, position) in std::mem::take(&mut self.delivering) {
            if now < when {
                self.delivering.push((since, when, number, position));
                continue;
            }
            let job = &self.cluster.jobs[&number];
            let given_up = now - since >= patience;
            let delivered = self.rules.deliver(&self.cluster, job, position, given_up);
            if delivered == Delivered::Later && !given_up {
                self.delivering.push((since, now + AGAIN, number, position));
                continue;
            }
            let cpus = job.submission.cpus.max(1);
            if let Some(job) = self.cluster.jobs.get_mut(&number) {
                job.elements[position].undelivered = delivered != Delivered::Done;
                job.move_to(position, ElementState::Ended, now);
            }
            self.cluster.running.remove(&(number, position));
            self.cluster.used = self.cluster.used.saturating_sub(cpus);
            self.ended(number);
        }
    }

    /// Begins to end a running element.
    pub(super) fn stop(&mut self, number: u64, position: usize, cause: &Cause, now: Millis) {
        let Some(job) = self.cluster.jobs.get_mut(&number) else {
            return;
        };
        let element = &mut job.elements[position];
        // Where nothing more follows at the time limit, somebody can still want its end.
        let is_urged = element.stopping == Some(Cause::Limit) && matches!(cause, Cause::Deleted(_));
        if element.state != ElementState::Running || element.stopping.is_some() && !is_urged {
            return;
        }
        let process = element.process;
        element.stopping = Some(cause.clone());
        job.changed = now;
        for step in self.rules.stop(&self.cluster, cause) {
            let when = now + step.after.as_millis() as Millis;
            self.signals.push((when, process, step.signal));
        }
    }
}
