//! What the end-to-end tests of reflow share: real programs, a real Slurm, and a simulated cluster.

mod cases;
mod program;
pub mod simulation;
mod slurm;

pub use cases::{Case, run_cases};
pub use program::{Outcome, Program, reference_text, word_count};
pub use simulation::Random;
pub use slurm::{Job, jobs_of, queue_of, slurm, wait_for};
