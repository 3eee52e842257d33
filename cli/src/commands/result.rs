use reflow_core::engine;
use serde_json::{Value, json};

use crate::app::RunArgs;
use crate::context::Context;
use crate::element::ElementName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// Print the value that a task returned.
///
/// Text is printed as it is, everything else as JSON. Of an array without an index: all values, as a
/// list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// The task, or one element of an array: `total`, `count[3]`.
    #[arg(value_name = "TASK[INDEX]")]
    element: ElementName,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let ElementName { task, index } = &args.element;
    let value = engine::result(&run, task.as_str(), *index)?;
    if context.output.json {
        output::print_document(&json!({
            "run_id": run.record().run_id, "task": task, "index": index, "value": value,
        }))?;
        return Ok(Exit::Done);
    }
    match value {
        Value::String(text) => output::print_bytes(format!("{text}\n").as_bytes())?,
        other => output::print_json(&other)?,
    }
    Ok(Exit::Done)
}
