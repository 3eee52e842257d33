use super::run;
use crate::app::RunArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::run_reference::shell_name;
use crate::watch::{self, Watching};

/// Wait until a run has ended.
///
/// Exits with 0 when it succeeded and with 1 when it failed or was cancelled. Plans the run further
/// where nobody else does. Ctrl-C stops the waiting, not the run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let ending = watch::to_the_end(context, &run, "", args.quiet, Watching::Beside)?;
    run::finish(context, &ending, &run, &shell_name(&run))
}
