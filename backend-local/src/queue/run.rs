use std::collections::{BTreeSet, HashMap};

use reflow_core::id::Tag;
use reflow_core::scheduler::EndReason;

use super::depend::Drop;
use super::order::Order;
use super::{Action, Job, Needs, Now, Record};
use crate::element::{End, Phase};

/// What a time limit does to a running element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Warn,
    Walltime,
}

/// All jobs that are known, and what each of them waits for.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) capacity: Needs,
    free: Needs,
    pub(super) jobs: HashMap<u64, Job>,
    tags: HashMap<Tag, Vec<u64>>,
    order: Order,
    /// Jobs with an earliest start, by that time on the wall clock.
    later: BTreeSet<(u64, u64)>,
    /// Limits of running elements, on the monotonic clock.
    limits: BTreeSet<(u64, u64, u32, Limit)>,
    /// Jobs that have not ended.
    open: BTreeSet<u64>,
    pub(super) drops: Vec<Drop>,
    actions: Vec<Action>,
    pub(super) records: Vec<Record>,
}

impl Queue {
    /// Returns an empty queue for a machine of that size.
    pub(crate) fn new(capacity: Needs) -> Self {
        Self {
            capacity,
            free: capacity,
            jobs: HashMap::new(),
            tags: HashMap::new(),
            order: Order::default(),
            later: BTreeSet::new(),
            limits: BTreeSet::new(),
            open: BTreeSet::new(),
            drops: Vec::new(),
            actions: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Returns what the whole machine has.
    pub(crate) fn capacity(&self) -> Needs {
        self.capacity
    }

    /// Returns a job.
    pub(crate) fn job(&self, number: u64) -> Option<&Job> {
        self.jobs.get(&number)
    }

    /// Returns the jobs of a tag, oldest first.
    pub(crate) fn tagged(&self, tag: &Tag) -> &[u64] {
        self.tags.get(tag).map_or(&[], Vec::as_slice)
    }

    /// Returns the jobs that have not ended, oldest first.
    pub(crate) fn open(&self) -> impl Iterator<Item = u64> {
        self.open.iter().copied()
    }

    /// Moves out what has to be written down.
    pub(crate) fn take_records(&mut self, into: &mut Vec<Record>) {
        into.append(&mut self.records);
    }

    /// Moves out what has to be done.
    pub(crate) fn take_actions(&mut self, into: &mut Vec<Action>) {
        into.append(&mut self.actions);
    }

    /// Adds a job: a new one, or one from an earlier life. Its parents are added before it.
    pub(crate) fn insert(&mut self, now: Now, number: u64, mut job: Job) {
        self.tags
            .entry(job.request.tag.clone())
            .or_default()
            .push(number);
        let not_before = job.request.not_before.map_or(0, crate::clock::milliseconds);
        job.time_passed = not_before <= now.wall;
        if !job.time_passed {
            self.later.insert((not_before, number));
        }
        // What runs from an earlier life holds what it needs, also where the machine has less to give now.
        let held = job.running;
        self.free.cpus = self.free.cpus.saturating_sub(job.needs.cpus * held);
        let memory = job.needs.memory.saturating_mul(held.into());
        self.free.memory = self.free.memory.saturating_sub(memory);
        let ended = job.is_ended();
        self.jobs.insert(number, job);
        if ended {
            return;
        }
        self.open.insert(number);
        self.attach(now, number);
        self.place(number);
    }

    /// Puts a job where it belongs in the order of those that can start.
    pub(super) fn place(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        let place = job.next_ready().is_some().then_some(job.running);
        if place == job.place {
            return;
        }
        let old = std::mem::replace(&mut job.place, place);
        let needs = job.needs;
        // In before out: a size that becomes empty forgets for how long it has waited.
        if let Some(running) = place {
            self.order.insert(needs, running, number);
        }
        if let Some(running) = old {
            self.order.remove(needs, running, number);
        }
    }

    /// Starts what can start.
    pub(crate) fn schedule(&mut self, now: Now) {
        while self.free.cpus > 0 {
            let Some(number) = self.order.next(self.capacity, self.free, now.mono) else {
                return;
            };
            let Some(job) = self.jobs.get_mut(&number) else {
                return;
            };
            let Some(index) = job.next_ready() else {
                debug_assert!(false, "a job in the order has a ready element");
                self.place(number);
                continue;
            };
            let element = &mut job.elements[index as usize];
            element.phase = Phase::Running;
            element.started = now.wall.max(1);
            job.pending -= 1;
            job.running += 1;
            let needs = job.needs;
            self.free.cpus -= needs.cpus;
            self.free.memory -= needs.memory;
            self.set_limits(now.mono, number, index);
            self.records.push(Record::Started {
                job: number,
                index,
                at: now.wall.max(1),
            });
            self.actions.push(Action::Start { job: number, index });
            self.order.started(needs);
            self.place(number);
        }
    }

    /// Has the limits of an element counted from `since`.
    fn set_limits(&mut self, since: u64, number: u64, index: u32) {
        let Some(resources) = self.jobs.get(&number).map(|job| &job.request.resources) else {
            return;
        };
        if let Some(time) = resources.time {
            let limit = since.saturating_add(time.seconds().saturating_mul(1000));
            self.limits.insert((limit, number, index, Limit::Walltime));
            if let Some(signal) = &resources.signal {
                let before = signal.before.seconds().saturating_mul(1000);
                let at = limit.saturating_sub(before).max(since);
                self.limits.insert((at, number, index, Limit::Warn));
            }
        }
    }

    /// Takes over an element of a job from an earlier life that has been running since `since` on the
    /// monotonic clock, and why it is being ended, if it is.
    pub(crate) fn resume(
        &mut self,
        number: u64,
        index: u32,
        since: u64,
        killed: Option<EndReason>,
    ) {
        match killed {
            Some(reason) => self.kill(number, index, reason),
            None => self.set_limits(since, number, index),
        }
    }

    /// Takes in that a running element has ended with everything that it started.
    pub(crate) fn ended(&mut self, now: Now, number: u64, index: u32, mut end: End) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        if job
            .elements
            .get(index as usize)
            .is_none_or(|element| element.phase != Phase::Running)
        {
            return;
        }
        if let Some(at) = job.killed.iter().position(|(killed, _)| *killed == index) {
            end.reason = job.killed.swap_remove(at).1;
        }
        job.running -= 1;
        let needs = job.needs;
        self.free.cpus = (self.free.cpus + needs.cpus).min(self.capacity.cpus);
        self.free.memory =
            (self.free.memory.saturating_add(needs.memory)).min(self.capacity.memory);
        if job.request.resources.time.is_some() {
            self.forget_limits(number, index);
        }
        self.finish(number, index, end);
        self.place(number);
        self.drain(now);
    }

    fn forget_limits(&mut self, number: u64, index: u32) {
        // Few: one or two for each running element.
        self.limits
            .retain(|(_, job, element, _)| (*job, *element) != (number, index));
    }

    /// Adds a remark about an element, told with its end.
    pub(crate) fn note(&mut self, number: u64, index: u32, text: String) {
        if let Some(job) = self.jobs.get_mut(&number) {
            job.notes.push((index, text));
        }
    }

    /// Cancels a job or one element. What has ended stays as it is.
    pub(crate) fn cancel(&mut self, now: Now, number: u64, index: Option<u32>) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        if let Some(index) = index {
            match job
                .elements
                .get(index as usize)
                .map(|element| element.phase)
            {
                Some(Phase::Pending) => {
                    job.pending -= 1;
                    let end = End::without_status(EndReason::Cancelled, now.wall);
                    self.finish(number, index, end);
                    self.place(number);
                }
                Some(Phase::Running) => self.kill(number, index, EndReason::Cancelled),
                Some(Phase::Ended) | None => {}
            }
            self.drain(now);
            return;
        }
        if job.running > 0 {
            let running: Vec<u32> = (0..job.count())
                .filter(|&index| job.elements[index as usize].phase == Phase::Running)
                .collect();
            for index in running {
                self.kill(number, index, EndReason::Cancelled);
            }
        }
        self.drop_pending(now, number, EndReason::Cancelled);
        self.drain(now);
    }

