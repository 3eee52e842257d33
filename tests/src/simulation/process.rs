//! The processes of a simulated run: those that plan, and the bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reflow_core::engine::Probe;
use reflow_core::journal::{Holder, Liveness};
use reflow_core::results::{Outcome, ResultRecord};
use reflow_core::worker::{Call, TaskHost};
use reflow_core::workflow::TaskIndex;
use serde_json::Value;
use tokio::time::Instant;

use super::scheduler::lock;
use super::workflow;
use super::world::World;

/// Prints a step of the run, to find out how a failing seed came about.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "who replays a seed asks for its steps by the environment, and reads them on the terminal"
)]
pub(super) fn trace(step: impl FnOnce() -> String) {
    if std::env::var_os("REFLOW_SIMULATION_TRACE").is_some() {
        println!("{:?} {}", Instant::now(), step());
    }
}

/// A process that plans.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) pid: u32,
    pub(super) host: String,
    pub(super) killed: AtomicBool,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) gone: Arc<Mutex<BTreeSet<u32>>>,
    pub(super) seed: u64,
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
pub(super) struct Table(pub(super) Arc<Instance>);

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
pub(super) struct Bodies<'a> {
    pub(super) seed: u64,
    pub(super) task: String,
    pub(super) index: TaskIndex,
    /// Whether somebody has asked for another try of what was cancelled.
    pub(super) may_be_retried: bool,
    pub(super) list: bool,
    pub(super) world: &'a Mutex<World>,
    /// How many bodies may start before the worker is killed.
    pub(super) left: Option<u32>,
}

impl TaskHost for Bodies<'_> {
    fn call(&mut self, mut call: Call<'_>) -> io::Result<ResultRecord> {
        call.start()?;
        trace(|| {
            format!(
                "body of {}[{}], try {}",
                self.task, call.element, call.attempt
            )
        });
        let key = (self.task.clone(), call.element, call.attempt);
        {
            let mut world = lock(self.world);
            *world.starts.entry(key.clone()).or_default() += 1;
            let is_cancelled = world.cancelled.iter().any(|what| {
                what.is_empty() || what.iter().any(|it| it.contains(self.index, call.element))
            });
            // After a retry, what was cancelled may run again.
            if is_cancelled && !self.may_be_retried {
                let what = format!("{}[{}]", self.task, call.element);
                world.disobeyed.push(what);
            }
        }
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
        if call.attempt == 1 && workflow::is_flaky(self.seed, &self.task, call.element) {
            return Ok(result.with_message("it fails the first time"));
        }
        Ok(
            match workflow::body(self.seed, &self.task, call.element, self.list, &inputs) {
                Some(value) => call.succeed(result, &value),
                None => result.with_message("it fails"),
            },
        )
    }
}
