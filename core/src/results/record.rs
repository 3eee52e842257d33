use serde::{Deserialize, Serialize};

use super::ValueDigests;
use crate::id::RunId;
use crate::identity::Digest;
use crate::rundir::ValueRef;
use crate::scheduler::EndReason;

/// A frame of a spool file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoolFrame {
    /// The first: who writes.
    Worker(WorkerRecord),
    /// The body of an element is about to start.
    Start(u32),
    /// An element has ended.
    End(Box<ResultRecord>),
    /// The writer has ended in order: nothing follows.
    Close,
}

/// Who writes a spool file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// The batch system's id of its job, where it tells.
    pub job: Option<String>,
    /// The node.
    pub node: String,
    /// The file in `logs/S` that its output is in, without `.out` and `.err`.
    pub log: String,
}

/// How an element ended, as its worker saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a value.
    Succeeded,
    /// With a value that an earlier run had: the worker found it when the inputs were there.
    Cached,
    /// The body failed, or its output does not fit.
    Failed,
    /// Not run: an upstream result is a failure.
    Skipped,
    /// Not run: the run was cancelled.
    Cancelled,
    /// Not run: an upstream result is missing. Planned again.
    HandedBack,
    /// The body was ended by a termination signal to its worker; the batch system knows why.
    Interrupted,
    /// The batch system started the index a second time, after the body had started. Not run again.
    Restarted,
}

/// The end of one element.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResultRecord {
    /// The element.
    #[serde(rename = "e")]
    pub element: u32,
    /// How it ended.
    #[serde(rename = "r")]
    pub outcome: Outcome,
    /// Its value.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueRef>,
    /// What went wrong.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Exit status of the body.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    /// Signal that ended the body.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Wall time, in milliseconds.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub wall_ms: u64,
    /// CPU time, in milliseconds.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub cpu_ms: u64,
    /// Peak memory of the largest process, in KiB.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    pub peak_kib: u64,
    /// Why it failed, where its worker knows more than that it did.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EndReason>,
    /// Where its output is.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSpan>,
    /// Who ran it; only in packs, where the frame of the worker is gone.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerRecord>,
    /// Its identity, where all that it was given has a digest.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Digest>,
    /// Why the value is not to be remembered for later runs, although it has an identity.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// The digest of the value.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<ValueDigests>,
    /// The run that had the value first, where it was taken from there.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// Where a value was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The run.
    pub run: RunId,
    /// The element of the same task there.
    pub element: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ResultRecord {
    /// Returns a record with nothing known but the outcome.
    pub fn new(element: u32, outcome: Outcome) -> Self {
        Self {
            element,
            outcome,
            value: None,
            message: None,
            exit_status: None,
            signal: None,
            wall_ms: 0,
            cpu_ms: 0,
            peak_kib: 0,
            cause: None,
            log: None,
            worker: None,
            identity: None,
            unfit: None,
            digests: None,
            taken: None,
        }
    }

    /// Adds what went wrong.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// A part of the output files of a worker: `[start, end)` of standard output, then of standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpan(pub u64, pub u64, pub u64, pub u64);
