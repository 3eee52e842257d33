use std::sync::Arc;

use reflow_core::scheduler::Scheduler;

use crate::Site;

/// What only a test has: a site, and the same batch system in a state that no user can bring about.
#[derive(Debug)]
pub struct Rig {
    /// What any user has.
    pub site: Arc<Site>,
    /// The connection that the case asked for.
    pub other: Arc<dyn Scheduler>,
}

/// A connection that only a test can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A second connection, which shares no state with the site's: another process of the user.
    SecondConnection,
}

impl Part {
    /// Returns the words for people when a test cannot make it.
    pub fn otherwise(self) -> &'static str {
        match self {
            Self::SecondConnection => "needs a second connection",
        }
    }
}
