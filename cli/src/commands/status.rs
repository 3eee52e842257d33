use crate::app::RunArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render;
use reflow_core::engine;

/// Show how far a run is, and what failed.
///
/// Exits with 0 whatever the state of the run is: `reflow wait` tells it by its exit code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let status = engine::status(&run)?;
    if context.output.json {
        output::print_document(&status)?;
    } else {
        output::print(&render::status::run(&status))?;
    }
    Ok(Exit::Done)
}
