//! Between runs and the store: what of a result is remembered, and when what is remembered may be used.

mod collect;
mod home;
mod publish;
mod rebuild;
mod take;
mod task_digest;
mod told;
mod user_files;

pub use collect::{Collected, Criteria, collect};
pub(crate) use home::Homes;
pub(crate) use publish::{entry_of, made_ms, origin_of};
pub use rebuild::{Rebuilt, rebuild};
pub(crate) use take::{Found, Taker};
pub use task_digest::task_digest;
pub(crate) use told::{Contents, is_as_noted};
pub use user_files::{UserFile, UserFiles};
