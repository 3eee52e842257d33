//! The trait that a batch system implements, and the plain data that crosses it.
//!
//! A backend renders a [`JobRequest`] into the batch system's own form, submits it, and reports what
//! the batch system says about jobs. It knows nothing of workflows. What it promises is numbered in
//! the [`Scheduler`] contract; every case of the conformance suite names the clause that it proves.

mod capabilities;
pub mod check;
pub mod client;
mod error;
mod registry;
mod request;
mod resources;
pub mod script;
mod status;

use std::fmt;

use async_trait::async_trait;

use crate::id::{JobId, Tag};

pub use capabilities::{Capabilities, FailedParent, PartitionLimits};
pub use error::{SchedulerError, SchedulerErrorKind, SubmitError};
pub use registry::{ConnectOptions, Registry};
pub use request::{
    ArrayRequest, Command, Dependency, DependencyKind, JOB_ID_VARIABLE, JobRequest, OutputPaths,
    Rendered,
};
pub use resources::{
    Exclusive, Mail, MailEvent, Memory, ParseMemoryError, ParseWalltimeError, RESOURCE_KEYS,
    Resources, Signal, Walltime,
};
pub use status::{ElementStatus, EndReason, ExitStatus, Found, JobState, JobStatus};

/// One batch system.
///
/// # Contract
///
/// Object-safe, shared between tasks, without default bodies, so that wrappers and plugins forget
/// nothing. Unknown input is an error, never a panic; foreign bytes are parsed leniently and reported
/// as [`SchedulerErrorKind::UnexpectedOutput`] with the text. Every method may be called at any time,
/// concurrently, from any process of the user, and none of them depends on state that another process
/// of the same user does not see.
#[async_trait]
pub trait Scheduler: fmt::Debug + Send + Sync {
    /// Returns the name that the user selects the backend by.
    ///
    /// - **N1** Lower-case letters, digits and `-`; constant.
    fn name(&self) -> &str;

    /// Returns what the batch system can do, as found out when connecting.
    ///
    /// - **K1** Constant for the life of this value.
    /// - **K2** No more than what the batch system really keeps: a capability that does not hold makes
    ///   runs wrong, a missing one makes them slower.
    fn capabilities(&self) -> &Capabilities;

    /// Renders `request` into the command that submits it.
    ///
    /// - **R1** Pure: no I/O, the same request gives the same bytes.
    /// - **R2** Every resource that is set is rendered natively or refused by name
    ///   ([`SchedulerErrorKind::Unsupported`]); none is dropped.
    /// - **R3** No argument, path, environment value or name changes its meaning, whatever
    ///   characters it has.
    /// - **R4** The user's `extra` flags come last, so that they win.
    fn render(&self, request: &JobRequest) -> Result<Rendered, SchedulerError>;

    /// Submits `request` and returns the batch system's id.
    ///
    /// - **S1** Exactly one attempt: never retried inside.
    /// - **S2** On error, [`SubmitError::may_exist`] says whether a job may exist all the same.
    /// - **S3** Once submitted, the command runs with its arguments, directory and environment
    ///   unchanged, its output in the given files.
    /// - **S4** Of an array of `count`, each index from 0 to `count - 1` runs exactly once, told by
    ///   `--index N` at the end of the command, and never more than `at_most` at the same time.
    /// - **S5** Dependencies hold as [`DependencyKind`] says, on running and on ended parents.
    /// - **S6** The job can be found by its tag as soon as this returns.
    /// - **S7** A request that the batch system refuses is [`SchedulerErrorKind::Rejected`], with the
    ///   batch system's own words, and nothing is queued.
    /// - **S8** The command finds the id that this returns in [`JOB_ID_VARIABLE`], an element that of
    ///   the whole array.
    async fn submit(&self, request: &JobRequest) -> Result<JobId, SubmitError>;

    /// Returns what the batch system knows about `jobs`, one entry for each, in the same order.
    ///
    /// - **T1** Any number of jobs, in a number of calls to the batch system that does not grow with
    ///   theirs (split only where a command line would be too long).
    /// - **T2** What is not known is [`JobState::Unknown`]: never an error, never a verdict.
    /// - **T3** Elements of arrays are told apart.
    /// - **T4** An ended job has its reason and exit status wherever the batch system tells them.
    /// - **T5** An error means that nothing is known now, about any of them.
    async fn status(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>, SchedulerError>;

    /// Cancels jobs or elements, many at once.
    ///
    /// - **C1** What has ended or is unknown is no error.
    /// - **C2** Pending targets never start; running ones get their termination signal, and are killed
    ///   with all their processes after the batch system's grace time.
    /// - **C3** Other elements of the same array go on.
    async fn cancel(&self, targets: &[Target]) -> Result<(), SchedulerError>;

    /// Looks jobs up by tag, one answer for each, in the same order.
    ///
    /// - **F1** [`Found::Present`] lists every job of that tag which the batch system still knows, ended ones
    ///   included.
    /// - **F2** [`Found::Absent`] is said only when both the queue and the history were asked and
    ///   answered, or where the queue alone reaches back past the submission.
    /// - **F3** Everything else is [`Found::Unknowable`].
    async fn find(&self, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError>;
}

/// What to cancel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// The job.
    pub job: JobId,
    /// The index in the array, from 0, or the whole job.
    pub index: Option<u32>,
}

impl Target {
    /// Returns the target for a whole job.
    pub fn whole(job: JobId) -> Self {
        Self { job, index: None }
    }

    /// Returns the target for one element of an array.
    pub fn element(job: JobId, index: u32) -> Self {
        Self {
            job,
            index: Some(index),
        }
    }
}
