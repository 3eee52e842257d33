//! The conformance suite as tests: one for each case, over any number of batch systems.

mod fakes;
mod faulty;
mod suites;
mod surroundings;

pub use fakes::{Driven, Rigged};
pub use faulty::{Clients, Family};
pub use suites::{Suite, System, run_rigged, run_suites};
pub use surroundings::{environment, runtime, scratch, setup_over};
