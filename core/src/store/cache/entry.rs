use std::cmp::{Ordering, Reverse};
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

/// Of the entries of one identity, so many of the best are kept, and so many of the newest: however often
/// something was run, it is found at once. The outputs of the best may be gone, and then it is run again: what
/// came of that is among the newest.
const KEPT: usize = 4;

/// What decides between entries of one identity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Rank {
    made_ms: u64,
    #[serde(default)]
    forced: bool,
    tag: Tag,
    element: u32,
}

impl Rank {
    fn of(entry: &CacheEntry) -> Self {
        Self {
            made_ms: entry.made_ms,
            forced: entry.forced,
            tag: entry.tag.clone(),
            element: entry.element,
        }
    }

    fn execution(&self) -> (&Tag, u32) {
        (&self.tag, self.element)
    }

    /// Orders entries, the best first: what the user had run again, the newest of it first, then what was made
    /// first.
    fn order(&self, other: &Self) -> Ordering {
        let by_age = if self.forced {
            other.made_ms.cmp(&self.made_ms)
        } else {
            self.made_ms.cmp(&other.made_ms)
        };
        other
            .forced
            .cmp(&self.forced)
            .then(by_age)
            .then_with(|| self.execution().cmp(&other.execution()))
    }
}

/// Returns which entries of one identity are kept, the best first, and each execution once. In whatever order
/// and parts this is asked, the same are left in the end.
pub(super) fn kept(ranks: &[Rank]) -> Vec<usize> {
    let mut best: Vec<usize> = (0..ranks.len()).collect();
    best.sort_by(|a, b| ranks[*a].order(&ranks[*b]));
    // One that was taken in twice may have two times.
    let mut seen = HashSet::new();
    best.retain(|at| seen.insert(ranks[*at].execution()));
    let mut newest = best.clone();
    newest.sort_by_key(|at| (Reverse(ranks[*at].made_ms), ranks[*at].execution()));
    newest.truncate(KEPT);
    let mut position = 0;
    best.retain(|at| {
        position += 1;
        position <= KEPT || newest.contains(at)
    });
    best
}

/// Puts the best candidates first, and leaves out those that are not kept.
pub(super) fn settle(candidates: &mut Vec<Candidate>) {
    if candidates.len() < 2 {
        return;
    }
    let ranks: Vec<Rank> = candidates
        .iter()
        .map(|candidate| Rank::of(&candidate.entry))
        .collect();
    let kept = kept(&ranks).into_iter();
    *candidates = kept.map(|at| candidates[at].clone()).collect();
}
