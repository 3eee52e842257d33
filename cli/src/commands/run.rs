use clap::ArgMatches;
use reflow_core::rundir::{DispatchMode, RunDir};

use super::submit;
use crate::app::SubmitOptions;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::watch::{self, Ending, Watching};
use crate::workflow::Workflow;

/// Submit a workflow and watch it to its end.
///
/// The parameters of the workflow are flags: with `-w`, this help shows them under their tasks.
/// Ctrl-C stops the watching, not the run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) options: SubmitOptions,
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn execute(
    context: &Context,
    args: &Args,
    workflow: Workflow,
    matches: &ArgMatches,
) -> Result<Exit, CliError> {
    let submitted = submit::submit(context, &args.options, workflow, matches)?;
    let announcement = submitted.announcement();
    let ending = watch::to_the_end(
        context,
        &submitted.run,
        &announcement,
        args.quiet,
        Watching::Beside,
    )?;
    finish(context, &ending, &submitted.run, &submitted.name())
}

/// Prints how the watching of a run ended. `name` names it on a command line.
pub(crate) fn finish(
    context: &Context,
    ending: &Ending,
    run: &RunDir,
    name: &str,
) -> Result<Exit, CliError> {
    match ending {
        Ending::Run(status) => {
            if context.output.json {
                output::print_document(status)?;
            } else {
                output::print(&watch::summary(status))?;
            }
            Ok(watch::exit(status.state))
        }
        Ending::Interrupted => {
            let (what, watch) = match run.record().dispatch {
                DispatchMode::Login => (
                    "interrupted; what is queued goes on, and nothing more is planned",
                    format!("go on with it: reflow drive {name}"),
                ),
                DispatchMode::Job | DispatchMode::Worker => (
                    "interrupted; the run goes on",
                    format!("watch it:  reflow wait {name}"),
                ),
            };
            Err(CliError::new(crate::error::Kind::Interrupted, what)
                .with_hint(watch)
                .with_hint(format!("cancel it: reflow cancel {name}")))
        }
    }
}
