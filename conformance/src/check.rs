use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::perform::removed;
use crate::site::new_tag;
use crate::{Case, CaseOutcome, CaseReport, Failure, Setup, cases, perform};

/// How the suite is run.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// Cases with one of these words in their name or clause; all where there is none.
    pub filter: Vec<String>,
    /// Most cases under way at the same time, at least one.
    pub at_once: usize,
    /// Whether cases that take minutes are run as well.
    pub slow: bool,
    /// Most time for one case; one that takes longer has failed.
    pub limit: Duration,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            filter: Vec::new(),
            at_once: 8,
            slow: false,
            limit: Duration::from_mins(30),
        }
    }
}

/// How the suite ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The backend.
    pub backend: String,
    /// Each case that the filter let through, in the order of the suite.
    pub cases: Vec<CaseReport>,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many do not apply, or were left out, each with its reason.
    pub ignored: usize,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What could not be removed: jobs by id, and directories.
    pub left: Vec<String>,
}

/// Runs the suite on `setup`, and calls `report` as each case ends.
///
/// Nothing is left behind: every job is cancelled, and the directory that is made in the scratch directory
/// is removed, also when a case fails, takes too long, or when `interrupted` ends. What could not be
/// removed is named in [`Report::left`]. Dropping the future leaves jobs behind; end it by `interrupted`.
///
/// # Errors
/// When no directory can be made in the scratch directory: nothing was run.
pub async fn check(
    mut setup: Setup,
    options: &CheckOptions,
    interrupted: impl Future<Output = ()>,
    mut report: impl FnMut(&CaseReport),
) -> Result<Report, Failure> {
    let started = Instant::now();
    let scratch = setup.scratch.join(format!("reflow-check-{}", new_tag()));
    fs_err::create_dir(&scratch)?;
    setup.scratch.clone_from(&scratch);
    let (stop, stopped) = watch::channel(false);
    let mut interrupted = std::pin::pin!(interrupted);
    let mut waiting: VecDeque<(usize, Case)> = cases()
        .into_iter()
        .filter(|case| options.takes(case))
        .enumerate()
        .collect();
    let mut under_way = JoinSet::new();
    let mut ended: Vec<(usize, CaseReport)> = Vec::new();
    loop {
        while under_way.len() < options.at_once.max(1)
            && let Some((place, case)) = waiting.pop_front()
        {
            if let Some(reason) = options.leaves_out(&case, &setup, *stop.borrow()) {
                let one = left_out(&case, reason);
                report(&one);
                ended.push((place, one));
                continue;
            }
            let (setup, limit, stopped) = (setup.clone(), options.limit, stopped.clone());
            under_way
                .spawn(async move { (place, perform(case, &setup, limit, told(stopped)).await) });
        }
        let is_stopped = *stop.borrow();
        tokio::select! {
            one = under_way.join_next() => match one {
                None => break,
                Some(Ok((place, one))) => {
                    report(&one);
                    ended.push((place, one));
                }
                // `perform` catches the panics of cases.
                Some(Err(error)) => return Err(Failure::new(error.to_string())),
            },
            () = &mut interrupted, if !is_stopped => {
                stop.send_replace(true);
            }
        }
    }
    ended.sort_by_key(|(place, _)| *place);
    let cases: Vec<CaseReport> = ended.into_iter().map(|(_, one)| one).collect();
    let interrupted = *stop.borrow();
    Ok(summary(&setup, cases, interrupted, started, &scratch).await)
}

impl CheckOptions {
    fn takes(&self, case: &Case) -> bool {
        let fits = |word: &String| case.name.contains(word.as_str()) || case.clause == word;
        self.filter.is_empty() || self.filter.iter().any(fits)
    }

    fn leaves_out(&self, case: &Case, setup: &Setup, stopped: bool) -> Option<&'static str> {
        if stopped {
            Some("it was interrupted")
        } else if case.is_slow(setup) && !self.slow {
            Some("takes minutes: part of the full check")
        } else {
            None
        }
    }
}

/// Ends when `stopped` becomes true.
async fn told(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        // Whoever could have stopped it is gone.
        std::future::pending::<()>().await;
    }
}

fn left_out(case: &Case, reason: &str) -> CaseReport {
    CaseReport {
        name: case.name.to_owned(),
        clause: case.clause.to_owned(),
        outcome: CaseOutcome::Ignored {
            reason: reason.to_owned(),
        },
        seconds: 0.0,
        left: Vec::new(),
    }
}

async fn summary(
    setup: &Setup,
    cases: Vec<CaseReport>,
    interrupted: bool,
    started: Instant,
    scratch: &Path,
) -> Report {
    let count = |is: fn(&CaseOutcome) -> bool| cases.iter().filter(|one| is(&one.outcome)).count();
    let mut left: Vec<String> = cases.iter().flat_map(|one| one.left.clone()).collect();
    left.extend(
        removed(scratch)
            .await
            .map(|path| path.display().to_string()),
    );
    Report {
        backend: setup.scheduler.name().to_owned(),
        passed: count(|outcome| matches!(outcome, CaseOutcome::Passed)),
        failed: count(|outcome| matches!(outcome, CaseOutcome::Failed { .. })),
        ignored: count(|outcome| matches!(outcome, CaseOutcome::Ignored { .. })),
        interrupted,
        seconds: started.elapsed().as_secs_f64(),
        left,
        cases,
    }
}
