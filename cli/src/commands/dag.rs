use clap::ValueEnum;

use crate::app::WorkflowArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render::dag;
use crate::workflow;

/// Draw the graph of a workflow.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// The language of the drawing.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// The language of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines on the terminal.
    Text,
    /// Mermaid, as many web pages draw it.
    Mermaid,
    /// Graphviz.
    Dot,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let file = workflow::locate(&context.surroundings, args.workflow.workflow.as_deref())?;
    let graph = workflow::load(&file)?.graph;
    if context.output.json {
        output::print_document(&dag::document(&graph))?;
        return Ok(Exit::Done);
    }
    output::print(&match args.format {
        Format::Text => dag::text(&graph),
        Format::Mermaid => dag::mermaid(&graph),
        Format::Dot => dag::dot(&graph),
    })?;
    Ok(Exit::Done)
}
