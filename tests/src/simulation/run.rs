use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::engine::{
    Clock, DispatchOptions, Dispatched, EngineError, Probe, Services, State, SubmitRequest,
    dispatch, submit,
};
use reflow_core::id::{RunId, Tag};
use reflow_core::journal::{Holder, Liveness, Record, read_journal};
use reflow_core::results::{Outcome, ResultRecord};
use reflow_core::rundir::{BackendRecord, DispatchMode, JobEnvironment, Owner, RunDir};
use reflow_core::scheduler::{Capabilities, EndReason, ExitStatus, FailedParent, Scheduler};
use reflow_core::worker::{Call, TaskHost, WorkerMode, WorkerOptions, run_with};
use reflow_core::workflow::{Bound, Graph, Type};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::check::Oracle;
use super::random::Random;
use super::scheduler::{SimScheduler, lock};
use super::workflow;
use super::world::{Faults, IndexState, World};

/// Longest that a run may take, in virtual time.
const LONGEST: Duration = Duration::from_hours(4);
const TICK: Duration = Duration::from_millis(400);

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

/// Prints a step of the run, to find out how a failing seed came about.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "who replays a seed asks for its steps by the environment, and reads them on the terminal"
)]
fn trace(step: impl FnOnce() -> String) {
    if std::env::var_os("REFLOW_SIMULATION_TRACE").is_some() {
        println!("{:?} {}", Instant::now(), step());
    }
}

/// One dispatch that is being made.
struct Running {
    handle: JoinHandle<Result<Dispatched, EngineError>>,
    instance: Arc<Instance>,
    /// Where it is a job.
    job: Option<(usize, usize)>,
}

/// A process that plans.
#[derive(Debug)]
struct Instance {
    pid: u32,
    host: String,
    killed: AtomicBool,
    world: Arc<Mutex<World>>,
    gone: Arc<Mutex<BTreeSet<u32>>>,
    seed: u64,
}

#[async_trait]
impl Probe for Instance {
    async fn reach(&self, point: &'static str) {
        let (kill, freeze) = {
            let mut world = lock(&self.world);
            let (killed, frozen) = (world.faults.dispatch_killed, world.faults.dispatch_frozen);
            let freeze = world
                .random
                .happens(frozen)
                .then(|| Duration::from_secs(5 + world.random.below(150)));
            (world.random.happens(killed), freeze)
        };
        trace(|| {
            format!(
                "process {} reaches {point}{}",
                self.pid,
                if kill { " and is killed" } else { "" }
            )
        });
        if kill {
            self.killed.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        if let Some(freeze) = freeze {
            tokio::time::sleep(freeze).await;
        }
    }
}

#[derive(Debug)]
struct Table(Arc<Instance>);

impl Liveness for Table {
    fn own(&self) -> Holder {
        Holder {
            host: self.0.host.clone(),
            boot: self.0.seed.to_string(),
            pid: self.0.pid,
            started: 0,
        }
    }

    fn is_gone(&self, holder: &Holder) -> bool {
        holder.host == self.0.host
            && self
                .0
                .gone
                .lock()
                .is_ok_and(|gone| gone.contains(&holder.pid))
    }
}

/// The bodies of the simulated workflow.
struct Bodies<'a> {
    seed: u64,
    task: String,
    list: bool,
    world: &'a Mutex<World>,
    /// How many bodies may start before the worker is killed.
    left: Option<u32>,
}

