use std::time::Duration;

use reflow_core::rundir::DispatchMode;
use reflow_core::scheduler::{PartitionLimits, Scheduler};

use super::{Findings, Level};
use crate::context::Context;
use crate::render::words::span;

const TOPIC: &str = "limits";

/// Jobs that ended before this are forgotten where reflow would still ask: a night, and some.
const SHORT_HISTORY: Duration = Duration::from_hours(1);

/// Looks at what the selected batch system allows.
pub(super) fn look(scheduler: &dyn Scheduler, context: &Context, findings: &mut Findings) {
    let capabilities = scheduler.capabilities();
    let array = match capabilities.array_limit {
        Some(limit) => format!("up to {limit} elements in one array; more are split"),
        None => "of any length".to_owned(),
    };
    findings
        .ok(TOPIC, "arrays", array)
        .fact("array_limit", capabilities.array_limit);
    history(scheduler, findings);
    if !capabilities.submit_from_jobs
        && context.configuration.resolved.dispatch() != DispatchMode::Login
    {
        findings
            .add(
                TOPIC,
                Level::Problem,
                "submitting from jobs",
                "not allowed here",
            )
            .advise("set `dispatch = \"login\"`, and keep `reflow drive` or `reflow wait` running");
    }
    if capabilities.partitions.is_empty() {
        findings.ok(TOPIC, "partitions", "no limits are known");
    }
    for partition in &capabilities.partitions {
        findings
            .ok(
                TOPIC,
                format!("partition {}", partition.name),
                limits(partition),
            )
            .fact("partition", serde_json::json!(partition));
    }
}

fn history(scheduler: &dyn Scheduler, findings: &mut Findings) {
    let history = scheduler.capabilities().history;
    let finding = match history {
        Some(kept) if kept >= SHORT_HISTORY => findings.ok(
            TOPIC,
            "history",
            format!("ended jobs are remembered for {}", span(kept)),
        ),
        Some(kept) => findings
            .add(
                TOPIC,
                Level::Warning,
                "history",
                format!(
                    "ended jobs are remembered for {} only: why a job ended that was killed may not be known",
                    span(kept)
                ),
            )
            .advise(how_to_remember(scheduler.name())),
        None => findings
            .add(
                TOPIC,
                Level::Warning,
                "history",
                "ended jobs are forgotten at once: why a job ended that was killed is not known",
            )
            .advise(how_to_remember(scheduler.name())),
    };
    finding.fact("history_seconds", history.map(|kept| kept.as_secs()));
}

/// Returns what those who run the cluster can do, by the manuals of the batch systems.
fn how_to_remember(backend: &str) -> &'static str {
    match backend {
        "slurm" => {
            "ask those who run the cluster for accounting (`AccountingStorageType`, slurmdbd), or a longer `MinJobAge`"
        }
        "pbs" => {
            "ask those who run the cluster for `qmgr -c 'set server job_history_enable = true'` (Torque: `keep_completed`)"
        }
        "lsf" => "ask those who run the cluster for a longer `CLEAN_PERIOD` in lsb.params",
        _ => "set a longer `history` in the settings of the backend",
    }
}

fn limits(partition: &PartitionLimits) -> String {
    let mut words = Vec::new();
    if partition.is_default {
        words.push("the default".to_owned());
    }
    words.push(match partition.time {
        Some(time) => format!("at most {time}"),
        None => "no limit on the walltime".to_owned(),
    });
    words.extend(partition.mem.map(|mem| format!("nodes of up to {mem}")));
    words.join(", ")
}
