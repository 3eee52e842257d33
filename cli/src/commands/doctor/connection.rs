use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use reflow_core::scheduler::{Scheduler, SchedulerError, SchedulerErrorKind};

use super::{Findings, Level};
use crate::backends;
use crate::context::{Context, own_launcher, own_program};
use crate::patience::words;

const TOPIC: &str = "backend";

/// Looks which backends answer, and returns the selected one if it does.
pub(super) async fn look(
    context: &Context,
    selected: &str,
    findings: &mut Findings,
) -> Option<Arc<dyn Scheduler>> {
    let registry = backends::registry();
    let mut names: Vec<&str> = registry.names().collect();
    if !names.contains(&selected) {
        names.push(selected);
    }
    let launcher = own_program()
        .and_then(|program| own_launcher(&program))
        .unwrap_or_default();
    let mut connected = None;
    for name in names {
        let record = context.backend_named(name);
        let started = Instant::now();
        let answer = registry
            .connect(name, context.connect_options(&record, &launcher))
            .await;
        let is_selected = name == selected;
        let about = if is_selected {
            format!("{name} (selected)")
        } else {
            name.to_owned()
        };
        match answer {
            Ok(scheduler) => {
                let seconds = started.elapsed().as_secs_f64();
                findings
                    .ok(TOPIC, about, format!("answers in {seconds:.1} s"))
                    .fact("seconds", seconds);
                if is_selected {
                    connected = Some(scheduler);
                }
            }
            Err(error) if !is_selected && error.kind() == SchedulerErrorKind::NotInstalled => {
                findings.ok(TOPIC, about, "not on this machine");
            }
            Err(error) => {
                // What is wrong in the configuration was meant to be used.
                let is_mistake = error.kind() == SchedulerErrorKind::InvalidRequest;
                let level = if is_selected || is_mistake {
                    Level::Problem
                } else {
                    Level::Warning
                };
                findings
                    .add(TOPIC, level, about, explained(&error))
                    .advise(advice(name, error.kind()));
            }
        }
    }
    if selected == "local" {
        let options = context.connect_options(&context.backend_named(selected), &launcher);
        for warning in reflow_backend_local::warnings(&options) {
            findings.add(TOPIC, Level::Warning, "local (selected)", warning);
        }
    }
    connected
}

/// Returns what went wrong in one line, with the facts that say where.
fn explained(error: &SchedulerError) -> String {
    let mut text = words(error);
    for (name, value) in error.context() {
        if name.starts_with("nearest") || name.starts_with("known") {
            let _ = write!(text, " ({name}: {})", value.trim());
        }
    }
    text
}

fn advice(name: &str, kind: SchedulerErrorKind) -> String {
    match kind {
        SchedulerErrorKind::NotInstalled => format!(
            "load the module that has its programs, or say where they are with `backend.{name}.bin_dir`; \
             `--backend` and `default_backend` select another backend"
        ),
        SchedulerErrorKind::InvalidRequest => {
            "`reflow config show` tells where each value was written; `reflow backend list` lists the backends"
                .to_owned()
        }
        SchedulerErrorKind::Permission => {
            "log in as a user who may submit jobs; batch systems refuse root".to_owned()
        }
        SchedulerErrorKind::Unreachable | SchedulerErrorKind::TimedOut | SchedulerErrorKind::Busy => {
            "try its own status command; if that fails too, tell those who run the cluster".to_owned()
        }
        _ => "try its own status command, and report this if that works".to_owned(),
    }
}
