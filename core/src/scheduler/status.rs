use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Memory;
use crate::id::JobId;

/// What the batch system knows about one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// The job as a whole. For an array: `Running` when any element runs, `Pending` when none runs and
    /// one waits, ended only when all have ended.
    pub state: JobState,
    /// For an array, the elements that the batch system tells apart, in index order. An element that
    /// is missing here is `Unknown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<ElementStatus>,
}

/// What the batch system knows about one element of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementStatus {
    /// The index, from 0.
    pub index: u32,
    /// Its state.
    pub state: JobState,
}

/// The state of a job or element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// Not known now. No verdict: it may be pending, running, or ended long ago.
    Unknown,
    /// Waits in the queue.
    Pending {
        /// Why, in the batch system's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Whether the batch system says that it can never start.
        #[serde(default)]
        never: bool,
    },
    /// Runs, is suspended, or is being started or ended.
    Running {
        /// Since when, if the batch system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<SystemTime>,
    },
    /// Has ended.
    Ended(ExitStatus),
}

impl JobState {
    /// Returns whether the job has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// How a job or element ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// Why it ended.
    pub reason: EndReason,
    /// Exit code, where the program ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal, where one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The batch system's own word: `OUT_OF_MEMORY`, `CANCELLED by 30065`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<String>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<SystemTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<SystemTime>,
    /// Wall time used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<Duration>,
    /// Peak memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<Memory>,
    /// The node, or the first of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl ExitStatus {
    /// Returns an end with nothing known but its reason.
    pub fn new(reason: EndReason) -> Self {
        Self {
            reason,
            code: None,
            signal: None,
            native: None,
            started: None,
            ended: None,
            elapsed: None,
            peak_memory: None,
            node: None,
        }
    }

    /// Returns an end by exit code.
    pub fn from_code(code: i32) -> Self {
        let reason = if code == 0 {
            EndReason::Completed
        } else {
            EndReason::Failed
        };
        Self {
            code: Some(code),
            ..Self::new(reason)
        }
    }

    /// Returns an end by signal.
    pub fn from_signal(signal: i32) -> Self {
        Self {
            signal: Some(signal),
            ..Self::new(EndReason::Failed)
        }
    }
}

/// Why a job or element ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// By itself, with exit status 0.
    Completed,
    /// By itself with another exit status, or by a signal of unknown origin.
    Failed,
    /// Over its walltime.
    Walltime,
    /// Over its memory.
    Memory,
    /// Cancelled by somebody.
    Cancelled,
    /// Cancelled by the batch system because a dependency can no longer hold. It never started.
    DependencyFailed,
    /// Its node failed.
    NodeFailure,
    /// Preempted by another job.
    Preempted,
    /// Could not be started: output path, setup of the node, missing program.
    StartFailure,
    /// Ended, and nobody knows how: the machine was restarted, the record is gone.
    Lost,
}

/// The answer to a look-up by tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", content = "jobs", rename_all = "snake_case")]
pub enum Found {
    /// These jobs have the tag.
    Present(Vec<JobId>),
    /// No job has it, as far back as the batch system remembers.
    Absent,
    /// The batch system cannot say.
    Unknowable,
}
