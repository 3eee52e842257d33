//! Runs that survive: processes are ended, frozen and delayed between any two steps of I/O, and files are
//! damaged; nothing is lost, and nothing is done twice.
//!
//! Every body appends a line to a file when it starts and another when it ends: what was computed how
//! often is seen there, whatever the run says of itself.

mod check;
mod drivers;
mod kills;
mod plan;
mod rig;
mod story;
mod workload;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [kills::CASES, drivers::CASES].concat();
    let exit = run_cases(&cases);
    rig::tidy();
    exit
}
