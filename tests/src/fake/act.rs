//! What clients have done to jobs.

use std::time::Duration;

use super::engine::Engine;
use super::job::{Cause, ElementState};
use super::text::{Millis, now};
use super::wire::{Action, Failure, Target};

/// Something to be done in the background.
#[derive(Debug)]
pub(super) struct Late {
    when: Millis,
    targets: Vec<Target>,
    by: String,
    action: Action,
}

impl Engine {
    /// Does something to jobs, now or after a time, and says for each whether it can be done.
    pub(super) fn act(
        &mut self,
        targets: &[Target],
        by: &str,
        action: &Action,
        after: Duration,
    ) -> Vec<Result<(), Failure>> {
        if after.is_zero() {
            return targets
                .iter()
                .map(|target| self.act_on(target, by, action))
                .collect();
        }
        let results: Vec<_> = targets
            .iter()
            .map(|target| self.positions(target, by, action).map(|_| ()))
            .collect();
        self.late.push(Late {
            when: now() + after.as_millis() as Millis,
            targets: targets.to_vec(),
            by: by.to_owned(),
            action: action.clone(),
        });
        results
    }

    /// Does what was to be done in the background and is due.
    pub(super) fn carry_out_late(&mut self, now: Millis) {
        let (due, late): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.when <= now);
        self.late = late;
        for late in due {
            for target in &late.targets {
                // The client has been told already.
                let _ = self.act_on(target, &late.by, &late.action);
            }
        }
    }

    /// Returns the elements that something can be done to.
    fn positions(&self, target: &Target, by: &str, action: &Action) -> Result<Vec<usize>, Failure> {
        let job = self.cluster.known(target.job).ok_or(Failure::Unknown)?;
        let all: Vec<usize> = match &target.indices {
            None => (0..job.elements.len()).collect(),
            Some(indices) => indices
                .iter()
                .filter_map(|&index| job.position(index))
                .collect(),
        };
        if all.is_empty() {
            return Err(Failure::Unknown);
        }
        if job.submission.user != by {
            return Err(Failure::NotOwner);
        }
        if *action == Action::Forget {
            return Ok(all);
        }
        let there: Vec<usize> = all
            .into_iter()
            .filter(|&position| job.elements[position].state != ElementState::Ended)
            .collect();
        if there.is_empty() {
            return Err(Failure::Ended);
        }
        let runs = |&position: &usize| job.elements[position].state == ElementState::Running;
        if matches!(action, Action::Signal(_)) && !there.iter().any(runs) {
            return Err(Failure::NotRunning);
        }
        Ok(there)
    }

    fn act_on(&mut self, target: &Target, by: &str, action: &Action) -> Result<(), Failure> {
        let now = now();
        for position in self.positions(target, by, action)? {
            self.act_on_element(target.job, position, by, action, now);
        }
        if *action == Action::Forget
            && let Some(job) = self.cluster.jobs.get_mut(&target.job)
        {
            job.forgotten = true;
        }
        self.settle(target.job);
        self.changed = true;
        self.send_signals(now);
        Ok(())
    }

    fn act_on_element(
        &mut self,
        number: u64,
        position: usize,
        by: &str,
        action: &Action,
        now: Millis,
    ) {
        let Some(job) = self.cluster.jobs.get_mut(&number) else {
            return;
        };
        let element = &mut job.elements[position];
        let process = element.process;
        match (action, element.state) {
            (Action::Kill | Action::KillAtOnce | Action::Forget, ElementState::Pending) => {
                self.remove(number, position, Cause::Deleted(by.to_owned()));
            }
            (Action::Kill | Action::Forget, ElementState::Running) => {
                if std::mem::take(&mut element.suspended) {
                    self.signals.push((now, process, 18));
                    self.send_signals(now);
                }
                self.stop(number, position, &Cause::Deleted(by.to_owned()), now);
            }
            (Action::KillAtOnce, ElementState::Running) => {
                element.stopping = Some(Cause::Deleted(by.to_owned()));
                self.signals.push((now, process, 9));
            }
            (Action::Signal(signal), ElementState::Running) => {
                element.signalled = true;
                self.signals.push((now, process, *signal));
            }
            (Action::Hold | Action::Suspend, ElementState::Pending) => element.held = true,
            (Action::Release | Action::Resume, ElementState::Pending) => element.held = false,
            (Action::Suspend, ElementState::Running) => {
                element.suspended = true;
                self.signals.push((now, process, 19));
            }
            (Action::Resume, ElementState::Running) => {
                element.suspended = false;
                self.signals.push((now, process, 18));
            }
            _ => {}
        }
    }
}
