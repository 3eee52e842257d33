//! Why elements were taken from earlier runs, or ran: what of them differs from the nearest earlier run.

mod code;
mod declared;
mod earlier;
#[expect(
    clippy::module_inception,
    reason = "it says what the others are there for"
)]
mod explain;
mod facts;
mod inputs;
mod not_taken;
mod parts;
mod reason;

pub use explain::explain;
pub(super) use explain::explain_imagined;
pub(super) use facts::Results;
pub use reason::{ElementExplanation, Explanation, Origin, Reason, TaskExplanation};
