//! What must hold of a run that has ended.

use std::sync::Arc;

use reflow_core::engine::{DispatchOptions, State, dispatch};
use reflow_core::id::JobId;
use reflow_core::journal::{Record, read_journal};
use reflow_core::rundir::RunDir;
use reflow_core::scheduler::Scheduler;
use tokio::time::Instant;

use super::super::check::{Oracle, Values};
use super::super::scheduler::{SimScheduler, lock};
use super::super::world::Faults;
use super::{Simulation, Summary};

impl Simulation {
    pub(super) async fn verify(
        mut self,
        dir: &RunDir,
        started: Instant,
    ) -> Result<(Summary, Values), String> {
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
            earlier: &self.earlier,
        };
        let (mut faults, values) = oracle.faults().map_err(|error| fail(error.to_string()))?;
        let disobeyed = world.disobeyed.iter();
        faults.extend(disobeyed.map(|what| format!("{what} was started after it was cancelled")));
        if !faults.is_empty() {
            return Err(fail(faults.join("\n  ")));
        }
        self.summary.bodies = world.starts.values().sum();
        self.summary.submits = world.submits;
        self.summary.seconds = started.elapsed().as_secs();
        Ok((self.summary, values))
    }
}
