//! The process that runs the jobs.
//!
//! One loop owns everything: the [queue](crate::queue), the log, the processes. Questions come in
//! from tasks that each serve one connection, answers of warm workers from tasks that each read one
//! pipe, deaths by `SIGCHLD`. After each batch of events the records are written, then what was
//! decided is done, then the questions are answered.

mod ends;
mod process;
mod questions;
mod run;
mod server;
mod spawn;
mod start;
mod workers;

pub use start::supervise;
