mod cluster;
mod seed;
mod verify;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reflow_core::engine::{
    Clock, DispatchOptions, EngineError, Probe, RetryRequest, Services, State, SubmitRequest,
    cancel, dispatch, retry, submit,
};
use reflow_core::id::{RunId, Tag};
use reflow_core::rundir::{
    BackendRecord, CacheChoices, DispatchMode, JobEnvironment, RunDir, Selection,
};
use reflow_core::scheduler::{EndReason, ExitStatus};
use reflow_core::workflow::{Bound, Graph};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::check::Values;
use super::process::{Instance, Table, trace};
use super::scheduler::{SimScheduler, lock};
use super::world::{World, process_time};

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
    if path.exists() {
        fs_err::remove_dir_all(&path).map_err(|error| error.to_string())?;
    }
    let play =
        |simulation: Simulation| tokio::task::LocalSet::new().block_on(&runtime, simulation.go());
    let (mut summary, values) = play(Simulation::new(seed, &path))?;
    if has_store(seed) {
        let (again, _) = play(Simulation::new(seed, &path).again(&path, values))
            .map_err(|fault| format!("{fault}\n  in a second run with the store of the first"))?;
        summary.submits += again.submits;
    }
    fs_err::remove_dir_all(&path).map_err(|error| error.to_string())?;
    Ok(summary)
}

/// Returns whether the run of a seed remembers its results, and is followed by another.
fn has_store(seed: u64) -> bool {
    seed.is_multiple_of(4)
}

/// Something that a process does to the run.
struct Running {
    handle: JoinHandle<Result<(), EngineError>>,
    instance: Arc<Instance>,
    /// Where it is a job.
    job: Option<(usize, usize)>,
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
    /// Where results are remembered.
    store: Option<PathBuf>,
    /// What the run before, with the same store, has values of.
    earlier: Values,
}

impl Simulation {
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
            run_id: RunId::new(format!("sim-{}-{}", self.seed, self.earlier.len()))
                .expect("a number is safe"),
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
            cache: CacheChoices {
                store: self.store.clone(),
                ..CacheChoices::default()
            },
        }
    }

    async fn go(mut self) -> Result<(Summary, Values), String> {
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
}
