use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Memory, Walltime};

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
    /// Whether an element can also wait for the end of its own element alone, whatever it is
    /// ([`DependencyKind::ElementWiseAny`](super::DependencyKind)).
    #[serde(default)]
    pub element_wise_any: bool,
    /// What becomes of the after-ok child of a failed parent.
    pub failed_parent: FailedParent,
    /// Whether a job that was cancelled before it started releases those that wait for its end. Where it
    /// does not, they stay pending for ever.
    #[serde(default = "yes")]
    pub releases_cancelled: bool,
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
    /// Whether a job may stay in the queue for ever, so that somebody must look from time to time.
    #[serde(default)]
    pub may_stall: bool,
    /// What partitions allow at most, under the names that requests use; those that are not listed are not
    /// known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionLimits>,
}

fn yes() -> bool {
    true
}

/// What a partition allows at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionLimits {
    /// The name in requests: a logical one that the site maps, or the batch system's own.
    pub name: String,
    /// Whether requests without a partition go there.
    #[serde(default)]
    pub is_default: bool,
    /// Longest walltime, or none where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Walltime>,
    /// Memory of its largest node, or less where one job may have less, or none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<Memory>,
}