impl TaskHost for Bodies<'_> {
    fn call(&mut self, mut call: Call<'_>) -> io::Result<ResultRecord> {
        call.start()?;
        trace(|| format!("body of {}[{}]", self.task, call.element));
        let key = (self.task.clone(), call.element);
        *lock(self.world).starts.entry(key.clone()).or_default() += 1;
        if let Some(left) = &mut self.left {
            if *left == 0 {
                lock(self.world).killed.push(key);
                return Err(io::Error::other("killed"));
            }
            *left -= 1;
        }
        let inputs: BTreeMap<String, Value> = call
            .inputs
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let result = ResultRecord::new(call.element, Outcome::Failed);
        Ok(
            match workflow::body(self.seed, &self.task, call.element, self.list, &inputs) {
                Some(value) => call.succeed(result, &value),
                None => result.with_message("it fails"),
            },
        )
    }
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
    finished: bool,
    summary: Summary,
}

fn capabilities(random: &mut Random) -> Capabilities {
    let failed_parent = *random.one(&[
        FailedParent::Cancelled,
        FailedParent::Cancelled,
        FailedParent::Runs,
        FailedParent::PendForever,
    ]);
    Capabilities {
        array_limit: *random.one(&[None, None, Some(3), Some(1)]),
        array_base: 0,
        element_wise: random.happens(700),
        failed_parent,
        after_not_ok: random.happens(900),
        not_before: true,
        concurrency_limit: random.happens(800),
        element_cancel: true,
        history: Some(Duration::from_secs(90)),
        submit_from_jobs: true,
        serves_indices: false,
        message_timeout: Duration::from_secs(10),
        may_stall: false,
        partitions: Vec::new(),
    }
}

fn faults(random: &mut Random) -> Faults {
    // A third of the runs has no faults, so that what only faults would hide is seen.
    if random.happens(330) {
        return Faults::default();
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
    }
}

impl Simulation {
    fn new(seed: u64, path: PathBuf) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let graph = workflow::random(&mut random);
        let capabilities = capabilities(&mut random);
        let faults = faults(&mut random);
        let world = Arc::new(Mutex::new(World {
            random,
            capabilities: capabilities.clone(),
            faults,
            jobs: Vec::new(),
            starts: BTreeMap::new(),
            killed: Vec::new(),
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
            finished: false,
            summary: Summary::default(),
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
            clock: Clock::from_fn(|| std::time::UNIX_EPOCH + Duration::from_hours(500_000)),
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
            let is_alive = self.advance(&dir);
            if self.finished && !is_alive && self.running.is_empty() {
                return self.verify(&dir, started).await;
            }
            // What `wait` does: nothing is left that would plan again, so it plans itself.
            quiet = if is_alive || !self.running.is_empty() {
                0
            } else {
                quiet + 1
            };
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
            tokio::time::sleep(TICK).await;
        }
        Err(format!(
            "seed {}: the run did not end; {}",
            self.seed, self.summary.rescues
        ))
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
        });
        self.running.push(Running {
            handle,
            instance,
            job,
        });
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
                match running.handle.await {
                    Ok(Ok(Dispatched::Done { finished, .. })) => {
                        self.finished |= finished.is_some();
                        ExitStatus::from_code(0)
                    }
                    Ok(Ok(Dispatched::Elsewhere)) => ExitStatus::from_code(0),
                    _ => ExitStatus::from_code(1),
                }
            };
            if let Some((job, index)) = running.job {
                lock(&self.world).end(job, index, exit);
            }
        }
    }

    /// Lets the batch system do its work; returns whether anything in it goes on or will.
    fn advance(&mut self, dir: &RunDir) -> bool {
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
        (0..world.jobs.len()).any(|job| !world.jobs[job].is_over() && !world.is_stuck(job))
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
            if self.summary.rescues > 0 && world.faults.spares_dispatch() {
                return Err(fail(
                    "nothing failed that plans, and yet nothing planned again".to_owned(),
                ));
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
        };
        let faults = oracle.faults().map_err(|error| fail(error.to_string()))?;
        if !faults.is_empty() {
            return Err(fail(faults.join("\n  ")));
        }
        self.summary.bodies = world.starts.values().sum();
        self.summary.submits = world.submits;
        self.summary.seconds = started.elapsed().as_secs();
        Ok(self.summary)
    }
}
