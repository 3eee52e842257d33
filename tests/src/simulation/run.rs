use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reflow_core::elements::ElementSet;
use reflow_core::engine::{
    Clock, DispatchOptions, EngineError, Probe, RetryRequest, Services, State, SubmitRequest,
    cancel, dispatch, retry, submit,
};
use reflow_core::id::{JobId, RunId, Tag};
use reflow_core::journal::{Record, read_journal};
use reflow_core::rundir::{BackendRecord, DispatchMode, JobEnvironment, Owner, RunDir, Selection};
use reflow_core::scheduler::{Capabilities, EndReason, ExitStatus, FailedParent, Scheduler};
use reflow_core::worker::{WorkerMode, WorkerOptions, run_with};
use reflow_core::workflow::{Bound, Graph, TaskIndex, Type};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::check::Oracle;
use super::process::{Bodies, Instance, Table, trace};
use super::random::Random;
use super::scheduler::{SimScheduler, lock};
use super::workflow;
use super::world::{Faults, IndexState, World, process_time};

/// Longest that a run may take, in virtual time.
const LONGEST: Duration = Duration::from_hours(60);
const TICK: Duration = Duration::from_millis(400);
/// The tick while nothing but a watch is left to wait for.
const LONG_TICK: Duration = Duration::from_mins(2);

/// What a run was like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// Bodies started.
    pub bodies: u32,
    /// Requests sent.
    pub submits: u32,
    /// How often a dispatch from outside was needed, since nothing in the batch system would have planned
    /// again.
    pub rescues: u32,
    /// Virtual seconds.
    pub seconds: u64,
}

/// Makes the run of one seed below `scratch` and checks everything that must hold of it.
///
/// # Errors
///
/// What did not hold.
pub fn run(seed: u64, scratch: &Path) -> Result<Summary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let path = scratch.join(format!("run-{seed}"));
    let result =
        tokio::task::LocalSet::new().block_on(&runtime, Simulation::new(seed, path.clone())?.go());
    if result.is_ok() {
        fs_err::remove_dir_all(&path).map_err(|error| error.to_string())?;
    }
    result
}

/// Something that a process does to the run.
struct Running {
    handle: JoinHandle<Result<(), EngineError>>,
    instance: Arc<Instance>,
    /// Where it is a job.
    job: Option<(usize, usize)>,
}

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

