use std::time::Duration;

use reflow_core::scheduler::client::read_settings;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys of `[backend.slurm]` that are Slurm's alone.
const KEYS: &[&str] = &[
    "cluster",
    "command_timeout",
    "commands_at_once",
    "history_days",
    "message_timeout",
];

/// `[backend.slurm]`, less what every backend has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Cluster that jobs go to (`--clusters`), where it is not the one of this machine.
    pub(crate) cluster: Option<String>,
    /// Most seconds for one of Slurm's programs.
    pub(crate) command_timeout: Option<u64>,
    /// Most of Slurm's programs running at the same time.
    pub(crate) commands_at_once: Option<usize>,
    /// How many days back a job is looked up by name in the accounting.
    pub(crate) history_days: Option<u32>,
    /// Slurm's `MessageTimeout` in seconds, where the controller's own answer is not to be used.
    pub(crate) message_timeout: Option<u64>,
}

impl Settings {
    /// Reads the settings. Unknown keys are refused with the nearest known one.
    pub(crate) fn read(settings: &Map<String, Value>) -> Result<Self, SchedulerError> {
        let read: Self = read_settings("slurm", settings, KEYS)?;
        if let Some(cluster) = &read.cluster
            && !cluster
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(invalid(format!(
                "`backend.slurm.cluster` is `{cluster}`, which is not the name of one cluster"
            )));
        }
        Ok(read)
    }
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

/// What the controller says about itself (`scontrol show config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Most elements of an array: the highest index is one less.
    pub(crate) max_array_size: u32,
    /// How long a client waits for the controller.
    pub(crate) message_timeout: Duration,
    /// How long the controller remembers an ended job.
    pub(crate) min_job_age: Duration,
    /// Whether there is an accounting database.
    pub(crate) accounting: bool,
}

impl Site {
    /// Reads the output of `scontrol show config`. What it does not say has Slurm's default.
    pub(crate) fn parse(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
                .map(|(_, value)| value.trim())
        };
        let number = |key: &str| {
            let text = value(key)?;
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse::<u64>().ok()
        };
        let seconds = |key, default| Duration::from_secs(number(key).unwrap_or(default));
        Self {
            max_array_size: number("MaxArraySize")
                .and_then(|size| u32::try_from(size).ok())
                .unwrap_or(1001),
            message_timeout: seconds("MessageTimeout", 10),
            min_job_age: seconds("MinJobAge", 300),
            accounting: value("AccountingStorageType").is_some_and(|storage| {
                !storage.is_empty() && !storage.contains("none") && !storage.contains("(null)")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: &Value) -> Result<Settings, String> {
        Settings::read(settings.as_object().expect("is an object"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        insta::assert_snapshot!(read(&json!({"clustre": "a"})).expect_err("is unknown"), @"unknown key `backend.slurm.clustre` (nearest key: `cluster`)");
        insta::assert_snapshot!(read(&json!({"colour": "a"})).expect_err("is unknown"), @"unknown key `backend.slurm.colour` (known keys: cluster command_timeout commands_at_once history_days message_timeout)");
        insta::assert_snapshot!(read(&json!({"history_days": "x"})).expect_err("is no number"), @r#"`backend.slurm.history_days` does not fit: invalid type: string "x", expected u32"#);
        let settings = read(&json!({"cluster": "a", "message_timeout": 30})).expect("is valid");
        assert_eq!(settings.cluster.as_deref(), Some("a"));
        assert_eq!(settings.message_timeout, Some(30));
    }

    #[test]
    fn the_controller_says_its_limits() {
        let site = Site::parse(include_str!("../tests/fixtures/scontrol-config-22.05.txt"));
        assert_eq!(
            site,
            Site {
                max_array_size: 1001,
                message_timeout: Duration::from_secs(30),
                min_job_age: Duration::from_secs(30),
                accounting: true,
            }
        );
        let none = Site::parse("AccountingStorageType   = accounting_storage/none\n");
        assert!(!none.accounting);
        assert_eq!(none.max_array_size, 1001);
    }
}
