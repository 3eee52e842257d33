//! What is drawn from the seed of a run: the batch system, what goes wrong in it, what people do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reflow_core::elements::ElementSet;
use reflow_core::rundir::Selection;
use reflow_core::scheduler::{Capabilities, FailedParent};
use reflow_core::workflow::{Graph, TaskIndex};
use tokio::time::Instant;

use super::super::check::Values;
use super::super::process::trace;
use super::super::random::Random;
use super::super::scheduler::{SimScheduler, lock};
use super::super::workflow;
use super::super::world::{Faults, World};
use super::{Simulation, Summary, has_store};

/// Returns what somebody cancels: the run, a task, or some of its elements.
fn selection(random: &mut Random, graph: &Graph) -> Vec<Selection> {
    if random.happens(400) {
        return Vec::new();
    }
    let task = TaskIndex(random.below(graph.len() as u64) as u32);
    let elements = random.happens(500).then(|| {
        let first = random.below(3) as u32;
        ElementSet::range(first, first + 1 + random.below(3) as u32)
    });
    vec![Selection { task, elements }]
}

fn capabilities(random: &mut Random) -> Capabilities {
    let failed_parent = *random.one(&[
        FailedParent::Cancelled,
        FailedParent::Cancelled,
        FailedParent::Runs,
        FailedParent::PendForever,
        FailedParent::Deleted,
    ]);
    let releases_cancelled = random.happens(700);
    Capabilities {
        array_limit: *random.one(&[None, None, Some(3), Some(1)]),
        array_base: 0,
        element_wise: random.happens(700),
        element_wise_any: random.happens(300),
        failed_parent,
        releases_cancelled,
        after_not_ok: random.happens(900),
        not_before: true,
        concurrency_limit: random.happens(800),
        element_cancel: true,
        history: Some(Duration::from_secs(90)),
        submit_from_jobs: true,
        serves_indices: false,
        message_timeout: Duration::from_secs(10),
        may_stall: !releases_cancelled || random.happens(300),
        partitions: Vec::new(),
    }
}

fn faults(random: &mut Random) -> Faults {
    let limit = random.happens(200).then(|| 6 + random.below(15) as u32);
    // A third of the runs has no other faults, so that what only faults would hide is seen.
    if random.happens(330) {
        return Faults {
            limit,
            ..Faults::default()
        };
    }
    let mut some = |most: u64| {
        if random.happens(400) {
            random.below(most)
        } else {
            0
        }
    };
    Faults {
        answer_lost: some(150),
        request_lost: some(150),
        busy: some(200),
        no_answer: some(200),
        not_known: some(300),
        late_end: some(500),
        lost_pending: some(100),
        killed: some(100),
        dispatch_killed: some(60),
        dispatch_frozen: some(60),
        dispatch_cancelled: some(200),
        doubled: some(60),
        find_early: some(300),
        limit,
    }
}

impl Simulation {
    pub(super) fn new(seed: u64, path: &Path) -> Self {
        let mut random = Random::new(seed);
        let graph = workflow::random(&mut random);
        let capabilities = capabilities(&mut random);
        let faults = faults(&mut random);
        trace(|| format!("{capabilities:?}\n{faults:?}"));
        let retries = if random.happens(300) {
            1 + random.below(2) as u32
        } else {
            0
        };
        let cancels = random.happens(150).then(|| {
            let at = Duration::from_secs(random.below(100));
            (at, selection(&mut random, &graph))
        });
        let world = Arc::new(Mutex::new(World {
            random,
            capabilities: capabilities.clone(),
            faults,
            jobs: Vec::new(),
            starts: BTreeMap::new(),
            killed: Vec::new(),
            cancelled: Vec::new(),
            disobeyed: Vec::new(),
            started: Instant::now(),
            died: BTreeSet::new(),
            most_running: BTreeMap::new(),
            submits: 0,
        }));
        Self {
            seed,
            path: path.join("first"),
            store: has_store(seed).then(|| path.join("store")),
            earlier: Values::new(),
            graph,
            scheduler: Arc::new(SimScheduler {
                world: Arc::clone(&world),
                capabilities,
            }),
            world,
            gone: Arc::default(),
            pids: AtomicU32::new(1),
            running: Vec::new(),
            summary: Summary::default(),
            retries,
            retried: 0,
            cancels,
            asked: Vec::new(),
        }
    }

    /// Makes of it a run of the same workflow with the same store, in which nothing goes wrong. Everything
    /// that has one of `values` is to be taken from the run before.
    pub(super) fn again(mut self, path: &Path, values: Values) -> Self {
        self.path = path.join("second");
        self.earlier = values;
        self.retries = 0;
        self.cancels = None;
        lock(&self.world).faults = Faults::default();
        self
    }
}
