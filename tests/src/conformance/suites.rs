use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use reflow_conformance::{Case, CaseOutcome, Setup, cases, perform};
use tokio::runtime::Runtime;

use super::fakes::Rigged;
use crate::cases::is_set;
use crate::slurm::figure;

/// Cases under way at the same time: they mostly wait.
const AT_ONCE: usize = 8;

/// Most time for one case.
const LIMIT: Duration = Duration::from_mins(15);

/// The suite over one batch system.
#[derive(Debug)]
pub struct Suite {
    /// What the batch system is called in the results.
    pub name: &'static str,
    /// The batch system.
    pub system: System,
}

/// A batch system that the suite may run on.
#[derive(Debug)]
pub enum System {
    /// It is here.
    Here(Box<Setup>),
    /// It is not here, for this reason: every case is shown as ignored.
    NotHere(String),
    /// It should be here, and is not, for this reason: that is a failure.
    Broken(String),
}

impl From<Result<Setup, String>> for System {
    fn from(setup: Result<Setup, String>) -> Self {
        match setup {
            Ok(setup) => Self::Here(Box::new(setup)),
            Err(reason) => Self::Broken(reason),
        }
    }
}

/// Runs the suites over batch systems that last as long as it takes.
pub fn run_rigged(arguments: &Arguments, runtime: &Runtime, rigged: Vec<Rigged>) -> ExitCode {
    let (suites, lasting): (Vec<_>, Vec<_>) = rigged.into_iter().map(Rigged::take).unzip();
    let code = run_suites(arguments, runtime, suites, Vec::new());
    drop(lasting);
    code
}

/// Runs the suites as `cargo test` does, prints how many cases passed, failed and were ignored on each,
/// and returns the exit code of the test program. `more` are tests besides the suites.
pub fn run_suites(
    arguments: &Arguments,
    runtime: &Runtime,
    suites: Vec<Suite>,
    more: Vec<Trial>,
) -> ExitCode {
    let full = is_set("REFLOW_TEST_FULL");
    let mut arguments = arguments.clone();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let mut trials = more;
    let mut tallies = Vec::new();
    for suite in suites {
        let tally = Tally::default();
        for case in cases() {
            trials.push(trial(&suite, case, full, tally.clone(), runtime));
        }
        if let System::Broken(reason) = suite.system {
            trials.push(Trial::test(
                format!("{}::the_suite_runs", suite.name),
                || Err(Failed::from(reason)),
            ));
        }
        tallies.push((suite.name, tally));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        for (name, tally) in tallies {
            figure(format!("conformance of {name}: {}", tally.words()));
        }
    }
    conclusion.exit_code()
}

/// How the cases of one suite ended.
#[derive(Debug, Clone, Default)]
struct Tally(Arc<Mutex<[usize; 3]>>);

impl Tally {
    fn add(&self, outcome: &CaseOutcome) {
        let place = match outcome {
            CaseOutcome::Passed => 0,
            CaseOutcome::Failed { .. } => 1,
            CaseOutcome::Ignored { .. } => 2,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[place] += 1;
    }

    fn words(&self) -> String {
        let [passed, failed, ignored] = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{passed} passed, {failed} failed, {ignored} ignored")
    }
}

fn trial(suite: &Suite, case: Case, full: bool, tally: Tally, runtime: &Runtime) -> Trial {
    let runtime = runtime.handle().clone();
    let system = match &suite.system {
        System::Here(setup) => Ok(setup.clone()),
        System::NotHere(reason) | System::Broken(reason) => Err(reason.clone()),
    };
    Trial::ignorable_test(format!("{}::{}", suite.name, case.name), move || {
        let outcome = match system {
            Err(reason) => CaseOutcome::Ignored { reason },
            Ok(setup) if case.is_slow(&setup) && !full => CaseOutcome::Ignored {
                reason: "slow: part of tests/run --full (REFLOW_TEST_FULL=1)".to_owned(),
            },
            Ok(setup) => {
                let one = perform(case, &setup, LIMIT, std::future::pending());
                let report = runtime.block_on(one);
                match (report.outcome, report.left) {
                    (CaseOutcome::Passed, left) if !left.is_empty() => CaseOutcome::Failed {
                        reason: format!("it left behind: {}", left.join(", ")),
                    },
                    (outcome, _) => outcome,
                }
            }
        };
        tally.add(&outcome);
        match outcome {
            CaseOutcome::Passed => Ok(Completion::Completed),
            CaseOutcome::Ignored { reason } => Ok(Completion::ignored_with(reason)),
            CaseOutcome::Failed { reason } => {
                Err(Failed::from(format!("{}: {reason}", case.clause)))
            }
        }
    })
    .with_kind(case.clause)
}
