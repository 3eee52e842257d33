//! Whole runs on a real Slurm, through the program, as a user makes them.
//!
//! Shown as ignored, with the reason, where there is no Slurm for tests.

mod drive;
mod killed;
mod shape;
mod smoke;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases, slow_slurm_case as slow, slurm_case as case};

fn main() -> ExitCode {
    let cases: Vec<Case> = [smoke::CASES, shape::CASES, drive::CASES, killed::CASES].concat();
    run_cases(&cases)
}