    /// Ends a running element for `reason`, unless it is being ended already.
    pub(crate) fn kill(&mut self, number: u64, index: u32, reason: EndReason) {
        let Some(job) = self.jobs.get_mut(&number) else {
            return;
        };
        if job.killed.iter().all(|(killed, _)| *killed != index) {
            job.killed.push((index, reason));
            self.records.push(Record::Killed {
                job: number,
                index,
                reason,
            });
            self.actions.push(Action::Kill { job: number, index });
        }
    }

    /// Returns when [`tick`](Self::tick) has something to do next, in milliseconds from now.
    pub(crate) fn wait(&self, now: Now) -> Option<u64> {
        let limit = self
            .limits
            .first()
            .map(|(at, ..)| at.saturating_sub(now.mono));
        // The wall clock may be set, so it is looked at now and then.
        let later = self
            .later
            .first()
            .map(|(at, _)| at.saturating_sub(now.wall).min(10_000));
        match (limit, later) {
            (Some(limit), Some(later)) => Some(limit.min(later)),
            (limit, later) => limit.or(later),
        }
    }

    /// Does what the time asks for.
    pub(crate) fn tick(&mut self, now: Now) {
        while let Some(&(at, number)) = self.later.first() {
            if at > now.wall {
                break;
            }
            self.later.pop_first();
            if let Some(job) = self.jobs.get_mut(&number) {
                job.time_passed = true;
                self.place(number);
            }
        }
        while let Some(&(at, number, index, limit)) = self.limits.first() {
            if at > now.mono {
                break;
            }
            self.limits.pop_first();
            match limit {
                Limit::Walltime => self.kill(number, index, EndReason::Walltime),
                Limit::Warn => self.actions.push(Action::Warn { job: number, index }),
            }
        }
    }

    /// Takes a job that has ended off the list of open ones.
    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}
