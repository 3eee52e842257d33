use std::collections::BTreeMap;
use std::time::Duration;

use reflow_core::scheduler::client::read_settings;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::parse::{Objects, clock};

/// The keys of `[backend.pbs]` that are PBS's alone.
const KEYS: &[&str] = &[
    "command_timeout",
    "commands_at_once",
    "dialect",
    "gpu_type_resource",
    "message_timeout",
];

/// Which PBS it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// OpenPBS and PBS Professional.
    OpenPbs,
    /// Torque.
    Torque,
}

/// `[backend.pbs]`, less what every backend has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Most seconds for one of PBS's programs.
    pub(crate) command_timeout: Option<u64>,
    /// Most of PBS's programs running at the same time.
    pub(crate) commands_at_once: Option<usize>,
    /// Which PBS it is, where it is not to be found out.
    pub(crate) dialect: Option<Dialect>,
    /// The resource of a chunk that holds the type of its GPUs (`gpu_model`), where the site has one.
    pub(crate) gpu_type_resource: Option<String>,
    /// Seconds after which a job of which no answer came does not appear any more.
    pub(crate) message_timeout: Option<u64>,
}

impl Settings {
    /// Reads the settings. Unknown keys are refused with the nearest known one.
    pub(crate) fn read(settings: &Map<String, Value>) -> Result<Self, SchedulerError> {
        let read: Self = read_settings("pbs", settings, KEYS)?;
        if let Some(resource) = &read.gpu_type_resource
            && !is_resource(resource)
        {
            return Err(SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                format!(
                    "`backend.pbs.gpu_type_resource` is `{resource}`, which is not the name of a resource"
                ),
            ));
        }
        Ok(read)
    }
}

/// Returns whether PBS takes `name` as that of a resource.
pub(crate) fn is_resource(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What the server says about itself (`qstat -B -f`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Most elements of an array, where there is a limit.
    pub(crate) max_array_size: Option<u32>,
    /// How long ended jobs are remembered, if at all.
    pub(crate) history: Option<Duration>,
    /// Whether `%N` limits the elements of an array that run at the same time.
    pub(crate) concurrency_limit: bool,
    /// The queue of requests that name none.
    pub(crate) default_queue: Option<String>,
    /// Longest walltime, in seconds, for queues that do not say.
    pub(crate) walltime: Option<u64>,
    /// Most memory of a job, as written, for queues that do not say.
    pub(crate) mem: Option<String>,
}

/// `max_array_size` of OpenPBS where it is not set.
const ARRAY_SIZE: u32 = 10_000;

/// `job_history_duration` of OpenPBS where it is not set: two weeks.
const HISTORY: u64 = 14 * 24 * 3600;

impl Site {
    /// Reads the server's attributes. What they do not say has the default of the documentation.
    pub(crate) fn read(dialect: Dialect, server: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| server.get(key).map(String::as_str);
        let common = Self {
            max_array_size: None,
            history: None,
            concurrency_limit: true,
            default_queue: text("default_queue").map(str::to_owned),
            walltime: text("resources_max.walltime").and_then(clock),
            mem: text("resources_max.mem").map(str::to_owned),
        };
        match dialect {
            Dialect::OpenPbs => Self {
                max_array_size: Some(
                    text("max_array_size")
                        .and_then(|size| size.parse().ok())
                        .unwrap_or(ARRAY_SIZE),
                ),
                history: text("job_history_enable")
                    .is_some_and(|word| word.eq_ignore_ascii_case("true") || word == "1")
                    .then(|| {
                        text("job_history_duration")
                            .and_then(clock)
                            .unwrap_or(HISTORY)
                    })
                    .map(Duration::from_secs),
                concurrency_limit: has_run_limit(text("pbs_version").unwrap_or_default()),
                ..common
            },
            // Torque has no limit on arrays but the one that is set, and remembers ended jobs for
            // `keep_completed` seconds.
            Dialect::Torque => Self {
                max_array_size: text("max_job_array_size").and_then(|size| size.parse().ok()),
                history: text("keep_completed")
                    .and_then(|seconds| seconds.parse().ok())
                    .filter(|seconds| *seconds > 0)
                    .map(Duration::from_secs),
                ..common
            },
        }
    }

    /// Takes in what the queues say of the default queue: that it has a lower limit on arrays.
    pub(crate) fn with_default_queue(mut self, queues: &Objects) -> Self {
        let limit = queues
            .iter()
            .find(|(name, _)| Some(name) == self.default_queue.as_ref())
            .and_then(|(_, attributes)| attributes.get("max_array_size")?.parse().ok());
        if let Some(limit) = limit {
            self.max_array_size = Some(self.max_array_size.map_or(limit, |most| most.min(limit)));
        }
        self
    }
}

/// Whether `-J 0-9%2` is known: observed in OpenPBS 23.06.06; the attribute behind it,
/// `max_run_subjobs`, is new in PBS Professional 2020.1 and OpenPBS 20.
fn has_run_limit(version: &str) -> bool {
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .find(|number| !number.is_empty());
    major
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|major| major >= 20)
}
