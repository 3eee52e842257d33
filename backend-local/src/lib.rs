//! The reflow backend for one machine, and the reference implementation of the
//! [`Scheduler`](reflow_core::scheduler::Scheduler) trait.
//!
//! A [supervisor](supervise) per user, machine, boot and enclosing batch job runs the jobs as
//! processes. It is started by the first submission and ends when it has had nothing to do for a
//! while; a watcher starts it again when it is killed. Clients reach it over a Unix socket in a private directory; where none runs, they read what
//! the last one wrote down. So `submit` returns at once, and a run outlives the terminal.

mod capacity;
mod check;
mod client;
mod clock;
mod codec;
mod element;
mod exits;
mod faults;
mod ids;
mod location;
mod log;
mod memory;
mod protocol;
mod queue;
mod settings;
mod supervisor;
mod tree;
mod warnings;

pub use client::{LocalScheduler, Stopped, connect, stop};
pub use faults::FAULT_POINTS;
pub use location::DIRECTORY_VARIABLE;
pub use memory::{MemoryLimits, memory_limits};
pub use settings::{MemLimits, Settings};
pub use supervisor::supervise;
pub use warnings::warnings;

/// Most elements of one array.
pub const ARRAY_LIMIT: u32 = 1_000_000;
