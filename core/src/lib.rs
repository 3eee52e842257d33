//! The workflow engine of reflow.
//!
//! A [task host](host) describes a [workflow]; the description is checked and becomes a graph. The
//! [planner](engine) reads a snapshot of the [journal] and says what to do next; a
//! [`Scheduler`](scheduler::Scheduler) carries it out; the [worker] runs the bodies on the compute
//! nodes and writes their results. Data flows in one direction: the graph knows nothing of
//! schedulers, the scheduler nothing of graphs, the planner does no I/O, and a worker writes only its
//! own results.
//!
//! This crate never prints, exits, reads the environment or the home directory, installs signal
//! handlers or starts a runtime.

pub mod cache;
pub mod command;
pub mod config;
pub mod content;
pub mod elements;
pub mod engine;
pub mod error;
pub mod fault;
pub mod host;
pub mod id;
pub mod identity;
pub mod journal;
pub mod nearest;
pub mod results;
pub mod rundir;
pub mod scheduler;
pub mod segment;
pub mod store;
pub mod worker;
pub mod workflow;
