//! Faults between reflow and a batch system: programs in front of the real or fake clients that are
//! late, silent, garbled or dead, or fail in the batch system's own words, by a script.
//!
//! A [`Faulty`] makes a directory of programs. Each call is written down; a [`FaultPlan`] says which
//! calls go wrong, and how; all others become the real program. A fault comes before the real program
//! has run (the request never arrived) or after it (the request was carried out, and its answer is lost
//! or spoilt). The plans lie in files, so they hold for every process that calls, jobs included, and may
//! be changed while a run is going on.

mod client;
mod front;
mod plan;
mod words;

pub use client::run_client;
pub use front::{Call, Faulty};
pub use plan::{Fault, FaultPlan, When};
pub use words::Words;
