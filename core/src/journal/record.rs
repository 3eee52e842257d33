use serde::{Deserialize, Serialize};

use super::Holder;
use crate::elements::ElementSet;
use crate::engine::{ElementState, RunState};
use crate::id::{JobId, Tag};
use crate::scheduler::{DependencyKind, EndReason};
use crate::workflow::TaskIndex;

/// A record with the time it was made, for people: milliseconds since 1970 on the holder's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The time.
    pub at: u64,
    /// The record.
    pub record: Record,
}

/// A fact about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first of each file: who holds the lease, and how much of the files before counts.
    Term {
        /// The holder.
        holder: Holder,
        /// File number and length that counts, for every file not cut before.
        cuts: Vec<(u64, u64)>,
    },
    /// An array task has this many elements.
    Expanded {
        /// The task.
        task: TaskIndex,
        /// The number.
        width: u32,
    },
    /// An array task will never have elements.
    Unexpanded {
        /// The task.
        task: TaskIndex,
        /// Failed, skipped or cancelled.
        state: ElementState,
        /// Why.
        message: String,
    },
    /// A request is about to be sent.
    Intent(SubmissionRecord),
    /// The batch system has taken it.
    Submitted {
        /// The submission.
        tag: Tag,
        /// The batch system's id.
        job: JobId,
    },
    /// It certainly does not exist.
    NotSent {
        /// The submission.
        tag: Tag,
        /// Why.
        why: NotSent,
    },
    /// Results have been moved into a pack.
    Ingested {
        /// The submission.
        tag: Tag,
        /// The number of the pack.
        pack: u32,
        /// Elements by how they ended.
        ended: Vec<(ElementState, ElementSet)>,
        /// Elements whose worker found an input missing.
        handed_back: ElementSet,
        /// Numbers of entries of the lists returned, where a task fans out over them.
        items: Vec<(u32, u32)>,
        /// Why elements failed, where their worker knows more than that they did.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        causes: Vec<(EndReason, ElementSet)>,
    },
    /// Values of earlier runs were taken for elements; they are in a pack of a submission that was never
    /// sent.
    Remembered {
        /// That submission.
        tag: Tag,
        /// The task.
        task: TaskIndex,
        /// The elements.
        elements: ElementSet,
        /// Numbers of entries of the lists returned, where a task fans out over them.
        items: Vec<(u32, u32)>,
    },
    /// Elements have ended in another way than by a result of their own.
    Ended {
        /// The task.
        task: TaskIndex,
        /// The elements.
        elements: ElementSet,
        /// How.
        state: ElementState,
        /// Why, in the batch system's terms.
        reason: Option<EndReason>,
        /// Why, in words.
        message: String,
    },
    /// Elements that were sent will not run in that submission; they are planned again.
    HandedBack {
        /// The submission.
        tag: Tag,
        /// The elements.
        elements: ElementSet,
        /// Why.
        #[serde(default)]
        why: HandBack,
    },
    /// Elements that ended without a value wait again. A task that was to have no elements, and of which
    /// none are named, may have some after all.
    Reopened {
        /// The task.
        task: TaskIndex,
        /// The elements.
        elements: ElementSet,
        /// Why.
        why: Reopen,
    },
    /// The requests up to this number were carried out.
    Answered {
        /// The number.
        number: u32,
    },
    /// A job will do nothing more.
    Closed {
        /// The submission.
        tag: Tag,
    },
    /// The cancellation of the run was seen.
    CancelRequested,
    /// Nothing can be queued for now.
    Paused {
        /// Why.
        message: String,
    },
    /// Going on after a pause.
    Resumed,
    /// The holder gives the lease back.
    Released,
    /// The run has ended.
    Finished {
        /// How.
        state: RunState,
    },
}

/// Why elements that were sent are planned again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandBack {
    /// Their job is gone and had not started them.
    #[default]
    Unstarted,
    /// A value that they were to read will come from another submission.
    Replaced,
    /// Their worker has died before their turn came. Should it live on somewhere, this try cannot win.
    Left,
    /// Room was needed for the job that plans again.
    Displaced,
    /// Their job waited for others that would never have let it start.
    Blocked,
}

/// Why elements that have ended wait again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reopen {
    /// The task is tried again by itself.
    Retries,
    /// Somebody asked for it.
    Request,
    /// They were skipped, and what they need is on its way again.
    Upstream,
}

/// Why a request does not exist in the batch system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSent {
    /// The batch system refused it for good.
    Rejected {
        /// Its words.
        message: String,
    },
    /// It could not be sent this time.
    Temporary {
        /// Why.
        message: String,
    },
    /// The batch system takes no more for now.
    Limit {
        /// Its words.
        message: String,
    },
}

/// A request to the batch system, as the planner wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionRecord {
    /// Its name.
    pub tag: Tag,
    /// What it is for.
    pub kind: SubmissionKind,
    /// What must have become of other submissions before.
    pub after: Vec<Edge>,
    /// Most array indices at the same time.
    pub at_most: Option<u32>,
}

/// What a submission is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionKind {
    /// To run elements of a task.
    Elements {
        /// The task.
        task: TaskIndex,
        /// Which try, from 1.
        attempt: u32,
        /// The elements.
        elements: ElementSet,
        /// Elements in one array index.
        batch: u32,
        /// How often memory and walltime were raised.
        #[serde(default, skip_serializing_if = "Raised::is_none")]
        raised: Raised,
    },
    /// To plan again.
    Dispatch,
    /// To plan again some time later, should nobody have noticed that the run has come to a halt.
    Watch {
        /// How many there were before.
        round: u32,
    },
    /// To plan again should that dispatch fail.
    Guard {
        /// The dispatch.
        of: Tag,
    },
}

/// How often what an element may use was raised since it was too little.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Raised {
    /// Memory.
    #[serde(default)]
    pub mem: u8,
    /// Walltime.
    #[serde(default)]
    pub time: u8,
}

impl Raised {
    /// Returns whether nothing was raised.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl SubmissionRecord {
    /// Returns the number of array indices, or none for a plain job.
    pub fn indices(&self) -> Option<u32> {
        match &self.kind {
            SubmissionKind::Elements {
                elements, batch, ..
            } => Some(elements.len().div_ceil((*batch).max(1))),
            SubmissionKind::Dispatch
            | SubmissionKind::Guard { .. }
            | SubmissionKind::Watch { .. } => None,
        }
    }

    /// Returns the task whose elements it runs, if it does.
    pub fn task(&self) -> Option<TaskIndex> {
        match self.kind {
            SubmissionKind::Elements { task, .. } => Some(task),
            SubmissionKind::Dispatch
            | SubmissionKind::Guard { .. }
            | SubmissionKind::Watch { .. } => None,
        }
    }

    /// Returns whether it plans as soon as what it comes after has ended: a watch does not.
    pub fn drives(&self) -> bool {
        matches!(
            self.kind,
            SubmissionKind::Dispatch | SubmissionKind::Guard { .. }
        )
    }

    /// Returns whether it plans and runs no elements.
    pub fn is_driver(&self) -> bool {
        !matches!(self.kind, SubmissionKind::Elements { .. })
    }
}

/// A dependency on another submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The other submission.
    pub tag: Tag,
    /// What must have become of it.
    pub kind: DependencyKind,
}
