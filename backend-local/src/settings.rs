use std::time::Duration;

use reflow_core::scheduler::{Memory, SchedulerError, SchedulerErrorKind, Walltime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `[backend.local]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Cores to share out; by default those that the supervisor may run on.
    pub cpus: Option<u32>,
    /// Memory to share out; by default that of the machine or the control group, whichever is less.
    pub mem: Option<Memory>,
    /// Seconds without jobs after which the supervisor ends.
    pub idle_seconds: u64,
    /// Seconds between the termination signal and the kill.
    pub kill_wait: u64,
    /// How long ended jobs are remembered, at least.
    pub history: Walltime,
    /// What keeps jobs within the memory that they asked for.
    pub mem_limits: MemLimits,
    /// Resources that have no meaning on one machine and are to be passed over in place of refused:
    /// `partition`, `account`, `qos`, `constraint`, `reservation`, `gpus`, `mail`.
    pub ignore: Vec<String>,
}

/// What is done about jobs that use more memory than they asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemLimits {
    /// They are killed: by the kernel where control groups can be made, and by measuring.
    #[default]
    Auto,
    /// They are killed when it is measured that they use more.
    Measured,
    /// Nothing.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cpus: None,
            mem: None,
            idle_seconds: 60,
            kill_wait: 5,
            history: Walltime::from_seconds(7 * 86400),
            mem_limits: MemLimits::Auto,
            ignore: Vec::new(),
        }
    }
}

/// What may be in `ignore`.
pub(crate) const IGNORABLE: [&str; 7] = [
    "partition",
    "account",
    "qos",
    "constraint",
    "reservation",
    "gpus",
    "mail",
];

const KEYS: [&str; 7] = [
    "cpus",
    "mem",
    "idle_seconds",
    "kill_wait",
    "history",
    "mem_limits",
    "ignore",
];

impl Settings {
    /// Reads the settings; unknown keys are refused with the nearest one.
    pub(crate) fn read(settings: &Map<String, Value>) -> Result<Self, SchedulerError> {
        let refuse = |message: String| {
            Err(SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                message,
            ))
        };
        for key in settings.keys() {
            if !KEYS.contains(&key.as_str()) {
                return refuse(format!(
                    "`backend.local.{key}` is not a setting; {}",
                    nearest(key, &KEYS)
                ));
            }
        }
        let mut read = Self::default();
        for (key, value) in settings {
            let one: Map<String, Value> = [(key.clone(), value.clone())].into_iter().collect();
            let parsed: Self = match serde_json::from_value(Value::Object(one)) {
                Ok(parsed) => parsed,
                Err(error) => {
                    return refuse(format!("`backend.local.{key}` makes no sense: {error}"));
                }
            };
            match key.as_str() {
                "cpus" => read.cpus = parsed.cpus,
                "mem" => read.mem = parsed.mem,
                "idle_seconds" => read.idle_seconds = parsed.idle_seconds,
                "kill_wait" => read.kill_wait = parsed.kill_wait,
                "history" => read.history = parsed.history,
                "mem_limits" => read.mem_limits = parsed.mem_limits,
                _ => read.ignore = parsed.ignore,
            }
        }
        if read.cpus == Some(0) {
            return refuse("`backend.local.cpus` is 0: give at least 1".to_owned());
        }
        for name in &read.ignore {
            if !IGNORABLE.contains(&name.as_str()) {
                return refuse(format!(
                    "`{name}` in `backend.local.ignore` cannot be passed over; {}",
                    nearest(name, &IGNORABLE)
                ));
            }
        }
        Ok(read)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(crate) fn ignores(&self, resource: &str) -> bool {
        self.ignore.iter().any(|name| name == resource)
    }
}

fn nearest(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || format!("there are: {}", known.join(", ")),
            |(_, candidate)| format!("did you mean `{candidate}`?"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let value: Map<String, Value> = serde_json::from_str(text).expect("the test writes JSON");
        Settings::read(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_and_everything_else_is_refused_by_name() {
        let settings =
            read(r#"{"cpus": 3, "mem": "2G", "history": "1d", "ignore": ["partition"]}"#)
                .expect("all of these are settings");
        assert_eq!(settings.cpus, Some(3));
        assert_eq!(settings.history.seconds(), 86400);
        assert_eq!(settings.idle_seconds, 60);
        insta::assert_snapshot!(read(r#"{"cpu": 3}"#).unwrap_err(), @"`backend.local.cpu` is not a setting; did you mean `cpus`?");
        insta::assert_snapshot!(read(r#"{"mem": "2"}"#).unwrap_err(), @"`backend.local.mem` makes no sense: `2` is not a memory size: write a number with a unit, such as `500M` or `16G`");
        insta::assert_snapshot!(read(r#"{"cpus": 0}"#).unwrap_err(), @"`backend.local.cpus` is 0: give at least 1");
        insta::assert_snapshot!(read(r#"{"ignore": ["time"]}"#).unwrap_err(), @"`time` in `backend.local.ignore` cannot be passed over; there are: partition, account, qos, constraint, reservation, gpus, mail");
    }
}
