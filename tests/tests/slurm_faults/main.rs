//! What clusters do to runs: nodes that go down, a controller that is away, no accounting, limits, and
//! many jobs at once. Each case has a Slurm of its own, and all are slow.
//!
//! Shown as ignored, with the reason, where no Slurm can be started. Each case prints how often the batch
//! system was called.

mod crowd;
mod limits;
mod outage;

use std::process::ExitCode;
use std::time::Duration;

use reflow_tests::{Case, Rig, run_cases_one_by_one, slow_slurm_case as case};

/// How long a run of a case may take at most.
const LONG: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let cases: Vec<Case> = [outage::CASES, crowd::CASES, limits::CASES].concat();
    run_cases_one_by_one(&cases, Rig::missing())
}
