use std::time::Duration;

use reflow_core::scheduler::{SchedulerError, client};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dialect::Name;
use crate::memory::{Per, Unit};

/// The keys of `[backend.lsf]` that are LSF's alone.
const KEYS: &[&str] = &[
    "array_limit",
    "command_timeout",
    "commands_at_once",
    "dialect",
    "history_logs",
    "memory_per",
    "memory_unit",
    "message_timeout",
    "run_limit_grace",
];

/// `[backend.lsf]`, less what every backend has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Most elements of an array, where the cluster's own answer is not to be used.
    pub(crate) array_limit: Option<u32>,
    /// Most seconds for one of LSF's programs.
    pub(crate) command_timeout: Option<u64>,
    /// Most of LSF's programs running at the same time.
    pub(crate) commands_at_once: Option<usize>,
    /// The dialect, where the programs' own answer is not to be used.
    pub(crate) dialect: Option<Name>,
    /// How many event logs `bhist` searches (`-n`): 0 for all; none for the newest alone.
    pub(crate) history_logs: Option<u32>,
    /// What the amount of a memory reservation is for.
    pub(crate) memory_per: Option<Per>,
    /// The unit of bare numbers of memory; with it no unit is written.
    pub(crate) memory_unit: Option<Unit>,
    /// How long after a failed submission a job may still appear, in seconds.
    pub(crate) message_timeout: Option<u64>,
    /// How long after its run limit a job of openlava is killed, in seconds.
    pub(crate) run_limit_grace: Option<u64>,
}

impl Settings {
    /// Reads the settings. Unknown keys are refused with the nearest known one.
    pub(crate) fn read(settings: &Map<String, Value>) -> Result<Self, SchedulerError> {
        client::read_settings("lsf", settings, KEYS)
    }
}

/// What the cluster says about itself (`bparams`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Highest index of an array.
    pub(crate) max_job_array_size: u32,
    /// How long an ended job is remembered.
    pub(crate) clean_period: Duration,
    /// The queues that requests without one go to.
    pub(crate) default_queues: Vec<String>,
    /// Whether memory is reserved for each slot.
    pub(crate) reserves_per_slot: bool,
}

impl Site {
    /// Reads the output of `bparams -a` (IBM's) or `bparams -l`: lines of `NAME = value` among others. What
    /// it does not say has LSF's default.
    pub(crate) fn parse(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim())
        };
        let number = |key: &str| -> Option<u64> {
            let text = value(key)?;
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().ok()
        };
        let is_yes = |key: &str| value(key).is_some_and(|value| value.starts_with(['Y', 'y', '1']));
        // Jobs that ended well may be forgotten sooner: CLEAN_PERIOD_DONE.
        let clean_period = number("CLEAN_PERIOD").unwrap_or(3600);
        let clean_period = clean_period.min(number("CLEAN_PERIOD_DONE").unwrap_or(u64::MAX));
        Self {
            max_job_array_size: number("MAX_JOB_ARRAY_SIZE")
                .and_then(|size| u32::try_from(size).ok())
                .filter(|size| *size > 0)
                .unwrap_or(1000),
            clean_period: Duration::from_secs(clean_period),
            default_queues: value("DEFAULT_QUEUE")
                .map(|queues| queues.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            reserves_per_slot: is_yes("RESOURCE_RESERVE_PER_SLOT")
                || is_yes("RESOURCE_RESERVE_PER_TASK"),
        }
    }
}

/// Reads `LSF_UNIT_FOR_LIMITS` in the text of `lsf.conf`, or in what `badmin showconf mbd` prints.
pub(crate) fn unit_for_limits(text: &str) -> Option<Unit> {
    text.lines()
        .map(str::trim)
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.trim() == "LSF_UNIT_FOR_LIMITS")
        .filter_map(|(_, value)| Unit::parse(value.trim().trim_matches('"')))
        .next_back()
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
    fn unknown_keys_and_words_are_refused() {
        insta::assert_snapshot!(read(&json!({"dialekt": "lsf"})).expect_err("is unknown"), @"unknown key `backend.lsf.dialekt` (nearest key: `dialect`)");
        insta::assert_snapshot!(read(&json!({"dialect": "pbs"})).expect_err("is none"), @"`backend.lsf.dialect` does not fit: unknown variant `pbs`, expected `lsf` or `openlava`");
        let settings =
            read(&json!({"dialect": "openlava", "memory_unit": "GB", "memory_per": "slot"}));
        let settings = settings.expect("is valid");
        assert_eq!(settings.dialect, Some(Name::OpenLava));
        assert_eq!(settings.memory_unit, Some(Unit::GB));
        assert_eq!(settings.memory_per, Some(Per::Slot));
    }

    /// The lines of `bparams -l`, in the form of openlava's `bparams.c`.
    #[test]
    fn the_cluster_says_its_limits() {
        let text = "\nSystem default queues for automatic queue selection:\n    DEFAULT_QUEUE = normal short\n\nThe amount of time during which finished jobs are kept in core:\n    CLEAN_PERIOD = 600 (seconds)\n\nThe maximum number of jobs in a job array.\n    MAX_JOB_ARRAY_SIZE = 5000\n\n";
        let site = Site {
            max_job_array_size: 5000,
            clean_period: Duration::from_mins(10),
            default_queues: vec!["normal".into(), "short".into()],
            reserves_per_slot: false,
        };
        assert_eq!(Site::parse(text), site);
        let more = "CLEAN_PERIOD = 3600\nCLEAN_PERIOD_DONE = 60\nRESOURCE_RESERVE_PER_TASK = Y\n";
        let site = Site::parse(more);
        assert_eq!(site.clean_period, Duration::from_mins(1));
        assert!(site.reserves_per_slot);
        assert_eq!(site.max_job_array_size, 1000);
    }

    #[test]
    fn the_unit_for_limits_is_found_in_the_configuration() {
        let text = "# LSF_UNIT_FOR_LIMITS=KB\nLSF_TOP=/opt/lsf\nLSF_UNIT_FOR_LIMITS=GB\n";
        assert_eq!(unit_for_limits(text), Some(Unit::GB));
        assert_eq!(
            unit_for_limits("  LSF_UNIT_FOR_LIMITS = \"MB\"\n"),
            Some(Unit::MB)
        );
        assert_eq!(unit_for_limits("LSF_TOP=/opt/lsf\n"), None);
    }
}
