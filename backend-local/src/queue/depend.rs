use reflow_core::scheduler::{DependencyKind, EndReason};

use super::{Job, Now, Queue, Record};
use crate::element::{End, Phase};

/// What can never start, because a condition can no longer hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Drop {
    All(u64),
    One(u64, u32),
}

/// What is known of a condition.
enum Verdict {
    Holds,
    Open,
    Never,
}

/// Judges a condition on a whole parent.
fn judge(parent: Option<&Job>, kind: DependencyKind) -> Verdict {
    match (parent, kind) {
        (None, DependencyKind::Any | DependencyKind::ElementWiseAny) => Verdict::Holds,
        // Nobody can say any more how it ended.
        (None, _) => Verdict::Never,
        (Some(parent), _) if !parent.is_ended() => Verdict::Open,
        (Some(parent), DependencyKind::Ok | DependencyKind::ElementWise) => {
            if parent.is_ok() {
                Verdict::Holds
            } else {
                Verdict::Never
            }
        }
        (Some(_), DependencyKind::Any | DependencyKind::ElementWiseAny) => Verdict::Holds,
        (Some(parent), DependencyKind::NotOk) => {
            if parent.is_ok() {
                Verdict::Never
            } else {
                Verdict::Holds
            }
        }
    }
}

impl Queue {
    /// Ties a job that was just added to its parents.
    pub(super) fn attach(&mut self, now: Now, number: u64) {
        let Some(job) = self.jobs.get(&number) else {
            return;
        };
        let dependencies = job.parents.clone();
        let count = job.count();
        let mut unmet = 0;
        let mut element_unmet = Vec::new();
        let mut dropped: Vec<u32> = Vec::new();
        let mut never = false;
        for (parent, kind) in dependencies {
            let known = parent.and_then(|parent| self.jobs.get_mut(&parent));
            if kind.is_element_wise()
                && let Some(parent) = known
                && parent.count() == count
            {
                element_unmet.resize(count as usize, 0);
                for (index, element) in parent.elements.iter().enumerate() {
                    if element.phase != Phase::Ended {
                        element_unmet[index] += 1;
                    } else if kind == DependencyKind::ElementWise && !element.is_ok() {
                        dropped.push(index as u32);
                    }
                }
                if !parent.is_ended() {
                    parent.children.push((number, kind));
                }
                continue;
            }
            let known = parent.and_then(|parent| self.jobs.get_mut(&parent));
            match judge(known.as_deref(), kind) {
                Verdict::Holds => {}
                Verdict::Never => never = true,
                Verdict::Open => {
                    unmet += 1;
                    if let Some(parent) = known {
                        parent.children.push((number, kind));
                    }
                }
            }
        }
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        job.unmet = unmet;
        job.ready = (0..element_unmet.len() as u32)
            .filter(|&index| element_unmet[index as usize] == 0)
            .collect();
        job.element_unmet = element_unmet;
        if never {
            self.drops.push(Drop::All(number));
        }
        let elements = dropped.into_iter();
        self.drops
            .extend(elements.map(|index| Drop::One(number, index)));
        self.drain(now);
    }

    /// Ends what can never start any more. In a loop, since chains of jobs may be long.
    pub(super) fn drain(&mut self, now: Now) {
        while let Some(drop) = self.drops.pop() {
            match drop {
                Drop::All(number) => {
                    self.drop_pending(now, number, EndReason::DependencyFailed);
                }
                Drop::One(number, index) => {
                    self.drop_element(now, number, index);
                    self.place(number);
                }
            }
        }
    }

    /// Ends one pending element because it can never start.
    fn drop_element(&mut self, now: Now, number: u64, index: u32) {
        if let Some(job) = self.jobs.get_mut(&number)
            && job.elements[index as usize].phase == Phase::Pending
        {
            job.pending -= 1;
            let end = End::without_status(EndReason::DependencyFailed, now.wall);
            self.finish(number, index, end);
        }
    }

    /// Ends all pending elements of a job.
    ///
    /// What that does to other jobs waits for [`drain`](Self::drain).
    pub(super) fn drop_pending(&mut self, now: Now, number: u64, reason: EndReason) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        if job.pending == 0 {
            return;
        }
        self.records.push(Record::Dropped {
            job: number,
            reason,
            at: now.wall,
        });
        let has_element_children = job.children.iter().any(|(_, kind)| kind.is_element_wise());
        let mut ended = Vec::new();
        for (index, element) in job.elements.iter_mut().enumerate() {
            if element.phase == Phase::Pending {
                element.phase = Phase::Ended;
                element.end = End::without_status(reason, now.wall);
                if has_element_children {
                    ended.push(index as u32);
                }
            }
        }
        job.not_ok += job.pending;
        job.pending = 0;
        for index in ended {
            self.release_element(number, index, false);
        }
        self.place(number);
        self.settle(number);
    }

    /// Ends an element that is counted neither as pending nor as running any more.
    pub(super) fn finish(&mut self, number: u64, index: u32, end: End) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        let element = &mut job.elements[index as usize];
        element.phase = Phase::Ended;
        element.end = end;
        let is_ok = element.is_ok();
        job.not_ok += u32::from(!is_ok);
        self.records.push(Record::Ended {
            job: number,
            index,
            end,
        });
        let has_children = !job.children.is_empty();
        if has_children {
            self.release_element(number, index, is_ok);
        }
        self.settle(number);
    }

    /// Tells element-wise children that an element has ended.
    fn release_element(&mut self, number: u64, index: u32, is_ok: bool) {
        let mut position = 0;
        while let Some(&(child, kind)) = self
            .jobs
            .get(&number)
            .and_then(|job| job.children.get(position))
        {
            position += 1;
            if !kind.is_element_wise() {
                continue;
            }
            if !is_ok && kind == DependencyKind::ElementWise {
                self.drops.push(Drop::One(child, index));
                continue;
            }
            if let Some(job) = self.jobs.get_mut(&child) {
                let unmet = &mut job.element_unmet[index as usize];
                *unmet -= 1;
                if *unmet == 0 {
                    job.ready.push_back(index);
                    self.place(child);
                }
            }
        }
    }

    /// Where a job has ended as a whole, releases or drops its children.
    fn settle(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        if !job.is_ended() {
            return;
        }
        let children = std::mem::take(&mut job.children);
        self.close(number);
        for (child, kind) in children {
            if kind.is_element_wise() {
                continue;
            }
            match judge(self.jobs.get(&number), kind) {
                Verdict::Never => self.drops.push(Drop::All(child)),
                Verdict::Holds | Verdict::Open => {
                    if let Some(job) = self.jobs.get_mut(&child) {
                        job.unmet = job.unmet.saturating_sub(1);
                    }
                    self.place(child);
                }
            }
        }
    }
}
