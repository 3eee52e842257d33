//! Whole runs on every backend, through the program: the same cases everywhere.
//!
//! PBS and LSF are the fakes of `tests/src/fake`, in both dialects; Slurm is a real one, where there is one
//! for tests.

mod cases;
mod systems;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use reflow_tests::is_set;

use cases::{RUNS, Run};
use systems::{SYSTEMS, System};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(4);
    let full = is_set("REFLOW_TEST_FULL");
    let trials = SYSTEMS
        .iter()
        .flat_map(|system| RUNS.iter().map(|run| trial(*system, run, full)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(system: System, run: &Run, full: bool) -> Trial {
    let (body, is_slow) = (run.body, run.large && system.is_slow());
    Trial::ignorable_test(format!("{}::{}", system.name, run.name), move || {
        if let Some(missing) = system.missing() {
            return Ok(Completion::ignored_with(missing));
        }
        if is_slow && !full {
            return Ok(Completion::ignored_with(
                "slow: part of tests/run --full (REFLOW_TEST_FULL=1)",
            ));
        }
        system.with(body);
        Ok(Completion::Completed)
    })
}
