//! What the model batch system does as time passes.

use std::time::Duration;

use reflow_core::rundir::{Owner, RunDir};
use reflow_core::scheduler::{EndReason, ExitStatus};
use reflow_core::worker::{WorkerMode, WorkerOptions, run_with};
use reflow_core::workflow::Type;
use tokio::time::Instant;

use super::super::process::{Bodies, trace};
use super::super::scheduler::lock;
use super::super::world::{IndexState, Job};
use super::Simulation;

impl Simulation {
    /// Lets the batch system do its work; returns whether anything in it goes on or will, and whether a watch
    /// will.
    pub(super) fn advance(&mut self, dir: &RunDir) -> (bool, bool) {
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
    fn is_owned(&self, job: &Job) -> bool {
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
}
