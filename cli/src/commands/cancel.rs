use std::cell::Cell;
use std::sync::Arc;

use clap::ValueHint;
use reflow_core::engine::{self, CancelReport, Services};
use reflow_core::rundir::RunDir;
use serde_json::{Value, json};

use crate::context::Context;
use crate::element::SelectedName;
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output;
use crate::patience::Absence;
use crate::render::status::state_words;
use crate::selection;

/// Cancel runs, or some elements of them.
///
/// Nothing of them is sent or started any more; what is queued or runs is cancelled. What has ended stays
/// as it is. Of several runs, each is cancelled even if another cannot be.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runs: ids, prefixes of ids that no other run has, or directories.
    #[arg(value_name = "RUN", required = true, value_hint = ValueHint::AnyPath)]
    runs: Vec<String>,
    /// Cancel only these tasks or elements: `total`, `count[3]`, `count[1,4-7]`. May be given several
    /// times. The rest of the run goes on, without what needs their values.
    #[arg(long, value_name = "TASK[INDEX]")]
    task: Vec<SelectedName>,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if let [run] = &args.runs[..] {
        let (run, report) = cancel(context, run, &args.task)?;
        if context.output.json {
            output::print_document(&document(&run, &report))?;
        } else {
            output::print(&text(&run, &report, &args.task))?;
        }
        return Ok(Exit::Done);
    }
    let mut documents = Vec::new();
    let mut worst = Exit::Done;
    for name in &args.runs {
        match cancel(context, name, &args.task) {
            Ok((run, report)) if context.output.json => documents.push(document(&run, &report)),
            Ok((run, report)) => output::print(&text(&run, &report, &args.task))?,
            Err(error) => {
                worst = worst.max(error.kind.exit());
                if context.output.json {
                    documents.push(json!({"run": name, "error": error.document()}));
                } else {
                    error.show(context.output);
                }
            }
        }
    }
    if context.output.json {
        output::print_document(&json!({"runs": documents}))?;
    }
    Ok(worst)
}

fn cancel(
    context: &Context,
    name: &str,
    elements: &[SelectedName],
) -> Result<(RunDir, CancelReport), CliError> {
    let run = context.find_run(name)?;
    let what = selection::select(&run, elements)?;
    let report = Context::runtime()?.block_on(async {
        let scheduler = context
            .connect_patiently(&run, Absence::IsFinal, Arc::new(output::warn))
            .await?;
        let services = Services::system();
        let times = Cell::new(0);
        let mut report = scheduler
            .until_reached(|| {
                times.set(times.get() + 1);
                engine::cancel(&run, &scheduler, &services, &what)
            })
            .await?;
        // What had ended when we began again, we may have ended ourselves.
        report.was_over &= times.get() == 1;
        Ok::<_, CliError>(report)
    })?;
    if !report.left.is_empty() {
        let run_id = &run.record().run_id;
        let jobs = report.left.iter().map(ToString::to_string).collect();
        return Err(CliError::new(
            Kind::Scheduler,
            format!("what was to be cancelled of `{run_id}` is, but jobs of it are still there"),
        )
        .with_details(jobs)
        .with_hint(format!("cancel it again: reflow cancel {run_id}")));
    }
    Ok((run, report))
}

fn document(run: &RunDir, report: &CancelReport) -> Value {
    json!({
        "run_id": run.record().run_id, "state": report.state, "was_over": report.was_over,
    })
}

fn text(run: &RunDir, report: &CancelReport, elements: &[SelectedName]) -> String {
    let run_id = &run.record().run_id;
    let state = state_words(report.state);
    if elements.is_empty() {
        return if report.was_over {
            format!("nothing to do: {run_id} has ended before ({state})\n")
        } else {
            format!("{run_id} {state}\n")
        };
    }
    let names: Vec<String> = elements.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    if report.was_over {
        format!("nothing to do: {names} of {run_id} had ended before\n")
    } else {
        format!("{run_id}: {names} cancelled; the run is {state}\n")
    }
}
