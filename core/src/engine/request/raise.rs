//! What an element may use, raised where an earlier try has shown that it is too little.

use crate::journal::Raised;
use crate::scheduler::{Memory, PartitionLimits, Resources, Walltime};
use crate::workflow::TaskDescription;

/// Returns the resources of one array index of a task: those of one element, its walltime `batch` times,
/// each raised as often as it was too little and not above what the partition allows.
pub(super) fn resources(
    task: &TaskDescription,
    batch: u32,
    raised: Raised,
    limits: &[PartitionLimits],
) -> Resources {
    let mut resources = task.resources.clone();
    let limit = limits.iter().find(|limit| match &resources.partition {
        Some(name) => limit.name == *name,
        None => limit.is_default,
    });
    resources.time = resources.time.map(|time| {
        let whole = time.seconds().saturating_mul(u64::from(batch));
        let most = limit.and_then(|it| it.time).map(Walltime::seconds);
        Walltime::from_seconds(grown(whole, task.retry.time, raised.time, 1, most))
    });
    resources.mem = resources.mem.map(|mem| {
        let most = limit.and_then(|it| it.mem).map(Memory::bytes);
        Memory::from_bytes(grown(
            mem.bytes(),
            task.retry.mem,
            raised.mem,
            1 << 20,
            most,
        ))
    });
    resources
}

/// Returns `base` times `factor` for each time that it was raised, in whole `unit`s, and at most `most`,
/// but never less than what was asked for: that a request is too large is for the batch system to say.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts below 2^53, and what is above saturates"
)]
fn grown(base: u64, factor: Option<f64>, times: u8, unit: u64, most: Option<u64>) -> u64 {
    let Some(factor) = factor.filter(|factor| times > 0 && *factor > 1.0) else {
        return base;
    };
    let grown = (base as f64 * factor.powi(i32::from(times)) / unit as f64).ceil() as u64;
    let grown = grown.saturating_mul(unit);
    most.map_or(grown, |most| grown.min(most)).max(base)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task() -> TaskDescription {
        serde_json::from_value(json!({
            "name": "t", "returns": "int",
            "resources": {"mem": "1000M", "time": "00:10:00"},
            "retry": {"retries": 5, "mem": 2.0, "time": 1.5},
        }))
        .expect("a task")
    }

    fn of(batch: u32, mem: u8, time: u8, limits: &[PartitionLimits]) -> (u64, u64) {
        let resources = resources(&task(), batch, Raised { mem, time }, limits);
        let mem = resources.mem.expect("it is set").bytes() >> 20;
        (mem, resources.time.expect("it is set").seconds())
    }

    #[test]
    fn each_factor_applies_for_its_own_cause_alone() {
        assert_eq!(of(1, 0, 0, &[]), (1000, 600));
        assert_eq!(of(1, 2, 0, &[]), (4000, 600));
        assert_eq!(of(1, 0, 2, &[]), (1000, 1350));
    }

    #[test]
    fn a_batch_has_the_time_of_all_and_the_memory_of_one() {
        assert_eq!(of(4, 1, 1, &[]), (2000, 3600));
    }

    #[test]
    fn nothing_grows_above_what_the_partition_allows() {
        let limits = [
            PartitionLimits {
                name: "other".to_owned(),
                is_default: false,
                time: Some(Walltime::from_seconds(1)),
                mem: None,
            },
            PartitionLimits {
                name: "main".to_owned(),
                is_default: true,
                time: Some(Walltime::from_seconds(700)),
                mem: Some(Memory::from_bytes(3000 << 20)),
            },
        ];
        assert_eq!(of(1, 2, 3, &limits), (3000, 700));
        // What was asked for stands, for the batch system to refuse.
        assert_eq!(of(4, 0, 1, &limits), (1000, 2400));
    }
}
