//! Which element starts when: a state machine without I/O.
//!
//! Events go in as method calls with the time; [`Action`]s and [`Record`]s come out, records first to
//! be written, then actions to be carried out. Cost per event does not grow with the number of
//! elements: each job has a cursor or a queue of its ready elements, the jobs that can start are
//! indexed by what they need, and each parent knows its children.

mod depend;
mod job;
mod order;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use job::{Job, Needs};
pub(crate) use run::Queue;

use reflow_core::scheduler::EndReason;

use crate::element::End;

/// A moment, on both clocks, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Now {
    /// Since the epoch: for people, and for `not_before`.
    pub(crate) wall: u64,
    /// On the monotonic clock of the machine: for limits.
    pub(crate) mono: u64,
}

/// What the supervisor has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start an element.
    Start { job: u64, index: u32 },
    /// End a running element: terminate, then kill.
    Kill { job: u64, index: u32 },
    /// Send the signal that the job asked for ahead of its walltime.
    Warn { job: u64, index: u32 },
}

/// What has to be written down before the actions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// An element was given its cores.
    Started { job: u64, index: u32, at: u64 },
    /// A running element is being ended.
    Killed {
        job: u64,
        index: u32,
        reason: EndReason,
    },
    /// An element ended.
    Ended { job: u64, index: u32, end: End },
    /// All elements that were pending ended without having started.
    Dropped {
        job: u64,
        reason: EndReason,
        at: u64,
    },
}
