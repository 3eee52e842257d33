use crate::app::WorkflowArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::workflow;

/// Print the description of a workflow as JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let file = workflow::locate(&context.surroundings, args.workflow.workflow.as_deref())?;
    let workflow = workflow::load(&file)?;
    output::print_json(workflow.graph.description())?;
    Ok(Exit::Done)
}
