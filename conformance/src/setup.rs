use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reflow_core::command::SCRUBBED;
use reflow_core::scheduler::{Resources, Scheduler, Walltime};

use crate::{FaultyClients, Part};

/// The value of the variables that must not be seen in a job.
pub(crate) const MARK: &str = "reflow-conformance-leak";

/// What the suite runs on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The batch system, connected with an environment that went through [`marked`].
    pub scheduler: Arc<dyn Scheduler>,
    /// An existing directory that the nodes see. Each case makes a directory in it.
    pub scratch: PathBuf,
    /// What every job asks for: little.
    pub resources: Resources,
    /// A partition that does not exist, where the batch system has partitions.
    pub unknown_partition: Option<String>,
    /// A logical partition that `scheduler` was connected with, and its native name.
    pub mapped_partition: Option<(String, String)>,
    /// How long a job of a moment may take to end, the queue included.
    pub patience: Duration,
    /// The shortest walltime that the batch system keeps.
    pub shortest_walltime: Walltime,
    /// Whether the shortest walltime and the lag are over within seconds: cases about walltimes are not slow
    /// then.
    pub quick_limits: bool,
    /// How long a job may run on after its walltime has ended: batch systems look at their jobs from
    /// time to time.
    pub limit_lag: Duration,
    /// Whether a job that goes over its memory is ended here.
    pub memory_enforced: bool,
    /// Largest array that is queued, held, and cancelled to see that the batch system takes its limit.
    pub held_array: u32,
    /// What a rig has besides.
    pub rig: BTreeMap<Part, Arc<dyn Scheduler>>,
    /// Connections whose programs can be made to fail, on a rig.
    pub faulty: Option<Arc<dyn FaultyClients>>,
}

impl Setup {
    /// Returns the setup for a batch system as any user has it: no rig, ten minutes for a job of a moment.
    ///
    /// `scheduler` was connected with an environment that went through [`marked`]; `scratch` is an existing
    /// directory that the nodes see; `resources` are what every job asks for.
    pub fn for_site(scheduler: Arc<dyn Scheduler>, scratch: PathBuf, resources: Resources) -> Self {
        Self {
            scheduler,
            scratch,
            resources,
            unknown_partition: None,
            mapped_partition: None,
            patience: Duration::from_mins(10),
            shortest_walltime: Walltime::from_seconds(60),
            quick_limits: false,
            limit_lag: Duration::from_mins(5),
            memory_enforced: false,
            // A thousand records is what the smallest limit of any batch system has it keep.
            held_array: 1001,
            rig: BTreeMap::new(),
            faulty: None,
        }
    }
}

/// Returns `environment` with variables added that a backend must keep from its jobs.
#[must_use]
pub fn marked(mut environment: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for name in SCRUBBED {
        // Made-up names: a real one could change what the batch system's own programs do.
        let name = match name.strip_suffix('_') {
            Some(prefix) => format!("{prefix}_REFLOW_LEAK"),
            None => (*name).to_owned(),
        };
        environment.insert(name, MARK.to_owned());
    }
    environment
}
