//! The life of a run: submit, dispatch, watch, cancel.
//!
//! A run needs no process of its own. `submit` writes the run directory, plans, and sends what can be
//! sent; from then on each dispatch job calls `dispatch`, which plans again from the journal. `plan` is
//! pure: a snapshot in, actions out.

mod report;

pub use report::{Counts, ElementReport, ElementState, RunState, RunStatus, TaskStatus};
