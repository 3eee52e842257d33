//! Whole runs on this machine, through the program, as a user makes them.

mod again;
mod bodies;
mod control;
mod failures;
mod refusals;
mod values;
mod wordcount;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases};

/// A case that every machine can show in a few seconds.
const fn case(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        run,
        slurm: false,
        slow: false,
    }
}

fn main() -> ExitCode {
    let cases: Vec<Case> = [
        wordcount::CASES,
        values::CASES,
        bodies::CASES,
        failures::CASES,
        control::CASES,
        refusals::CASES,
        again::CASES,
    ]
    .concat();
    run_cases(&cases)
}
