//! The reflow backend for Slurm, by its command line programs.
//!
//! [`connect`] asks the controller once for its limits and returns a
//! [`Scheduler`](reflow_core::scheduler::Scheduler). Rendering and parsing are pure; parsing is tested
//! against real captured output under `tests/fixtures`.

mod cancel;
mod config;
mod connect;
mod fault;
mod find;
#[doc(hidden)]
pub mod fuzzing;
mod parse;
mod partition;
mod query;
mod render;
mod status;
mod submit;

pub use connect::connect;
