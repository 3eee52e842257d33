//! The suite that every backend of reflow passes: one case for each rule of the
//! [`Scheduler`](reflow_core::scheduler::Scheduler) contract, over any `dyn Scheduler`.
//!
//! A case names the clause that it proves, the capabilities that it needs, and its fixture: a
//! [`Site`], which is what any user of a batch system has, or a [`Rig`], which only a test has. A need
//! that is not met shows the case as ignored, with the reason; it is never left out.

mod case;
mod harness;
mod rig;
mod site;
mod suite;

pub use case::{Case, Failure, Fixture, Need, Outcome, Running};
pub use harness::{Setup, ignored, marked, run};
pub use rig::{Part, Rig};
pub use site::Site;
pub use suite::cases;
