//! What the end-to-end tests of reflow share: real programs, a real Slurm, and a simulated cluster.

mod calls;
mod cases;

pub mod conformance;
pub mod fake;
pub mod faulty;
mod program;
mod rig;
pub mod simulation;
mod slurm;

pub use calls::{Calls, Count};
pub use cases::{
    Case, is_set, local_case, python_case, run_cases, run_cases_one_by_one, slow_case,
    slow_slurm_case, slurm_case,
};
pub use program::{Outcome, Program, WORDCOUNT, reference_text, word_count};
pub use rig::Rig;
pub use simulation::Random;
pub use slurm::{
    Job, end_of, ends_by_itself, figure, jobs_of, now_ms, queue_of, slurm, wait_for, wait_within,
};
