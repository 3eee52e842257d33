use std::time::Duration;

use reflow_core::engine::{self, ElementReport, RunStatus};
use reflow_core::rundir::RunDir;
use serde_json::json;

use crate::app::RunArgs;
use crate::backends;
use crate::context::Context;
use crate::element::SelectedName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::queue::{self, Waiting};
use crate::render;
use crate::selection;

/// How long the batch system may take to say why jobs wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Show how far a run is, and what failed.
///
/// Where jobs are queued and nothing runs, the batch system is asked why. Everything else is read from the
/// run directory.
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
    let waiting = why_it_waits(context, &run, &status)?;
    if context.output.json {
        let mut document = serde_json::to_value(&status).map_err(CliError::fault)?;
        if !waiting.is_empty() {
            document["waiting"] = json!(waiting);
        }
        output::print_document(&document)?;
    } else {
        output::print(&render::status::run(&status, &waiting))?;
    }
    Ok(Exit::Done)
}

/// Asks the batch system why jobs wait, where something is queued and nothing runs. Nothing is known where
/// it does not answer soon: the status itself is read from the run directory.
fn why_it_waits(
    context: &Context,
    run: &RunDir,
    status: &RunStatus,
) -> Result<Vec<Waiting>, CliError> {
    let totals = status.totals();
    let record = run.record();
    let is_wondered_at = !status.state.is_final() && totals.queued > 0 && totals.running == 0;
    if !is_wondered_at || record.backend.name == "local" {
        return Ok(Vec::new());
    }
    let asked = async {
        let policy = context.configuration.resolved.environment();
        let launcher = &record.launcher;
        let scheduler =
            backends::connect(&context.surroundings, &record.backend, launcher, &policy).await?;
        queue::waiting(status, scheduler.as_ref()).await
    };
    let answer =
        Context::runtime()?.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
    Ok(match answer {
        Ok(Ok(waiting)) => waiting,
        Ok(Err(error)) => {
            tracing::debug!(%error, "why jobs wait is not known");
            Vec::new()
        }
        Err(_) => Vec::new(),
    })
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
