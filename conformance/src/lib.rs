//! The suite that every backend of reflow passes: one case for each rule of the
//! [`Scheduler`](reflow_core::scheduler::Scheduler) contract, over any `dyn Scheduler`.
//!
//! A case names the clause that it proves, the capabilities that it needs, and its fixture: a
//! [`Site`], which is what any user of a batch system has, or a [`Rig`] or [`FaultyRig`], which only a
//! test has. A need that is not met shows the case as ignored, with the reason; it is never left out.
//!
//! [`check()`] runs the cases over a batch system and says how each ended. A test harness that starts
//! cases in its own way uses [`cases()`], [`unmet`] and [`perform`].

mod case;
mod check;
mod faulty;
mod perform;
mod rig;
mod setup;
mod site;
mod suite;

pub use case::{Case, Failure, Fixture, Need, Outcome, Running};
pub use check::{CheckOptions, Report, check};
pub use faulty::{Call, Fault, FaultyClients, FaultyConnection, FaultyRig};
pub use perform::{CaseOutcome, CaseReport, perform, unmet};
pub use rig::{Part, Rig};
pub use setup::{Setup, marked};
pub use site::Site;
pub use suite::cases;
