use reflow_core::elements::ElementSet;
use reflow_core::engine::{self, Explanation};
use serde_json::json;

use crate::app::RunArgs;
use crate::context::Context;
use crate::element::SelectedName;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, STRONG, styled};
use crate::render::explain::{self, Tense};
use crate::selection;

/// Say why results were taken from earlier runs, and why the rest ran.
///
/// Each task is compared with the earlier run of the same workflow that it differs least from, among the
/// newest 20. `reflow submit --dry-run` says the same of a run before it is submitted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Only this task or these elements: `total`, `count[3]`, `count[1,4-7]`.
    #[arg(value_name = "TASK[INDEX]")]
    elements: Option<SelectedName>,
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let run = context.find_run(&args.run.run)?;
    let names: Vec<SelectedName> = args.elements.iter().cloned().collect();
    let selected = selection::select(&run, &names)?;
    let catalogue = context.catalogue();
    if catalogue.is_none() {
        output::warn("earlier runs are not known: there is no store; name one with `--store DIR`");
    }
    let task = args.elements.as_ref().map(|name| name.task.as_str());
    let mut explanation = engine::explain(&run, catalogue.as_ref(), task)?;
    if let Some(elements) = selected.first().and_then(|it| it.elements.as_ref()) {
        keep(&mut explanation, elements);
    }
    let record = run.record();
    let base = &context.surroundings.directory;
    if context.output.json {
        output::print_document(&json!({
            "run_id": record.run_id, "run_dir": run.path(),
            "tasks": explain::tasks(&explanation, base),
        }))?;
    } else {
        let heading = styled(STRONG, &record.run_id);
        let text = explain::text(&explanation, Tense::Real, base);
        output::print(&format!("{heading}\n{text}"))?;
    }
    Ok(Exit::Done)
}

/// Leaves only the elements that were asked for.
fn keep(explanation: &mut Explanation, elements: &ElementSet) {
    for task in &mut explanation.tasks {
        task.elements
            .retain(|element| elements.contains(element.index));
    }
}
