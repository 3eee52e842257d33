//! What queues allow (`qstat -Q -f`).

use reflow_core::scheduler::{Memory, PartitionLimits, Walltime};

use crate::config::Site;
use crate::parse::{Objects, clock, size};

/// Returns the limits of the queues that take jobs. A queue that has no limit has that of the server.
pub(crate) fn limits(queues: &Objects, site: &Site) -> Vec<PartitionLimits> {
    queues
        .iter()
        .map(|(name, attributes)| {
            let text = |key: &str| attributes.get(key).map(String::as_str);
            let time = text("resources_max.walltime").and_then(clock);
            let mem = text("resources_max.mem").or(site.mem.as_deref());
            PartitionLimits {
                name: name.clone(),
                is_default: site.default_queue.as_deref() == Some(name),
                time: time
                    .or(site.walltime)
                    .filter(|seconds| *seconds > 0)
                    .map(Walltime::from_seconds),
                mem: mem
                    .and_then(size)
                    .filter(|bytes| *bytes > 0)
                    .map(Memory::from_bytes),
            }
        })
        .collect()
}
