//! `reflow explain` and `reflow cache`, through the program.

mod cache;
mod reasons;
mod setting;
mod trouble;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [reasons::CASES, cache::CASES, trouble::CASES].concat();
    run_cases(&cases)
}
