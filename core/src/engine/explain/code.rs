//! What of the code of a task is another.

use std::collections::BTreeSet;

use super::Reason;
use crate::host::{CommandBody, Program};
use crate::workflow::TaskDescription;

/// Returns what differs, where the fingerprint counts and does.
pub(super) fn differences(before: &TaskDescription, after: &TaskDescription) -> Vec<Reason> {
    if before.cache.code != after.cache.code {
        return vec![Reason::CodeCounts {
            after: after.cache.code,
        }];
    }
    if !after.cache.code || before.fingerprint == after.fingerprint {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if let (Some(before), Some(after)) = (command(before), command(after)) {
        bodies(before, after, &mut reasons);
    }
    if before.setup != after.setup {
        reasons.push(Reason::Setup {
            before: before.setup.clone(),
            after: after.setup.clone(),
        });
    }
    let names = before.environment.keys().chain(after.environment.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let of = |task: &TaskDescription| task.environment.get(name).cloned();
        let (before, after) = (of(before), of(after));
        if before != after {
            reasons.push(Reason::Environment {
                name: name.clone(),
                before,
                after,
            });
        }
    }
    if reasons.is_empty() {
        reasons.push(Reason::Code);
    }
    reasons
}

/// Returns the body of a command task.
fn command(task: &TaskDescription) -> Option<CommandBody> {
    serde_json::from_value(task.body.clone()?).ok()
}

fn bodies(before: CommandBody, after: CommandBody, reasons: &mut Vec<Reason>) {
    let (old, new) = (text(&before.program), text(&after.program));
    if old != new {
        reasons.push(Reason::Command {
            before: old,
            after: new,
        });
    }
    let (old, new) = (interpreter(before.program), interpreter(after.program));
    if let (Some(before), Some(after)) = (old, new)
        && before != after
    {
        reasons.push(Reason::Interpreter { before, after });
    }
    if before.output != after.output {
        let json = |output| serde_json::to_value(output).unwrap_or_default();
        reasons.push(Reason::Output {
            before: json(before.output),
            after: json(after.output),
        });
    }
}

/// Returns what is compared and shown: a script as it is, of a command a line for each word.
fn text(program: &Program) -> String {
    match program {
        Program::Command(words) => words.join("\n"),
        Program::Shell { script, .. } => script.clone(),
    }
}

fn interpreter(program: Program) -> Option<Vec<String>> {
    match program {
        Program::Command(_) => None,
        Program::Shell { interpreter, .. } => Some(interpreter),
    }
}
