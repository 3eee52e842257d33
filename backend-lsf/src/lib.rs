//! The reflow backend for LSF, by its command line programs: IBM Spectrum LSF 10.1, and the older dialect
//! that openlava speaks.
//!
//! [`connect`] finds the dialect and the cluster's limits out once, and returns a
//! [`Scheduler`](reflow_core::scheduler::Scheduler). Rendering and parsing are pure.

mod cancel;
mod config;
mod connect;
mod dialect;
mod fault;
mod find;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod memory;
mod parents;
mod parse;
mod partition;
mod query;
mod render;
mod status;
mod submit;

pub use connect::connect;
