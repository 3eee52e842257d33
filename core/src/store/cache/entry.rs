use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{RunId, Tag, TaskName, WorkflowName};
use crate::results::ValueDigests;
use crate::rundir::ValueRef;

/// What is remembered of one execution of an element.
///
/// As JSON in a record of the cache; fields of later versions are passed over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheEntry {
    /// Its value: here, or in `.reflow/values` of the origin.
    pub value: ValueRef,
    /// Its digests.
    pub digests: ValueDigests,
    /// When it was made, in milliseconds since 1970 by the clock of the machine that took the result in.
    /// Decides between candidates that are all valid, and what is old.
    pub made_ms: u64,
    /// Whether the user asked for it to be run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// The submission that ran it.
    pub tag: Tag,
    /// Its element there.
    pub element: u32,
}

/// The run that published an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
    /// The name of its workflow.
    pub workflow: WorkflowName,
    /// The flow that the task is in, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<WorkflowName>,
    /// The task's full name in that run.
    pub task: TaskName,
}

/// What may be taken for the result of an element, and whence.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What is remembered.
    pub entry: CacheEntry,
    /// The run that made it.
    pub origin: Arc<Origin>,
}

/// Which execution an entry is about: of an identity, each is kept once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct Execution {
    pub(super) tag: Tag,
    pub(super) element: u32,
}

impl Candidate {
    /// Orders candidates, the best first: what the user had run again, the newest of it first, then what was
    /// made first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.entry, &other.entry);
        let by_age = if a.forced {
            b.made_ms.cmp(&a.made_ms)
        } else {
            a.made_ms.cmp(&b.made_ms)
        };
        b.forced
            .cmp(&a.forced)
            .then(by_age)
            .then_with(|| (&a.tag, a.element).cmp(&(&b.tag, b.element)))
    }
}

/// Puts the best first, and each execution once.
pub(super) fn settle(candidates: &mut Vec<Candidate>) {
    if candidates.len() < 2 {
        return;
    }
    candidates.sort_by(Candidate::order);
    // One that was taken in twice may have two times.
    let mut seen = HashSet::new();
    candidates.retain(|candidate| {
        seen.insert(Execution {
            tag: candidate.entry.tag.clone(),
            element: candidate.entry.element,
        })
    });
}
