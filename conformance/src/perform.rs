use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reflow_core::id::JobId;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Case, Failure, FaultyRig, Fixture, Outcome, Rig, Setup, Site};

/// How often the directory of a case is tried to be removed: another client of a shared file system may
/// still write into it for a moment.
const REMOVALS: u32 = 20;

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseReport {
    /// What is promised.
    pub name: String,
    /// The clause of the contract.
    pub clause: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: CaseOutcome,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it could not remove: jobs by id, and directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// Whether a case passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CaseOutcome {
    /// The promise is kept.
    Passed,
    /// It is not.
    Failed {
        /// What happened instead.
        reason: String,
    },
    /// It does not apply here.
    Ignored {
        /// Why.
        reason: String,
    },
}

/// Returns why `case` does not apply to `setup`, if it does not.
pub fn unmet(case: &Case, setup: &Setup) -> Option<&'static str> {
    if !(case.needs.holds)(setup) {
        return Some(case.needs.otherwise);
    }
    match case.fixture {
        Fixture::Rig(part, _) if !setup.rig.contains_key(&part) => Some(part.otherwise()),
        Fixture::Faulty(_) if setup.faulty.is_none() => {
            Some("needs programs of the batch system that a test can make fail")
        }
        _ => None,
    }
}

/// Runs one case, in a directory of its own in the scratch directory, and cleans up after it: what it
/// submitted is cancelled, whether it passed, failed, panicked, took longer than `limit`, or `interrupted`
/// came first. Must be called within a tokio runtime.
pub async fn perform(
    case: Case,
    setup: &Setup,
    limit: Duration,
    interrupted: impl Future<Output = ()>,
) -> CaseReport {
    let started = Instant::now();
    let (outcome, left) = match unmet(&case, setup) {
        Some(reason) => (ignored(reason), Vec::new()),
        None => run(case, setup, limit, interrupted).await,
    };
    CaseReport {
        name: case.name.to_owned(),
        clause: case.clause.to_owned(),
        outcome,
        seconds: started.elapsed().as_secs_f64(),
        left,
    }
}

fn ignored(reason: impl Into<String>) -> CaseOutcome {
    CaseOutcome::Ignored {
        reason: reason.into(),
    }
}

async fn run(
    case: Case,
    setup: &Setup,
    limit: Duration,
    interrupted: impl Future<Output = ()>,
) -> (CaseOutcome, Vec<String>) {
    let directory = setup.scratch.join(case.name);
    if let Err(error) = fs_err::create_dir_all(&directory) {
        let reason = error.to_string();
        return (CaseOutcome::Failed { reason }, Vec::new());
    }
    let site = Arc::new(Site::new(setup, directory.clone()));
    // A task of its own, so that a panic of a backend is the failure of one case.
    let mut task = tokio::spawn(on_fixture(case, setup.clone(), site.clone()));
    let outcome = tokio::select! {
        ended = &mut task => match ended {
            Ok(Ok(())) => CaseOutcome::Passed,
            Ok(Err(Failure::Failed(reason))) => CaseOutcome::Failed { reason },
            Ok(Err(Failure::DoesNotApply(reason))) => ignored(reason),
            Err(panic) => CaseOutcome::Failed { reason: panic.to_string() },
        },
        () = sleep(limit) => CaseOutcome::Failed {
            reason: format!("it was given up after {} s", limit.as_secs()),
        },
        () = interrupted => ignored("it was interrupted"),
    };
    if !task.is_finished() {
        task.abort();
        // Ended in any way: what matters is that it submits nothing more.
        let _ended = task.await;
    }
    let jobs = site.clean().await;
    let mut left: Vec<String> = jobs.iter().map(JobId::to_string).collect();
    if let Some(directory) = removed(&directory).await {
        left.push(directory.display().to_string());
    }
    (outcome, left)
}

async fn on_fixture(case: Case, setup: Setup, site: Arc<Site>) -> Outcome {
    match case.fixture {
        Fixture::Site(run) => run(&site).await,
        Fixture::Rig(part, run) => {
            let Some(other) = setup.rig.get(&part).cloned() else {
                return Err(Failure::does_not_apply(part.otherwise()));
            };
            run(&Rig { site, other }).await
        }
        Fixture::Faulty(run) => {
            let Some(faulty) = &setup.faulty else {
                return Err(Failure::does_not_apply("needs programs that can fail"));
            };
            let directory = site.path().join("programs");
            fs_err::create_dir(&directory)?;
            let clients = faulty.connect(&directory).await.map_err(Failure::new)?;
            let rig = FaultyRig { site, clients };
            let outcome = run(&rig).await;
            rig.clients.clear();
            outcome
        }
    }
}

/// Removes a directory, and returns it where it cannot be.
pub(crate) async fn removed(directory: &Path) -> Option<PathBuf> {
    for _ in 0..REMOVALS {
        match fs_err::remove_dir_all(directory) {
            Ok(()) => return None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(_) => sleep(Duration::from_millis(250)).await,
        }
    }
    Some(directory.to_owned())
}
