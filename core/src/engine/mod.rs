//! The life of a run: submit, dispatch, watch, cancel.
//!
//! A run needs no process of its own. `submit` writes the run directory, plans, and sends what can be
//! sent; from then on each dispatch job calls `dispatch`, which plans again from the journal. `plan` is
//! pure: a snapshot in, actions out.

mod cancel;
mod checkpoint;
#[cfg(test)]
mod checkpoint_tests;
mod clock;
mod dispatch;
mod error;
mod explain;
mod ingest;
mod observe;
mod pass;
mod plan;
#[cfg(test)]
mod plan_tests;
mod preview;
mod read;
mod remember;
mod report;
mod request;
mod retry;
mod services;
mod state;
mod status;
mod submit;
mod view;
mod wait;

pub use cancel::{CancelReport, cancel};
pub use clock::Clock;
pub use dispatch::{DispatchOptions, Dispatched, dispatch};
pub use error::EngineError;
pub use explain::{ElementExplanation, Explanation, Origin, Reason, TaskExplanation, explain};
pub use plan::{Action, Lookup, NothingRemembered, Remembered, Room, Snapshot, plan};
pub use preview::{LaterTask, Preview, PreviewedRequest, PreviewedRole, WaitsFor, preview};
pub use read::{ElementLog, identity, logs, result};
pub(crate) use read::{remembered_by, unfinished};
pub use report::{Counts, ElementReport, ElementState, RunState, RunStatus, TaskStatus};
pub use retry::{RetryReport, RetryRequest, Update, retry};
pub use services::{FaultPoints, NoProbe, Probe, Services};
pub use state::{
    Attempts, Element, PastAttempt, Phase, State, Submission, TaskState, Verdict, Width,
};
pub use status::{element, status};
pub use submit::{SubmitRequest, new_run_id, submit};
pub use wait::{WaitOptions, wait};
