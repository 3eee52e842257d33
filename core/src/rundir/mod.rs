//! The run directory: where everything of a run is, and how it is written.
//!
//! One rule: append to your own file, publish by rename or exclusive create, never change anything in
//! place. No database and no locks, since shared file systems break both.

mod layout;
mod owner;
mod record;
mod requests;
mod submission;
#[cfg(test)]
pub(crate) mod testing;
mod value;

pub use layout::{RunDir, RunDirError, create_exclusive, publish};
pub use owner::Owner;
pub use record::{
    BackendRecord, CacheChoices, DispatchMode, Force, JobEnvironment, RUN_SCHEMA, RunRecord,
    RunUpdate, Verify,
};
pub use requests::{Request, Selection};
pub use submission::{
    CachePlan, InputPlan, SourcePlan, SubmissionElements, SubmissionFile, SubmissionHeader,
    UpstreamPart, UpstreamPlan,
};
pub use value::{INLINE_LIMIT, StoredList, ValueRef, ValueStore};
