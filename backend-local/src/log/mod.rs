//! The state log: everything that happened to the jobs of one supervisor, appended to one file.
//!
//! A line each, without fsync: a supervisor that is killed knows its past when it is started again. A
//! machine that goes down takes the processes with it, and what the last lines said of them.

mod past;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use past::{Past, PastProcess, bury, fresh_elements, is_served, read};
pub(crate) use writer::Log;
