//! The worker: runs elements on a compute node and writes their results.
//!
//! It reads one submission file, takes ownership of the submission for its job, puts the inputs of each
//! element together from the results upstream, runs the body, and appends the result to a file of its
//! own. It never changes what another process wrote.

mod body;
mod check;
mod environment;
mod host;
mod identify;
mod inputs;
mod launch;
mod logs;
mod memory;
mod run;
#[cfg(test)]
mod run_tests;

pub(crate) use check::ValueCheck;
pub use environment::Variables;
pub use host::{Call, TaskHost};
pub use run::{WorkerError, WorkerMode, WorkerOptions, WorkerReport, run, run_with};
