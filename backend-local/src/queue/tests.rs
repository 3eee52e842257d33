//! The queue against a model that knows only what it was told: whatever happens in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use reflow_core::scheduler::{DependencyKind, EndReason, JobRequest};
use serde_json::json;

use super::order::PATIENCE;
use super::{Action, Job, Needs, Now, Queue, Record};
use crate::element::{End, Phase};
use crate::log::fresh_elements;

const CAPACITY: Needs = Needs { cpus: 4, memory: 8 };
const EPOCH: u64 = 1_795_000_000_000;

/// A job as the tests describe it.
#[derive(Debug, Clone)]
struct Plan {
    count: u32,
    needs: Needs,
    at_most: Option<u32>,
    /// Jobs before it, counted from the first.
    parents: Vec<(usize, DependencyKind)>,
    /// Milliseconds after the begin.
    not_before: Option<u64>,
    /// Seconds.
    time: Option<u64>,
}

impl Plan {
    fn of(cpus: u32) -> Self {
        Self {
            count: 1,
            needs: Needs { cpus, memory: 1 },
            at_most: None,
            parents: Vec::new(),
            not_before: None,
            time: None,
        }
    }

    fn request(&self) -> JobRequest {
        let mut request: JobRequest = serde_json::from_value(json!({
            "tag": "raaaaaaaaaaaaaa",
            "command": {"argv": ["true"], "directory": "/"},
            "array": {"count": self.count, "at_most": self.at_most},
            "output": {"stdout": "/dev/null", "stderr": "/dev/null"},
            "requeue": false,
        }))
        .expect("a request");
        request.resources.time = self
            .time
            .map(reflow_core::scheduler::Walltime::from_seconds);
        request.not_before = self
            .not_before
            .map(|after| std::time::UNIX_EPOCH + std::time::Duration::from_millis(EPOCH + after));
        request
    }
}

/// A queue, and what has come out of it.
struct World {
    queue: Queue,
    now: Now,
    plans: Vec<Plan>,
    running: BTreeSet<(u64, u32)>,
    /// Those of them that are to be ended.
    told_to_end: BTreeSet<(u64, u32)>,
    started: BTreeMap<(u64, u32), u64>,
    ended: BTreeMap<(u64, u32), EndReason>,
    cancelled: BTreeSet<(u64, u32)>,
}

impl World {
    fn new() -> Self {
        Self {
            queue: Queue::new(CAPACITY),
            now: Now {
                wall: EPOCH,
                mono: 0,
            },
            plans: Vec::new(),
            running: BTreeSet::new(),
            told_to_end: BTreeSet::new(),
            started: BTreeMap::new(),
            ended: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        }
    }

    /// Adds a job and returns its number. The first has number 0.
    fn submit(&mut self, plan: Plan) -> u64 {
        let number = self.plans.len() as u64;
        let parents = (plan.parents.iter())
            .map(|&(parent, kind)| (Some(parent as u64), kind))
            .collect();
        let request = plan.request();
        let elements = fresh_elements(&request);
        let job = Job::new(request, plan.needs, parents, elements);
        self.plans.push(plan);
        self.queue.insert(self.now, number, job);
        self.settle();
        number
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now.wall += milliseconds;
        self.now.mono += milliseconds;
        self.settle();
    }

    /// Ends a running element by itself.
    fn end(&mut self, (job, index): (u64, u32), reason: EndReason) {
        self.running.remove(&(job, index));
        let end = End::without_status(reason, self.now.wall);
        self.queue.ended(self.now, job, index, end);
        self.settle();
    }

    fn cancel(&mut self, job: u64, index: Option<u32>) {
        let count = self.plans[job as usize].count;
        for each in index.map_or(0..count, |index| index..(index + 1).min(count)) {
            if !self.ended.contains_key(&(job, each)) {
                self.cancelled.insert((job, each));
            }
        }
        self.queue.cancel(self.now, job, index);
        self.settle();
    }

