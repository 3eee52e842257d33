//! The reflow backend for OpenPBS and PBS Professional, and for Torque where it differs, by their command
//! line programs.
//!
//! [`connect`] asks the server once for its dialect and limits and returns a
//! [`Scheduler`](reflow_core::scheduler::Scheduler). Rendering and parsing are pure; parsing is tested
//! against real captured output under `tests/fixtures`.

mod cancel;
mod config;
mod connect;
mod fault;
mod find;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod outcome;
mod parse;
mod partition;
mod query;
mod render;
mod select;
mod status;
mod submit;

pub use connect::connect;
