use std::sync::Arc;

use reflow_core::scheduler::Scheduler;

use crate::Site;

/// What only a test has: the same batch system seen by another process, and one that cannot be
/// reached.
#[derive(Debug)]
pub struct Rig {
    /// What any user has.
    pub site: Site,
    /// A second connection, which shares no state with the first.
    pub second: Arc<dyn Scheduler>,
    /// A connection whose batch system does not answer any more.
    pub unreachable: Arc<dyn Scheduler>,
}
