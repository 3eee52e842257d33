//! Whole runs on a real Slurm, through the program, as a user makes them.
//!
//! Shown as ignored, with the reason, where there is no Slurm for tests.

mod drive;
mod killed;
mod shape;
mod smoke;

use std::process::ExitCode;

use reflow_tests::{Case, run_cases};

/// A case of a few seconds.
const fn case(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        run,
        slurm: true,
        slow: false,
    }
}

/// A case that takes longer.
const fn slow(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        run,
        slurm: true,
        slow: true,
    }
}

fn main() -> ExitCode {
    let cases: Vec<Case> = [smoke::CASES, shape::CASES, drive::CASES, killed::CASES].concat();
    run_cases(&cases)
}
