//! The one way to run another program of a batch system.
//!
//! A [`Runner`] looks a program up, runs it in an environment of its own, gives it standard input,
//! keeps what it said within bounds, ends its whole process group when it takes too long, and keeps
//! to a rate, so that a poll never floods a controller. [`Runner::run`] makes exactly one attempt;
//! [`Runner::query`] is for calls that change nothing and is retried.

mod environment;
mod error;
mod output;
mod runner;

pub use environment::{Environment, SCRUBBED, client_environment, is_named, scrub};
pub use error::CommandError;
pub use output::{Exit, Output, last_lines};
pub use runner::{Call, Runner, RunnerOptions};
