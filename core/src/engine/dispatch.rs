use std::io;

use fs_err as fs;

use super::pass::Pass;
use super::{EngineError, RunState, Services};
use crate::id::Tag;
use crate::journal::{Taken, take};
use crate::rundir::{RunDir, create_exclusive};
use crate::scheduler::Scheduler;
use crate::workflow::Graph;

/// How a dispatch is made.
#[derive(Debug, Clone, Default)]
pub struct DispatchOptions {
    /// The dispatch or guard job that makes it, where it is one.
    pub own: Option<Tag>,
    /// Whether to take over from whoever holds the lease, alive or not.
    pub force: bool,
}

/// What became of a dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatched {
    /// It was made.
    Done {
        /// How the run ended, if it has.
        finished: Option<RunState>,
        /// Why nothing could be queued.
        paused: Option<String>,
        /// The first task that the batch system refused for good, with its words.
        refused: Option<(String, String)>,
    },
    /// Another process holds the lease; it was asked to plan again before it ends.
    Elsewhere,
}

/// Makes one pass of the planner over a run: takes in what workers and batch system say, plans, and
/// carries the plan out.
///
/// May be called at any time, from anywhere, any number of times. When the lease is held, leaves a
/// request for the holder and returns.
///
/// # Errors
///
/// [`EngineError::TakenOver`] when another process took the lease meanwhile: it goes on. What was sent
/// until then is recorded.
pub async fn dispatch(
    dir: &RunDir,
    scheduler: &dyn Scheduler,
    services: &Services,
    options: &DispatchOptions,
) -> Result<Dispatched, EngineError> {
    let graph = Graph::check(dir.record().description.clone())?;
    let mut has_asked = false;
    loop {
        services.probe.reach("take-lease").await;
        match take(
            &dir.inside("journal"),
            services.liveness.as_ref(),
            &services.clock,
            options.force,
        )
        .await?
        {
            Taken::Held(holder) => {
                tracing::debug!(?holder, "the lease is held");
                if has_asked {
                    return Ok(Dispatched::Elsewhere);
                }
                // Once the request is there, a holder that is just ending sees it; if it has ended
                // between our two looks, the second finds the lease free.
                ask(dir)?;
                has_asked = true;
            }
            Taken::Mine(lease, journal) => {
                let mut pass = Pass::new(
                    dir,
                    &graph,
                    scheduler,
                    services,
                    lease,
                    &journal,
                    options.own.clone(),
                );
                let done = pass.run().await?;
                services.probe.reach("look-for-wake").await;
                if !matches!(
                    done,
                    Dispatched::Done {
                        finished: Some(_),
                        ..
                    }
                ) && !wakes(dir)?.is_empty()
                {
                    continue;
                }
                return Ok(done);
            }
        }
    }
}

/// Asks whoever holds the lease to plan again.
fn ask(dir: &RunDir) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    create_exclusive(
        &dir.inside("wake")
            .join(data_encoding::HEXLOWER.encode(&random)),
        b"",
    )
    .map(|_| ())
}

/// Returns the requests to plan again.
pub(super) fn wakes(dir: &RunDir) -> io::Result<Vec<std::path::PathBuf>> {
    let mut wakes = Vec::new();
    for entry in fs::read_dir(dir.inside("wake"))? {
        let path = entry?.path();
        if path
            .file_name()
            .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        {
            wakes.push(path);
        }
    }
    Ok(wakes)
}
