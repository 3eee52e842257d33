//! The engine against a simulated cluster.
//!
//! Everything is the real thing, dispatch, journal, lease, worker and run directory, but for three: the
//! batch system is a model that delays, forgets, fails and lies; bodies are a function; and time is
//! virtual. A run is made from one seed: workflow, faults and their moments, so that a failing one is
//! replayed exactly.

mod check;
mod process;
mod random;
mod run;
mod scheduler;
mod workflow;
mod world;

pub use random::Random;
pub use run::{Summary, run};
