use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a job whose after-ok parent failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedParent {
    /// It is cancelled, with its own record, and jobs that depend on its end are released.
    Cancelled,
    /// It is deleted, and jobs that depend on it may be deleted with it, whatever their kind.
    Deleted,
    /// It stays pending for ever.
    PendForever,
    /// It runs all the same: the system ignores the exit status.
    Runs,
}

/// What a batch system can do: plain data, recorded in the journal of each run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Most elements of one array, or none where the batch system has no limit.
    pub array_limit: Option<u32>,
    /// Array index of the first element in the batch system's own form (0 or 1).
    pub array_base: u32,
    /// Whether a dependency can hold element by element ([`DependencyKind::ElementWise`](super::DependencyKind)).
    pub element_wise: bool,
    /// What becomes of the after-ok child of a failed parent.
    pub failed_parent: FailedParent,
    /// Whether a job can depend on the failure of another.
    pub after_not_ok: bool,
    /// Whether a job can be told not to start before a time.
    pub not_before: bool,
    /// Whether `at_most` is kept by the batch system.
    pub concurrency_limit: bool,
    /// Whether one element of an array can be cancelled.
    pub element_cancel: bool,
    /// How long ended jobs are remembered, or none where they are forgotten at once.
    pub history: Option<Duration>,
    /// Whether jobs may be submitted from inside jobs.
    pub submit_from_jobs: bool,
    /// Whether a running array element can serve further indices over a pipe
    /// ([`Command::serves_indices`](super::Command)).
    pub serves_indices: bool,
    /// How long after `submit` failed a job may still appear: the batch system's own message timeout
    /// with its retries.
    pub message_timeout: Duration,
}
