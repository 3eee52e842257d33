use serde_json::json;

use crate::app::RunArgs;
use crate::context::Context;
use crate::engine;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// Cancel a run.
///
/// Nothing of it is sent or started any more; what is queued or runs is cancelled. A run that has
/// ended stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let status = engine::status(&run)?;
    if context.output.json {
        output::print_document(&json!({"run_id": status.run_id}))?;
    }
    Ok(Exit::Done)
}