    /// The supervisor is killed and started again: some of what ran is lost, the rest still runs and is
    /// taken over, what waited goes on.
    fn restart(&mut self) {
        let old = std::mem::replace(&mut self.queue, Queue::new(CAPACITY));
        let is_lost = |(job, index): &(u64, u32)| (job + u64::from(*index)).is_multiple_of(2);
        self.told_to_end.retain(|element| !is_lost(element));
        for element in self.running.extract_if(.., is_lost) {
            self.ended.insert(element, EndReason::Lost);
        }
        for number in 0..self.plans.len() as u64 {
            let before = old.job(number).expect("it was submitted");
            let mut elements = before.elements.clone();
            for (index, element) in (0..).zip(&mut elements) {
                if element.phase == Phase::Running && is_lost(&(number, index)) {
                    element.phase = Phase::Ended;
                    element.end = End::without_status(EndReason::Lost, self.now.wall);
                }
            }
            let (request, parents) = (before.request.clone(), before.parents.clone());
            let job = Job::new(request, before.needs, parents, elements);
            self.queue.insert(self.now, number, job);
        }
        for &(job, index) in &self.running {
            let killed = &old.job(job).expect("it was submitted").killed;
            let reason = killed.iter().find(|(killed, _)| *killed == index);
            let since = self.started[&(job, index)];
            self.queue
                .resume(job, index, since, reason.map(|(_, reason)| *reason));
        }
        self.settle();
    }

    /// Lets the queue decide, and checks everything that comes out.
    fn settle(&mut self) {
        self.queue.tick(self.now);
        self.queue.schedule(self.now);
        let (mut records, mut actions) = (Vec::new(), Vec::new());
        self.queue.take_records(&mut records);
        self.queue.take_actions(&mut actions);
        for record in records {
            self.note(record);
        }
        for action in actions {
            self.act(action);
        }
        let used: u32 = self.sum(|needs| u64::from(needs.cpus)) as u32;
        assert!(used <= CAPACITY.cpus, "{used} cores are used");
        let used = self.sum(|needs| needs.memory);
        assert!(used <= CAPACITY.memory, "{used} bytes are used");
    }

    fn sum(&self, of: impl Fn(Needs) -> u64) -> u64 {
        let needs = self
            .running
            .iter()
            .map(|(job, _)| self.plans[*job as usize].needs);
        needs.map(of).sum()
    }

