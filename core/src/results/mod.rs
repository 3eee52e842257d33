//! Results of elements: written by workers into the spool of their submission, compacted into packs by
//! dispatch, read by workers downstream, by dispatch and by `status`.
//!
//! ```text
//! results/S/<index / 1024>/<index>   spool of a worker that runs one array index; making it claims the index
//! results/S/w<random>                spool of a worker that serves many indices
//! packs/S.<n>                        the n-th pack made of the spool of S
//! ```

mod digests;
mod finder;
mod record;
pub(crate) mod room;
mod spool;

pub use digests::ValueDigests;
pub(crate) use digests::of_plain;
pub use finder::ResultFinder;
pub use record::{LogSpan, Outcome, ResultRecord, SpoolFrame, Taken, WorkerRecord};
pub use spool::{IndexClaim, Spool, SpoolContent, SpoolWriter, read_spool, read_spool_after};
