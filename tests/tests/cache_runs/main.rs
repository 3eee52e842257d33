//! Runs that take from earlier runs what these have made: what is run again, what is not, and whether
//! everybody may rely on it.

mod arrays;
mod choice;
mod edits;
mod files;
mod group;
mod identity;
mod killed;
mod late;
mod produced;
mod random;
mod series;
mod slurm;
mod store;
mod values;

use std::process::ExitCode;

use reflow_tests::{Case, local_case as case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [
        identity::CASES,
        values::CASES,
        choice::CASES,
        files::CASES,
        produced::CASES,
        edits::CASES,
        arrays::CASES,
        late::CASES,
        store::CASES,
        group::CASES,
        killed::CASES,
        slurm::CASES,
        random::CASES,
    ]
    .concat();
    run_cases(&cases)
}
