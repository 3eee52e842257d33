use reflow_core::command::{Runner, RunnerOptions};

use super::{Findings, Level};
use crate::context::{Context, own_program};

const TOPIC: &str = "program";

/// Looks at reflow's own program, and at what starts it on nodes.
pub(super) fn look(context: &Context, findings: &mut Findings) {
    let version = env!("CARGO_PKG_VERSION");
    match own_program() {
        Ok(path) => findings
            .ok(TOPIC, "reflow", format!("{version}, {}", path.display()))
            .fact("version", version),
        Err(error) => findings
            .add(TOPIC, Level::Problem, "reflow", error.message)
            .advise(error.hints.join("; ")),
    };
    let Some(launcher) = context.configuration.resolved.launcher() else {
        findings.ok(TOPIC, "launcher", "nodes start a copy of this program");
        return;
    };
    let runner = Runner::new(RunnerOptions {
        environment: context.surroundings.environment(),
        ..RunnerOptions::default()
    });
    let words = launcher.join(" ");
    match launcher.first().map(|program| runner.find(program)) {
        Some(Ok(path)) => findings.ok(
            TOPIC,
            "launcher",
            format!("nodes start `{words}`; here that is {}", path.display()),
        ),
        _ => findings
            .add(
                TOPIC,
                Level::Warning,
                "launcher",
                format!("nodes start `{words}`, which is not on this machine"),
            )
            .advise("correct `launcher` if the nodes do not have it either; the job below tells"),
    };
}