    fn note(&mut self, record: Record) {
        let (job, index, reason) = match record {
            Record::Started { job, index, .. } => {
                let is_first = self.started.insert((job, index), self.now.mono).is_none();
                assert!(is_first, "{job}[{index}] started twice");
                self.check_start(job, index);
                return;
            }
            Record::Killed { job, index, .. } => {
                assert!(self.running.contains(&(job, index)), "killed, not running");
                return;
            }
            Record::Ended { job, index, end } => (job, Some(index), end.reason),
            Record::Dropped { job, reason, .. } => (job, None, reason),
        };
        for each in 0..self.plans[job as usize].count {
            let is_meant = match index {
                Some(index) => each == index,
                None => {
                    !self.started.contains_key(&(job, each))
                        && !self.ended.contains_key(&(job, each))
                }
            };
            if is_meant {
                let before = self.ended.insert((job, each), reason);
                assert_eq!(before, None, "{job}[{each}] ended twice");
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { job, index } => {
                assert!(self.started.contains_key(&(job, index)), "not written down");
                assert!(self.running.insert((job, index)), "{job}[{index}] runs");
                let at_most = self.plans[job as usize].at_most.unwrap_or(u32::MAX);
                let running = self.running.iter().filter(|(other, _)| *other == job);
                assert!(running.count() as u32 <= at_most, "more than {at_most}");
            }
            Action::Kill { job, index } => {
                assert!(self.running.contains(&(job, index)), "killed, not running");
                self.told_to_end.insert((job, index));
            }
            Action::Warn { .. } => {}
        }
    }

    fn check_start(&self, job: u64, index: u32) {
        let plan = &self.plans[job as usize];
        assert!(!self.ended.contains_key(&(job, index)), "it had ended");
        assert!(!self.cancelled.contains(&(job, index)), "it was cancelled");
        assert!(plan.not_before.is_none_or(|at| EPOCH + at <= self.now.wall));
        for &(parent, kind) in &plan.parents {
            let held = self.holds(parent, kind, index);
            assert_eq!(held, Some(true), "{job}[{index}] on {parent} {kind:?}");
        }
    }

    /// Returns whether a condition holds; none while that is open.
    fn holds(&self, parent: usize, kind: DependencyKind, index: u32) -> Option<bool> {
        let end = |index| self.ended.get(&(parent as u64, index)).copied();
        match kind {
            DependencyKind::ElementWise => {
                return end(index).map(|reason| reason == EndReason::Completed);
            }
            DependencyKind::ElementWiseAny => return end(index).map(|_| true),
            _ => {}
        }
        let ends: Option<Vec<_>> = (0..self.plans[parent].count).map(end).collect();
        let is_ok = ends?.iter().all(|reason| *reason == EndReason::Completed);
        Some(match kind {
            DependencyKind::Any | DependencyKind::ElementWiseAny => true,
            DependencyKind::NotOk => !is_ok,
            DependencyKind::Ok | DependencyKind::ElementWise => is_ok,
        })
    }

    /// Lets everything run to its end, and checks how it ended.
    fn finish(&mut self) {
        let all: usize = self.plans.iter().map(|plan| plan.count as usize).sum();
        for _ in 0..=2 * all {
            match self.running.first().copied() {
                Some(first) => self.end(first, EndReason::Completed),
                None => self.pass(3_600_000),
            }
            if self.ended.len() == all {
                break;
            }
        }
        assert_eq!(self.ended.len(), all, "stuck: {:?}", self.queue);
        assert_eq!(self.queue.open().count(), 0);
        for (&(job, index), &reason) in &self.ended {
            let plan = &self.plans[job as usize];
            let element = &self.queue.job(job).expect("it was submitted").elements[index as usize];
            assert_eq!((element.phase, element.end.reason), (Phase::Ended, reason));
            if self.started.contains_key(&(job, index)) {
                assert_ne!(reason, EndReason::DependencyFailed);
                if let (Some(killed), false) = (
                    self.told_to_end.get(&(job, index)),
                    reason == EndReason::Walltime,
                ) {
                    assert_eq!(reason, EndReason::Cancelled, "{killed:?}");
                }
            } else if reason == EndReason::DependencyFailed {
                let is_so = |&(parent, kind)| self.holds(parent, kind, index) == Some(false);
                assert!(plan.parents.iter().any(is_so), "{job}[{index}] could start");
            } else {
                assert_eq!(reason, EndReason::Cancelled);
                assert!(
                    self.cancelled.contains(&(job, index)),
                    "nobody asked for it"
                );
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Submit(Plan, Vec<(prop::sample::Index, u8)>),
    End(prop::sample::Index, bool),
    Cancel(prop::sample::Index, Option<u32>),
    Pass(u64),
    Restart,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        1..5u32,
        (1..=4u32, 0..=8u64),
        prop::option::weighted(0.3, 1..3u32),
        prop::option::weighted(0.2, 0..200_000u64),
        prop::option::weighted(0.3, 1..90u64),
    )
        .prop_map(|(count, (cpus, memory), at_most, not_before, time)| Plan {
            count,
            needs: Needs { cpus, memory },
            at_most,
            parents: Vec::new(),
            not_before,
            time,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (plan(), prop::collection::vec((index(), 0..4u8), 0..3))
            .prop_map(|(plan, parents)| Step::Submit(plan, parents)),
        10 => (index(), prop::bool::weighted(0.8)).prop_map(|(which, ok)| Step::End(which, ok)),
        2 => (index(), prop::option::of(0..5u32)).prop_map(|(which, index)| Step::Cancel(which, index)),
        2 => (0..100_000u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Submit(mut plan, parents) => {
            for (which, kind) in parents {
                if world.plans.is_empty() {
                    break;
                }
                let parent = which.index(world.plans.len());
                let kind = match kind {
                    0 => DependencyKind::Ok,
                    1 => DependencyKind::Any,
                    2 => DependencyKind::NotOk,
                    kind => {
                        plan.count = world.plans[parent].count;
                        if kind == 3 {
                            DependencyKind::ElementWise
                        } else {
                            DependencyKind::ElementWiseAny
                        }
                    }
                };
                plan.parents.push((parent, kind));
            }
            // Element-wise conditions are for arrays of one length.
            let (count, plans) = (plan.count, &world.plans);
            plan.parents
                .retain(|&(parent, kind)| !kind.is_element_wise() || plans[parent].count == count);
            world.submit(plan);
        }
        Step::End(which, ok) if !world.running.is_empty() => {
            let running: Vec<_> = world.running.iter().copied().collect();
            let reason = if ok {
                EndReason::Completed
            } else {
                EndReason::Failed
            };
            world.end(*which.get(&running), reason);
        }
        Step::Cancel(which, index) if !world.plans.is_empty() => {
            world.cancel(which.index(world.plans.len()) as u64, index);
        }
        Step::End(..) | Step::Cancel(..) => {}
        Step::Pass(milliseconds) => world.pass(milliseconds),
        Step::Restart => world.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
        }
        world.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    /// Jobs of one core come without end, each for some seconds. One that needs all cores is passed once
    /// the first has ended, for as long as its patience lasts, and then waits for those that run.
    #[test]
    fn a_big_job_is_not_starved(
        lengths in prop::collection::vec(1..20u64, 150),
        ahead in 0..10usize,
    ) {
        let mut world = World::new();
        let mut ends: BTreeMap<(u64, u32), u64> = BTreeMap::new();
        let mut big = None;
        for (second, length) in lengths.into_iter().enumerate() {
            world.pass(1000);
            let now = world.now.mono;
            for element in world.running.clone() {
                let length = if big == Some(element.0) { 1 } else { length };
                let end = *ends.entry(element).or_insert(now + 1000 * length);
                if end <= now {
                    world.end(element, EndReason::Completed);
                }
            }
            world.submit(Plan::of(1));
            if second == ahead {
                big = Some(world.submit(Plan::of(4)));
            }
        }
        let began = world.started.get(&(big.expect("submitted"), 0));
        let began = *began.expect("it starts");
        prop_assert!(began <= 1000 * ahead as u64 + PATIENCE + 2 * 21_000, "began at {began}");
        world.finish();
    }
}

#[test]
fn small_jobs_pass_a_big_one_for_a_while() {
    let mut world = World::new();
    let long = world.submit(Plan::of(3));
    let big = world.submit(Plan::of(4));
    let small = world.submit(Plan::of(1));
    assert!(world.running.contains(&(small, 0)));
    world.end((small, 0), EndReason::Completed);
    world.pass(PATIENCE);
    let late = world.submit(Plan::of(1));
    assert!(
        !world.running.contains(&(late, 0)),
        "the machine is drained"
    );
    world.end((long, 0), EndReason::Completed);
    assert_eq!(world.running, BTreeSet::from([(big, 0)]));
    world.end((big, 0), EndReason::Completed);
    assert!(world.running.contains(&(late, 0)));
}

#[test]
fn who_waits_for_a_drained_machine_and_is_cancelled_frees_it_for_others() {
    let mut world = World::new();
    world.submit(Plan::of(3));
    let big = world.submit(Plan::of(4));
    world.pass(PATIENCE);
    let small = world.submit(Plan::of(1));
    assert!(!world.running.contains(&(small, 0)));
    world.cancel(big, None);
    assert!(world.running.contains(&(small, 0)));
}

#[test]
fn a_wide_array_does_not_hold_up_what_comes_after_it() {
    let mut world = World::new();
    let wide = world.submit(Plan {
        count: 100,
        ..Plan::of(1)
    });
    let later = world.submit(Plan::of(1));
    world.end((wide, 0), EndReason::Completed);
    assert!(world.running.contains(&(later, 0)));
}

#[test]
fn the_failure_of_a_parent_ends_what_depends_on_it_down_a_long_chain() {
    let mut world = World::new();
    let first = world.submit(Plan::of(1));
    for job in 0..5000 {
        world.submit(Plan {
            parents: vec![(job, DependencyKind::Ok)],
            ..Plan::of(1)
        });
    }
    world.end((first, 0), EndReason::Failed);
    let dropped = world
        .ended
        .values()
        .filter(|reason| **reason == EndReason::DependencyFailed);
    assert_eq!(dropped.count(), 5000);
}

#[test]
fn what_the_machine_cannot_hold_waits_and_holds_up_nobody() {
    let mut world = World::new();
    let never = world.submit(Plan::of(5));
    world.pass(2 * PATIENCE);
    let small = world.submit(Plan::of(1));
    assert_eq!(world.running, BTreeSet::from([(small, 0)]));
    assert!(world.queue.job(never).is_some_and(Job::has_pending));
}
