use reflow_core::engine::{self, ElementLog, EngineError};
use serde_json::json;

use crate::app::RunArgs;
use crate::context::Context;
use crate::element::SelectedName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, FAINT, styled};
use crate::selection;

/// Print what tasks wrote to standard output and standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// The tasks, or elements of arrays: `total`, `count[3]`, `count[1,4-7]`. All tasks where none is
    /// named.
    #[arg(value_name = "TASK[INDEX]")]
    elements: Vec<SelectedName>,
    /// Of this attempt, from 1, in place of the newest one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let all: Vec<SelectedName>;
    let elements = if args.elements.is_empty() {
        let tasks = run.record().description.tasks.iter();
        all = tasks
            .map(|task| SelectedName {
                task: task.name.clone(),
                elements: None,
            })
            .collect();
        &all
    } else {
        &args.elements
    };
    // What is misspelt is said before anything is read.
    selection::select(&run, &args.elements)?;
    let mut logs = Vec::new();
    for SelectedName { task, elements } in elements {
        let only = selection::only(elements.as_ref());
        match engine::logs(&run, task.as_str(), only, args.attempt) {
            Ok(found) => logs.extend(found.into_iter().filter(|log| {
                let (Some(elements), Some(index)) = (elements, log.index) else {
                    return true;
                };
                elements.contains(index)
            })),
            // A task without elements yet has no output, and one that was not tried as often none of that
            // attempt; these are answers where all are asked for.
            Err(EngineError::NoValue(_) | EngineError::NotFound(_)) if args.elements.is_empty() => {
            }
            Err(error) => return Err(error.into()),
        }
    }
    if context.output.json {
        let logs: Vec<_> = logs.iter().map(document).collect();
        output::print_document(&json!({
            "run_id": run.record().run_id, "logs": logs,
        }))?;
        return Ok(Exit::Done);
    }
    let headings = logs.len() > 1;
    for log in &logs {
        print(log, headings)?;
    }
    Ok(Exit::Done)
}

fn name(log: &ElementLog) -> String {
    match log.index {
        Some(index) => format!("{}[{index}]", log.task),
        None => log.task.clone(),
    }
}

fn document(log: &ElementLog) -> serde_json::Value {
    json!({
        "task": log.task,
        "index": log.index,
        "attempt": log.attempt,
        "state": log.state,
        "directory": log.directory,
        "stdout": String::from_utf8_lossy(&log.stdout),
        "stderr": String::from_utf8_lossy(&log.stderr),
    })
}

fn print(log: &ElementLog, headings: bool) -> Result<(), CliError> {
    let heading = |what: &str| {
        let again = if log.attempt > 1 {
            format!(", attempt {}", log.attempt)
        } else {
            String::new()
        };
        let line = format!("==> {}{again}: {what} <==", name(log));
        styled(FAINT, line) + "\n"
    };
    let both = !log.stdout.is_empty() && !log.stderr.is_empty();
    for (what, bytes) in [
        ("standard output", &log.stdout),
        ("standard error", &log.stderr),
    ] {
        if bytes.is_empty() {
            continue;
        }
        if headings || both {
            output::print(&heading(what))?;
        }
        output::print_bytes(bytes)?;
        if !bytes.ends_with(b"\n") {
            output::print("\n")?;
        }
    }
    Ok(())
}
