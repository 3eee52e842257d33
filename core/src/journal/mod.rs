//! The truth of a run: a sequence of records, one file a term.
//!
//! Creating `journal/<n+1>` exclusively is taking the lease; its first record says at which length the
//! files before it were cut. Bytes beyond do not count, so a holder that freezes and wakes up later
//! cannot do harm: it looks for a newer term before every request to the batch system, and every
//! request that it may have made before it froze is announced within the length that counts.

mod holder;
mod lease;
#[cfg(test)]
mod model_tests;
mod reader;
mod record;

pub use holder::{Holder, Liveness, SystemLiveness};
pub(crate) use lease::HEARTBEAT;
pub use lease::{Lease, LeaseError, Taken, take};
#[cfg(test)]
pub(crate) use lease::{begin, create, measure};
pub use reader::{Journal, read_journal};
pub(crate) use reader::{read_journal_since, terms};
pub use record::{
    Edge, Entry, HandBack, NotSent, Raised, Record, Reopen, SubmissionKind, SubmissionRecord,
};
