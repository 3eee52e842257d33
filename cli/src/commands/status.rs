use reflow_core::engine::{self, ElementReport};
use reflow_core::rundir::RunDir;
use serde_json::json;

use crate::app::RunArgs;
use crate::context::Context;
use crate::element::SelectedName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render;
use crate::selection;

/// Show how far a run is, and what failed.
///
/// Exits with 0 whatever the state of the run is: `reflow wait` tells it by its exit code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Show these tasks or elements one by one, with all their attempts: `total`, `count[3]`,
    /// `count[1,4-7]`. May be given several times.
    #[arg(long, value_name = "TASK[INDEX]")]
    task: Vec<SelectedName>,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    if !args.task.is_empty() {
        let elements = elements(&run, &args.task)?;
        let run_id = &run.record().run_id;
        if context.output.json {
            output::print_document(&json!({"run_id": run_id, "elements": elements}))?;
        } else {
            output::print(&render::status::elements(&elements, run_id))?;
        }
        return Ok(Exit::Done);
    }
    let status = engine::status(&run)?;
    if context.output.json {
        output::print_document(&status)?;
    } else {
        output::print(&render::status::run(&status))?;
    }
    Ok(Exit::Done)
}

fn elements(run: &RunDir, names: &[SelectedName]) -> Result<Vec<ElementReport>, CliError> {
    let mut reports = Vec::new();
    for meant in selection::select(run, names)? {
        let task = &run.record().description.tasks[meant.task.get()].name;
        let only = selection::only(meant.elements.as_ref());
        let found = engine::element(run, task.as_str(), only)?;
        reports.extend(found.into_iter().filter(|report| {
            let index = report.index.unwrap_or(0);
            meant.contains(meant.task, index)
        }));
    }
    Ok(reports)
}
