//! What backends share that drive a batch system through its own programs.
//!
//! Each piece is pure, or asks through a [`Runner`](crate::command::Runner) that the backend made; what
//! differs between batch systems (words, flags, ids) is given by the backend.

mod complaints;
mod flags;
mod lists;
mod partitions;
mod settings;
mod submission;
mod summary;
mod targets;

pub use complaints::Complaints;
pub use flags::Flags;
pub use lists::{LONGEST_ARGUMENT, parts};
pub use partitions::named_partitions;
pub use settings::read_settings;
pub use submission::{accepted, send};
pub use summary::summary;
pub use targets::{Extent, by_job, ranges};
