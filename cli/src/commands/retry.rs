use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use reflow_core::engine::{self, RetryReport, RetryRequest, Services, Update};
use reflow_core::rundir::RunDir;
use serde_json::{Value, json};

use crate::app::{RunArgs, WorkflowArgs};
use crate::context::{Context, not_connected, own_program};
use crate::element::{SelectedName, ranges};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, FAINT, styled};
use crate::patience::Absence;
use crate::render::status::state_words;
use crate::run_reference::shell_name;
use crate::{selection, workflow};

/// Run again what failed, was lost, cancelled or skipped.
///
/// Everything else keeps its result. What an element needs is run again with it. The code is that of the
/// submit, unless `--update` is given. A run in which there is nothing to do stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Only these tasks or elements: `total`, `count[3]`, `count[1,4-7]`. Everything where none is named.
    #[arg(value_name = "TASK[INDEX]")]
    elements: Vec<SelectedName>,
    /// Take the workflow and this program as they are now, in place of those of the submit. Tasks,
    /// parameters, types and wires must be the same.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    workflow: WorkflowArgs,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if args.workflow.workflow.is_some() && !args.update {
        return Err(CliError::request("`--workflow` is for `--update`")
            .with_hint("add `--update` to run with the workflow as it is now"));
    }
    let run = context.find_run(&args.run.run)?;
    let what = selection::select(&run, &args.elements)?;
    let update = args.update.then(|| update(context, args)).transpose()?;
    let report = Context::runtime()?.block_on(async {
        let scheduler = context
            .connect_patiently(&run, Absence::IsFinal, Arc::new(output::warn))
            .await?;
        scheduler
            .reached(Duration::MAX)
            .await
            .map_err(|error| not_connected(error, &run.record().backend))?;
        let request = RetryRequest { what, update };
        Ok::<_, CliError>(engine::retry(&run, &scheduler, &Services::system(), request).await?)
    })?;
    if context.output.json {
        output::print_document(&document(&run, &report))?;
    } else {
        output::print(&text(&run, &report, &args.elements))?;
    }
    Ok(Exit::Done)
}

/// Returns the workflow and the program as they are now.
fn update(context: &Context, args: &Args) -> Result<Update, CliError> {
    let file = workflow::locate(&context.surroundings, args.workflow.workflow.as_deref())?;
    let workflow = workflow::load(&file)?;
    let (program, launcher) = match context.configuration.resolved.launcher() {
        Some(launcher) => (None, launcher),
        None => (Some(own_program()?), Vec::new()),
    };
    Ok(Update {
        graph: workflow.graph,
        program,
        launcher,
        files: workflow.files,
    })
}

fn document(run: &RunDir, report: &RetryReport) -> Value {
    let tasks = &run.record().description.tasks;
    let elements = report.elements.iter().map(|(task, elements)| {
        let mut document = json!({"task": tasks[task.get()].name, "elements": elements.len()});
        if tasks[task.get()].array && !elements.is_empty() {
            document["indices"] = json!(ranges(elements));
        }
        document
    });
    json!({
        "run_id": run.record().run_id,
        "state": report.state,
        "elements": elements.collect::<Vec<Value>>(),
    })
}

fn text(run: &RunDir, report: &RetryReport, asked: &[SelectedName]) -> String {
    let record = run.record();
    let run_id = &record.run_id;
    if report.elements.is_empty() {
        let state = state_words(report.state);
        let of = if asked.is_empty() {
            run_id.to_string()
        } else {
            let names: Vec<String> = asked.iter().map(ToString::to_string).collect();
            format!("{} of {run_id}", names.join(", "))
        };
        return format!(
            "nothing to do: nothing in {of} has failed, was lost, cancelled or skipped (the run is {state})\n"
        );
    }
    let mut text = format!("{run_id} goes on; to run again:\n");
    for (task, elements) in &report.elements {
        let declared = &record.description.tasks[task.get()];
        let shown = selection::shown(&declared.name, declared.array, elements);
        let number = match (declared.array, elements.len()) {
            (true, 0) => " (its number of elements is not known yet)".to_owned(),
            (true, 1) => " (1 element)".to_owned(),
            (true, number) => format!(" ({number} elements)"),
            (false, _) => String::new(),
        };
        let _ = writeln!(text, "  {shown}{number}");
    }
    let next = styled(FAINT, "next:");
    let _ = writeln!(text, "{next} reflow wait {}", shell_name(run));
    text
}
