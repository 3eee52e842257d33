use reflow_core::rundir::DispatchMode;

use super::run;
use crate::app::RunArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::run_reference::shell_name;
use crate::watch::{self, Watching};

/// Plan a run from here until it has ended.
///
/// For runs with `dispatch = "login"`, on sites where nodes may not submit jobs: nothing new is submitted
/// while nobody drives or waits. Other runs are planned by jobs as well, and can be driven all the same.
/// Exits like `reflow wait`. Ctrl-C stops the planning; what is queued goes on.
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
    let others = match run.record().dispatch {
        DispatchMode::Login => "nothing is planned when this is stopped",
        DispatchMode::Job | DispatchMode::Worker => {
            "its jobs plan too, so that it goes on when this is stopped"
        }
    };
    let announcement = format!(
        "the run {} is planned from here until it has ended; {others}\n",
        run.record().run_id
    );
    let ending = watch::to_the_end(context, &run, &announcement, args.quiet, Watching::Driving)?;
    run::finish(context, &ending, &run, &shell_name(&run))
}
