use std::time::Duration;

use reflow_core::command::{Call, Runner, RunnerOptions};

use super::{Findings, Level};
use crate::backends::{self, About};
use crate::context::Context;

const TOPIC: &str = "installed";

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks which batch systems have their programs on this machine, and asks for their versions.
pub(super) async fn look(context: &Context, findings: &mut Findings) {
    for about in &backends::ABOUT {
        if about.programs.is_empty() {
            continue;
        }
        let runner = Runner::new(RunnerOptions {
            bin_dir: context.backend_named(about.name).bin_dir,
            environment: context.surroundings.environment(),
            timeout: PATIENCE,
            ..RunnerOptions::default()
        });
        let (found, missing): (Vec<&str>, Vec<&str>) = about
            .programs
            .iter()
            .copied()
            .partition(|program| runner.find(program).is_ok());
        let Some(first) = found.first() else {
            findings.ok(TOPIC, about.name, "not on this machine");
            continue;
        };
        let version = version(&runner, about).await;
        let place = runner.find(first).ok();
        let place = place.as_deref().and_then(std::path::Path::parent);
        let mut message = match &version {
            Some(version) => version.clone(),
            None => "of a version that it does not tell".to_owned(),
        };
        if let Some(place) = place {
            message.push_str(", in ");
            message.push_str(&place.display().to_string());
        }
        let finding = if missing.is_empty() {
            findings.ok(TOPIC, about.name, message)
        } else {
            message.push_str("; missing: ");
            message.push_str(&missing.join(" "));
            findings
                .add(TOPIC, Level::Warning, about.name, message)
                .advise(format!(
                    "install the rest of the client programs, or say where they are with `backend.{}.bin_dir`",
                    about.name
                ))
        };
        finding.fact("programs", found);
        if let Some(version) = version {
            finding.fact("version", version);
        }
    }
}

/// Returns the first line of what a batch system's program says about its version.
async fn version(runner: &Runner, about: &About) -> Option<String> {
    let call = Call::new(about.version.iter().copied());
    let output = runner.run(&call).await.ok()?;
    // LSF tells it on standard error.
    let text = format!("{}\n{}", output.stdout_text(), output.stderr_text());
    text.lines()
        .map(str::trim)
        .find(|line| line.bytes().any(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}
