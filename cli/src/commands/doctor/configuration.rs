use std::collections::BTreeSet;

use reflow_core::config::Origin;
use reflow_core::nearest::nearest;

use super::{Findings, Level};
use crate::backends;
use crate::configuration::Broken;
use crate::context::Context;

const TOPIC: &str = "configuration";

/// Looks at the files and variables that values come from, and for tables of backends that there are
/// not. The keys of a backend are looked at by the backend, when it is connected to.
pub(super) fn look(context: &Context, broken: Option<&Broken>, findings: &mut Findings) {
    let configuration = &context.configuration;
    if let Some(broken) = broken {
        let mut message = broken.error.message.clone();
        for cause in &broken.error.causes {
            message.push_str(": ");
            message.push_str(cause);
        }
        let finding = findings.add(TOPIC, Level::Problem, "files", message);
        let hints = broken.error.hints.join("; ");
        finding.advise(if hints.is_empty() {
            "correct the file; what follows is looked at with the defaults".to_owned()
        } else {
            format!("{hints}; what follows is looked at with the defaults")
        });
        return;
    }
    for (_, path, found) in &configuration.files {
        let word = if *found { "read" } else { "not there" };
        findings.ok(TOPIC, path.display().to_string(), word);
    }
    for setting in configuration.resolved.settings() {
        if let Origin::Variable { name } = &setting.origin {
            let message = format!("sets `{}` to {}", setting.dotted_key(), setting.value);
            findings.ok(TOPIC, name.clone(), message);
        }
    }
    let registry = backends::registry();
    let named: BTreeSet<&str> = configuration
        .resolved
        .settings()
        .filter_map(|setting| match &setting.key[..] {
            [table, name, _, ..] if table == "backend" => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for name in named {
        if registry.names().all(|known| known != name) {
            let known: Vec<&str> = registry.names().collect();
            let finding = findings.add(
                TOPIC,
                Level::Warning,
                format!("[backend.{name}]"),
                "there is no backend of that name: its settings have no effect",
            );
            finding.advise(match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `[backend.{near}]`?"),
                None => format!("there are: {}", known.join(", ")),
            });
        }
    }
}
