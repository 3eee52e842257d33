use std::sync::Arc;

use reflow_core::engine::{self, Services};
use serde_json::json;

use crate::app::RunArgs;
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output;
use crate::patience::Absence;
use crate::render::status::state_words;

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
    let report = Context::runtime()?.block_on(async {
        let scheduler = context
            .connect_patiently(&run, Absence::IsFinal, Arc::new(crate::output::warn))
            .await?;
        let services = Services::system();
        scheduler
            .until_reached(|| engine::cancel(&run, &scheduler, &services, &[]))
            .await
            .map_err(CliError::from)
    })?;
    let run_id = &run.record().run_id;
    if !report.left.is_empty() {
        let jobs = report.left.iter().map(ToString::to_string).collect();
        return Err(CliError::new(
            Kind::Scheduler,
            format!("the run `{run_id}` is cancelled, but jobs of it are still there"),
        )
        .with_details(jobs)
        .with_hint(format!("cancel it again: reflow cancel {run_id}")));
    }
    if context.output.json {
        output::print_document(&json!({
            "run_id": run_id, "state": report.state, "was_over": report.was_over,
        }))?;
        return Ok(Exit::Done);
    }
    let state = state_words(report.state);
    output::print(&if report.was_over {
        format!("nothing to do: {run_id} has ended before ({state})\n")
    } else {
        format!("{run_id} {state}\n")
    })?;
    Ok(Exit::Done)
}
