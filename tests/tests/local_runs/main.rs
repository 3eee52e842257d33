//! Whole runs on this machine, through the program, as a user makes them.

mod again;
mod bodies;
mod control;
mod failures;
mod refusals;
mod room;
mod values;
mod wordcount;

use std::process::ExitCode;

use reflow_tests::{Case, local_case as case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [
        wordcount::CASES,
        values::CASES,
        bodies::CASES,
        failures::CASES,
        control::CASES,
        refusals::CASES,
        again::CASES,
        room::CASES,
    ]
    .concat();
    run_cases(&cases)
}
