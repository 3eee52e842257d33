//! `reflow explain` and `reflow cache`, through the program.

mod cache;
mod reasons;
mod setting;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [reasons::CASES, cache::CASES].concat();
    run_cases(&cases)
}
