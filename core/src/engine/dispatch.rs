use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::checkpoint::{self, Checkpoint};
use super::pass::Pass;
use super::{EngineError, RunState, Services, State};
use crate::id::Tag;
use crate::journal::{Taken, take};
use crate::rundir::{RunDir, create_exclusive};
use crate::scheduler::Scheduler;
use crate::workflow::Graph;

/// How often it is looked whether the holder of the lease has taken a request.
const LOOK: Duration = Duration::from_millis(200);

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
    let mut request: Option<PathBuf> = None;
    let mut from: Option<Checkpoint> = None;
    loop {
        if request.as_ref().is_some_and(|request| !request.exists()) {
            return Ok(Dispatched::Elsewhere);
        }
        if from.is_none() {
            from = Checkpoint::newest(dir, &graph)?.map(|(checkpoint, _)| checkpoint);
        }
        services.probe.reach("engine/take-lease").await;
        match take(
            &dir.inside("journal"),
            services.liveness.as_ref(),
            &services.clock,
            options.force,
            from.as_ref().map_or(0, Checkpoint::term),
        )
        .await?
        {
            Taken::Held(holder) => {
                tracing::debug!(?holder, "the lease is held");
                // We stay until the holder has taken the request, or the lease is free: if the holder
                // died now, nobody else would know that we were here.
                match request {
                    Some(_) => tokio::time::sleep(LOOK).await,
                    None => request = Some(ask(dir, options.own.as_ref())?),
                }
            }
            Taken::Mine(lease, journal) => {
                // A later version of the workflow whose request was answered before we came is in force.
                let later = dir.reopened()?;
                let dir = later.as_ref().unwrap_or(dir);
                let later_graph = match &later {
                    Some(later) => Some(Graph::check(later.record().description.clone())?),
                    None => None,
                };
                let graph = later_graph.as_ref().unwrap_or(&graph);
                let state = State::after(from.take(), graph, &journal);
                if checkpoint::is_due(&journal) {
                    services.probe.reach("engine/checkpoint").await;
                    checkpoint::write(dir, lease.term(), journal.since, &state);
                }
                let mut pass = Pass::new(
                    dir,
                    graph,
                    scheduler,
                    services,
                    lease,
                    state,
                    options.own.clone(),
                );
                let done = pass.run().await?;
                services.probe.reach("engine/look-for-wake").await;
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

/// Asks whoever holds the lease to plan again, in the name of the job `own`.
fn ask(dir: &RunDir, own: Option<&Tag>) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let path = dir
        .inside("wake")
        .join(data_encoding::HEXLOWER.encode(&random));
    crate::fault::reach("wake/ask");
    create_exclusive(&path, own.map_or("", Tag::as_str).as_bytes())?;
    Ok(path)
}

/// Returns the job that made a request, if one did.
pub(super) fn asker(request: &Path) -> io::Result<Option<Tag>> {
    match fs::read(request) {
        Ok(bytes) => Ok(String::from_utf8(bytes)
            .ok()
            .and_then(|text| Tag::new(text).ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the requests to plan again.
pub(super) fn wakes(dir: &RunDir) -> io::Result<Vec<PathBuf>> {
    let mut wakes = Vec::new();
    for entry in fs::read_dir(dir.inside("wake"))? {
        let entry = entry?;
        // A directory is nobody's request.
        if entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if path
            .file_name()
            .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        {
            wakes.push(path);
        }
    }
    Ok(wakes)
}
