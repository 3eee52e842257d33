use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Resources, SchedulerError, SchedulerErrorKind};
use crate::id::{JobId, Tag};

/// One request to a batch system: a job, or an array of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// What reflow calls it; becomes the job's name.
    pub tag: Tag,
    /// A remark for people who look at the queue, where the batch system has room for one
    /// (`RUN task`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What to run.
    pub command: Command,
    /// Set for an array job. An array of one element may be sent as a plain job, told `--index 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayRequest>,
    /// Conditions that must all hold before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// Resources of one element.
    #[serde(default)]
    pub resources: Resources,
    /// Earliest start. Second resolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<SystemTime>,
    /// Where the output of the job script itself goes.
    pub output: OutputPaths,
    /// Whether the batch system may start it again by itself after a node failure or preemption.
    pub requeue: bool,
    /// Native flags of the batch system, added last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<String>,
}

impl JobRequest {
    /// Returns the earliest start in seconds since 1970, in whole steps of `step` seconds, rounded up: a
    /// job must not start before.
    ///
    /// # Errors
    /// [`SchedulerErrorKind::InvalidRequest`] for a time before 1970 or too far ahead.
    pub fn not_before_in(&self, step: u64) -> Result<Option<i64>, SchedulerError> {
        let Some(time) = self.not_before else {
            return Ok(None);
        };
        let seconds = (time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .and_then(|since| {
                since
                    .as_secs()
                    .checked_add(u64::from(since.subsec_nanos() > 0))
            })
            .and_then(|seconds| seconds.div_ceil(step).checked_mul(step))
            .and_then(|seconds| i64::try_from(seconds).ok());
        match seconds {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                "the earliest start is out of range",
            )),
        }
    }
}

/// Set by every backend for the command of a job, its setup lines included: the id that
/// [`submit`](super::Scheduler::submit) returned, for an element that of the whole array.
///
/// So a worker need not guess from the batch system's own variables, of which a job inside another
/// sees those of both.
pub const JOB_ID_VARIABLE: &str = "REFLOW_JOB_ID";

/// The command of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments. For an array, `--index N` is added, N from 0.
    pub argv: Vec<String>,
    /// Working directory.
    pub directory: PathBuf,
    /// Variables set for the command, on top of what the batch system gives. Without
    /// [`JOB_ID_VARIABLE`], which the backend sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Shell lines run before the command (`module load ...`); the failure of one is the job's failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Whether the command, started with `--serve` in place of `--index N`, serves many indices: it
    /// reads index lines on standard input and answers each with `INDEX EXIT_STATUS` on standard
    /// output. Used only by backends with
    /// [`Capabilities::serves_indices`](super::Capabilities::serves_indices).
    #[serde(default)]
    pub serves_indices: bool,
}

/// The array part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayRequest {
    /// Number of elements, at least 1. Indexes are 0 to `count - 1`.
    pub count: u32,
    /// Most elements that may run at the same time, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
}

/// A condition on another job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The parent.
    pub job: JobId,
    /// What must have become of it.
    pub kind: DependencyKind,
}

/// What must have become of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyKind {
    /// It has ended with exit status 0, every element of it.
    Ok,
    /// It has ended in any way, or is no longer known.
    Any,
    /// It has ended in another way than with exit status 0; one element is enough.
    NotOk,
    /// The element of the same index has ended with exit status 0. Both arrays have the same count.
    ElementWise,
    /// The element of the same index has ended in any way, or its job is no longer known. Both arrays have
    /// the same count.
    ElementWiseAny,
}

impl DependencyKind {
    /// Returns whether each element waits for its own element of the parent alone.
    pub fn is_element_wise(self) -> bool {
        matches!(self, Self::ElementWise | Self::ElementWiseAny)
    }
}

/// Files for the output of the job script. An array element N appends `.N` to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputPaths {
    /// Standard output. The directory exists.
    pub stdout: PathBuf,
    /// Standard error; the same path as `stdout` merges the two.
    pub stderr: PathBuf,
}

/// A request in the batch system's own form: what `submit --dry-run` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rendered {
    /// The submitting command.
    pub argv: Vec<String>,
    /// Its standard input: the job script.
    pub stdin: String,
    /// Variables set for the submitting command.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}