struct Simulation {
    seed: u64,
    path: PathBuf,
    graph: Graph,
    world: Arc<Mutex<World>>,
    scheduler: Arc<SimScheduler>,
    gone: Arc<Mutex<BTreeSet<u32>>>,
    pids: AtomicU32,
    running: Vec<Running>,
    summary: Summary,
    /// How often somebody asks for another try of what failed, once the run has ended.
    retries: u32,
    retried: u32,
    /// What somebody cancels, and when.
    cancels: Option<(Duration, Vec<Selection>)>,
    /// Everything whose cancellation was asked for.
    asked: Vec<Vec<Selection>>,
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
    fn new(seed: u64, path: PathBuf) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let graph = workflow::random(&mut random);
        let capabilities = capabilities(&mut random);
        let faults = faults(&mut random);
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
        if path.exists() {
            fs_err::remove_dir_all(&path).map_err(|error| error.to_string())?;
        }
        Ok(Self {
            seed,
            path,
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
        })
    }

    fn instance(&self) -> Arc<Instance> {
        let pid = self.pids.fetch_add(1, Ordering::Relaxed);
        let host = if lock(&self.world).random.happens(500) {
            "a"
        } else {
            "b"
        };
        Arc::new(Instance {
            pid,
            host: host.to_owned(),
            killed: AtomicBool::new(false),
            world: Arc::clone(&self.world),
            gone: Arc::clone(&self.gone),
            seed: self.seed,
        })
    }

    fn services(instance: &Arc<Instance>) -> Services {
        Services {
            clock: {
                let started = lock(&instance.world).started;
                let (seed, pid) = (instance.seed, instance.pid);
                Clock::from_fn(move || process_time(seed, pid, started.elapsed()))
            },
            liveness: Arc::new(Table(Arc::clone(instance))),
            probe: Arc::clone(instance) as Arc<dyn Probe>,
        }
    }

    fn request(&self) -> SubmitRequest {
        SubmitRequest {
            graph: self.graph.clone(),
            parameters: Bound::default(),
            run_dir: self.path.clone(),
            run_id: RunId::new(format!("sim-{}", self.seed)).expect("a number is safe"),
            backend: BackendRecord {
                name: "simulation".to_owned(),
                max_queued: self
                    .seed
                    .is_multiple_of(7)
                    .then(|| 6 + (self.seed % 20) as u32),
                ..BackendRecord::default()
            },
            program: None,
            launcher: vec!["reflow".to_owned()],
            files: Vec::new(),
            dispatch: if self.seed.is_multiple_of(3) {
                DispatchMode::Worker
            } else {
                DispatchMode::Job
            },
            environment: JobEnvironment::default(),
            latency_ms: 0,
        }
    }

    async fn go(mut self) -> Result<Summary, String> {
        let started = Instant::now();
        let dir = self.submitted().await?;
        let mut quiet = 0;
        while started.elapsed() < LONGEST {
            self.reap().await;
            let (is_alive, is_watched) = self.advance(&dir);
            if let Some((at, what)) = &self.cancels
                && started.elapsed() >= *at
            {
                let what = what.clone();
                self.cancels = None;
                self.start_cancel(&dir, what);
            }
            if is_alive || !self.running.is_empty() {
                quiet = 0;
            } else if self.has_finished(&dir)? {
                if self.retried == self.retries {
                    return self.verify(&dir, started).await;
                }
                self.retried += 1;
                self.start_retry(&dir);
            } else if !is_watched {
                quiet += 1;
            }
            // What `wait` does: nothing is left that would plan again, so it plans itself.
            if quiet > 25 {
                quiet = 0;
                self.summary.rescues += 1;
                self.start_dispatch(&dir, None, None);
            } else {
                let doubled = lock(&self.world).faults.doubled;
                if lock(&self.world).random.happens(doubled) {
                    self.start_dispatch(&dir, None, None);
                }
            }
            let is_idle = is_watched && !is_alive && self.running.is_empty();
            tokio::time::sleep(if is_idle { LONG_TICK } else { TICK }).await;
        }
        Err(format!(
            "seed {}: the run did not end; {}",
            self.seed, self.summary.rescues
        ))
    }

    /// Returns whether the run has ended, and all that was asked of it is done.
    fn has_finished(&self, dir: &RunDir) -> Result<bool, String> {
        let state = State::read(dir, &self.graph).map_err(|error| error.to_string())?;
        let requests = dir
            .requests_since(state.requests)
            .map_err(|error| error.to_string())?;
        Ok(state.finished.is_some() && requests.is_empty())
    }

    /// Asks for another try of all that ended without a value.
    fn start_retry(&mut self, dir: &RunDir) {
        trace(|| "somebody asks for another try".to_owned());
        let instance = self.instance();
        let services = Self::services(&instance);
        let (dir, scheduler) = (dir.clone(), Arc::clone(&self.scheduler));
        let handle = tokio::task::spawn_local(async move {
            retry(&dir, scheduler.as_ref(), &services, RetryRequest::default())
                .await
                .map(|_| ())
        });
        self.start(handle, instance, None);
    }

    /// Cancels elements, or the run.
    fn start_cancel(&mut self, dir: &RunDir, what: Vec<Selection>) {
        trace(|| format!("somebody cancels {what:?}"));
        self.asked.push(what.clone());
        let instance = self.instance();
        let services = Self::services(&instance);
        let (dir, scheduler) = (dir.clone(), Arc::clone(&self.scheduler));
        let handle = tokio::task::spawn_local(async move {
            let report = cancel(&dir, scheduler.as_ref(), &services, &what).await?;
            if report.left.is_empty() && !report.was_over {
                lock(&scheduler.world).cancelled.push(what);
            }
            Ok(())
        });
        self.start(handle, instance, None);
    }

    fn start(
        &mut self,
        handle: JoinHandle<Result<(), EngineError>>,
        instance: Arc<Instance>,
        job: Option<(usize, usize)>,
    ) {
        self.running.push(Running {
            handle,
            instance,
            job,
        });
    }

    /// Submits until the run exists: a submit that is killed leaves a run that `wait` goes on with.
    async fn submitted(&mut self) -> Result<RunDir, String> {
        let instance = self.instance();
        let (request, scheduler) = (self.request(), Arc::clone(&self.scheduler));
        let services = Self::services(&instance);
        let handle = tokio::task::spawn_local(async move {
            submit(request, scheduler.as_ref(), &services)
                .await
                .map(|_| ())
        });
        while !handle.is_finished() {
            if instance.killed.load(Ordering::Relaxed) {
                handle.abort();
            }
            tokio::time::sleep(TICK).await;
        }
        if let Ok(mut gone) = self.gone.lock() {
            gone.insert(instance.pid);
        }
        RunDir::open(&self.path).map_err(|error| format!("seed {}: {error}", self.seed))
    }

    fn start_dispatch(&mut self, dir: &RunDir, job: Option<(usize, usize)>, own: Option<Tag>) {
        let instance = self.instance();
        let services = Self::services(&instance);
        let (dir, scheduler) = (dir.clone(), Arc::clone(&self.scheduler));
        let handle = tokio::task::spawn_local(async move {
            dispatch(
                &dir,
                scheduler.as_ref(),
                &services,
                &DispatchOptions { own, force: false },
            )
            .await
            .map(|_| ())
        });
        self.start(handle, instance, job);
    }

    /// Ends dispatches that have ended or were killed.
    async fn reap(&mut self) {
        for running in std::mem::take(&mut self.running) {
            let was_killed = running.instance.killed.load(Ordering::Relaxed);
            if !was_killed && !running.handle.is_finished() {
                self.running.push(running);
                continue;
            }
            if let Ok(mut gone) = self.gone.lock() {
                gone.insert(running.instance.pid);
            }
            let exit = if was_killed {
                running.handle.abort();
                ExitStatus {
                    signal: Some(9),
                    ..ExitStatus::new(EndReason::NodeFailure)
                }
            } else {
                let is_done = matches!(running.handle.await, Ok(Ok(())));
                ExitStatus::from_code(i32::from(!is_done))
            };
            if let Some((job, index)) = running.job {
                lock(&self.world).end(job, index, exit);
            }
        }
    }

    /// Lets the batch system do its work; returns whether anything in it goes on or will, and whether a watch
    /// will.
    fn advance(&mut self, dir: &RunDir) -> (bool, bool) {
        self.end_due(dir);
        let starting = lock(&self.world).advance();
        for (job, index) in starting {
            let (is_driver, tag) = {
                let world = lock(&self.world);
                (
                    world.jobs[job].is_driver(),
                    world.jobs[job].request.tag.clone(),
                )
            };
            let mut world = lock(&self.world);
            let cancelled = if is_driver {
                world.faults.dispatch_cancelled
            } else {
                world.faults.lost_pending
            };
            if world.random.happens(cancelled) {
                world.end(job, index, ExitStatus::new(EndReason::Cancelled));
            } else if is_driver {
                world.jobs[job].indices[index].state = IndexState::Dispatching;
                drop(world);
                self.start_dispatch(dir, Some((job, index)), Some(tag));
            } else {
                let ends = Instant::now() + Duration::from_millis(200 + world.random.below(20_000));
                let late = world.random.happens(500);
                world.jobs[job].indices[index].state = IndexState::Running {
                    ends,
                    exit: None,
                    late,
                };
                drop(world);
                self.count_running(job);
                if !late {
                    let exit = self.work(dir, job, index);
                    lock(&self.world).jobs[job].indices[index].state = IndexState::Running {
                        ends,
                        exit: Some(exit),
                        late,
                    };
                }
            }
        }
        let world = lock(&self.world);
        // What can never start does not keep a run going.
        let going = |wanted: bool| {
            (0..world.jobs.len()).any(|job| {
                let entry = &world.jobs[job];
                entry.is_watch() == wanted && !entry.is_over() && !world.is_stuck(job)
            })
        };
        // A watch does only where something happens that it is there for: that it was needed for something
        // else would go unnoticed.
        let is_spared = world.faults.spares_dispatch(&world.capabilities);
        (going(false), going(true) && !is_spared)
    }

    /// Returns whether workers of a job run bodies: those of a request that was given up do not.
    fn is_owned(&self, job: &super::world::Job) -> bool {
        let owner = self
            .path
            .join(format!(".reflow/results/{}.owner", job.request.tag));
        !matches!(Owner::read(&owner), Ok(Some(Owner::Void)))
    }

    /// Counts the elements of a task whose body has not ended: a job may go on for a while after its
    /// worker has written the result.
    fn count_running(&self, job: usize) {
        let mut world = lock(&self.world);
        let task = world.jobs[job].task();
        let running: usize = world
            .jobs
            .iter()
            .filter(|other| other.task() == task && self.is_owned(other))
            .map(|other| {
                other
                    .indices
                    .iter()
                    .filter(|index| matches!(index.state, IndexState::Running { exit: None, .. }))
                    .count()
            })
            .sum();
        let most = world.most_running.entry(task).or_default();
        *most = (*most).max(running as u32);
    }

    /// Ends what is due.
    fn end_due(&mut self, dir: &RunDir) {
        let due: Vec<(usize, usize, Option<ExitStatus>)> = {
            let world = lock(&self.world);
            let all = world.jobs.iter().enumerate().flat_map(|(job, entry)| {
                (0..)
                    .zip(&entry.indices)
                    .map(move |(index, state)| (job, index, state))
            });
            all.filter_map(|(job, index, entry)| match &entry.state {
                IndexState::Running { ends, exit, .. } if *ends <= Instant::now() => {
                    Some((job, index, exit.clone()))
                }
                _ => None,
            })
            .collect()
        };
        for (job, index, exit) in due {
            let exit = exit.unwrap_or_else(|| self.work(dir, job, index));
            lock(&self.world).end(job, index, exit);
        }
    }

    /// Runs a worker of the real kind.
    fn work(&mut self, dir: &RunDir, job: usize, index: usize) -> ExitStatus {
        let (tag, id, task, left) = {
            let mut world = lock(&self.world);
            let killed = world.faults.killed;
            let left = world
                .random
                .happens(killed)
                .then(|| world.random.below(2) as u32);
            let entry = &world.jobs[job];
            (
                entry.request.tag.clone(),
                entry.id.clone(),
                entry.task(),
                left,
            )
        };
        let index_of = self.graph.find(&task).expect("a job runs a task");
        let list = self
            .graph
            .find(&task)
            .is_some_and(|task| matches!(self.graph.declared(task).returns, Type::List(_)));
        let options = WorkerOptions {
            run_dir: dir.path().to_owned(),
            submission: tag,
            mode: WorkerMode::Index(index as u32),
            job: Some(id),
            node: "node".to_owned(),
            environment: Vec::new(),
            stop: None,
        };
        let mut bodies = Bodies {
            seed: self.seed,
            task,
            index: index_of,
            may_be_retried: self.retried > 0,
            list,
            world: &self.world,
            left,
        };
        let report = run_with(&options, &mut bodies);
        trace(|| format!("worker of {} index {index}: {report:?}", options.submission));
        match report {
            Ok(report) => {
                if report.plans {
                    self.start_dispatch(dir, None, None);
                }
                ExitStatus::from_code(i32::from(report.exit_status()))
            }
            Err(_) => ExitStatus {
                signal: Some(9),
                ..ExitStatus::new(EndReason::NodeFailure)
            },
        }
    }

    async fn verify(mut self, dir: &RunDir, started: Instant) -> Result<Summary, String> {
        let fail = |what: String| format!("seed {}: {what}", self.seed);
        let journal =
            read_journal(&dir.inside("journal")).map_err(|error| fail(error.to_string()))?;
        let state = State::fold(&self.graph, &journal.entries);
        let short = State::read(dir, &self.graph).map_err(|error| fail(error.to_string()))?;
        if short != state {
            return Err(fail("a checkpoint gives another state".to_owned()));
        }
        if state.finished.is_none() {
            return Err(fail("the run has not finished".to_owned()));
        }
        // Planning again changes nothing.
        let quiet = Arc::new(SimScheduler {
            world: Arc::clone(&self.world),
            capabilities: self.scheduler.capabilities().clone(),
        });
        {
            let mut world = lock(&self.world);
            if self.summary.rescues > 0 && world.faults.spares_dispatch(&world.capabilities) {
                return Err(fail(
                    "nothing failed that plans, and yet nothing planned again".to_owned(),
                ));
            }
            if world.faults.spares_dispatch(&world.capabilities) {
                let left: Vec<&JobId> = (world.jobs.iter())
                    .filter(|job| !job.is_over())
                    .map(|job| &job.id)
                    .collect();
                if !left.is_empty() {
                    return Err(fail(format!("{left:?} stay in the queue for ever")));
                }
            }
            // Cancelled jobs stay cancelled; nothing else goes wrong from here on.
            world.faults = Faults {
                lost_pending: world.faults.lost_pending,
                not_known: world.faults.not_known,
                ..Faults::default()
            };
        }
        let services = Self::services(&self.instance());
        dispatch(
            dir,
            quiet.as_ref(),
            &services,
            &DispatchOptions {
                own: None,
                force: true,
            },
        )
        .await
        .map_err(|error| fail(error.to_string()))?;
        let again =
            read_journal(&dir.inside("journal")).map_err(|error| fail(error.to_string()))?;
        let new = again.entries.iter().skip(journal.entries.len());
        let new: Vec<_> = new
            .filter(|entry| !matches!(entry.record, Record::Term { .. } | Record::Released))
            .collect();
        if !new.is_empty() {
            return Err(fail(format!("planning a finished run again wrote {new:?}")));
        }
        let world = lock(&self.world);
        let oracle = Oracle {
            seed: self.seed,
            graph: &self.graph,
            dir,
            world: &world,
            state: &state,
            asked: &self.asked,
            requests: self.retried,
        };
        let mut faults = oracle.faults().map_err(|error| fail(error.to_string()))?;
        let disobeyed = world.disobeyed.iter();
        faults.extend(disobeyed.map(|what| format!("{what} was started after it was cancelled")));
        if !faults.is_empty() {
            return Err(fail(faults.join("\n  ")));
        }
        self.summary.bodies = world.starts.values().sum();
        self.summary.submits = world.submits;
        self.summary.seconds = started.elapsed().as_secs();
        Ok(self.summary)
    }
}
