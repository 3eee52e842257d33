//! The conformance suite as tests: one for each case, over any number of batch systems.

mod faulty;
mod suites;
mod surroundings;

pub use faulty::{Clients, Family};
pub use suites::{Suite, System, run_suites};
pub use surroundings::{environment, runtime, scratch, setup_over, tiny};
