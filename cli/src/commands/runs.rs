use reflow_core::engine::{self, RunState};
use reflow_core::rundir::{RunDir, RunDirError};
use reflow_core::store::CatalogueEntry;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, FAINT, STRONG, styled, warn};
use crate::render::{status, table};

/// List runs, the newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show at most this many.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// What is known of a run that the catalogue lists.
enum Known {
    State(RunState),
    /// Its directory is not there any more, or holds another run.
    Gone,
    /// Its directory cannot be read.
    Unreadable(String),
}

pub(crate) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let Some(catalogue) = context.catalogue() else {
        return Err(CliError::request("there is no store to list runs from")
            .with_hint("name one with `--store DIR`, or set HOME"));
    };
    let listing = catalogue.list()?;
    for error in &listing.errors {
        warn(&error.to_string());
    }
    let most = if args.all { usize::MAX } else { args.limit };
    let shown: Vec<(&CatalogueEntry, Known)> = listing
        .entries
        .iter()
        .take(most)
        .map(|entry| (entry, look(entry)))
        .collect();
    if context.output.json {
        let runs: Vec<_> = shown
            .iter()
            .map(|(entry, known)| {
                let state = match known {
                    Known::State(state) => json!(state),
                    Known::Gone => json!("gone"),
                    Known::Unreadable(_) => json!("unreadable"),
                };
                json!({
                    "run_id": entry.run_id, "run_dir": entry.run_dir, "workflow": entry.workflow,
                    "created": entry.created, "state": state,
                })
            })
            .collect();
        let total = listing.entries.len();
        output::print_document(&json!({"runs": runs, "total": total}))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|(entry, known)| {
            let state = match known {
                Known::State(state) => status::state_words(*state),
                Known::Gone => styled(FAINT, "gone"),
                Known::Unreadable(_) => styled(FAINT, "unreadable"),
            };
            vec![
                styled(STRONG, &entry.run_id),
                state,
                entry.created.clone(),
                styled(FAINT, entry.run_dir.display()),
            ]
        })
        .collect();
    let mut text = table::columns(&rows, "");
    let more = listing.entries.len().saturating_sub(shown.len());
    if more > 0 {
        text.push_str(&styled(FAINT, format!("and {more} older, see `--all`\n")));
    }
    output::print(&text)?;
    for (entry, known) in &shown {
        if let Known::Unreadable(why) = known {
            warn(&format!("{}: {why}", entry.run_id));
        }
    }
    Ok(Exit::Done)
}

fn look(entry: &CatalogueEntry) -> Known {
    match RunDir::open(&entry.run_dir) {
        Ok(run) if run.record().run_id != entry.run_id => Known::Gone,
        Ok(run) => match engine::status(&run) {
            Ok(status) => Known::State(status.state),
            Err(error) => Known::Unreadable(error.to_string()),
        },
        Err(RunDirError::NoRun(_)) => Known::Gone,
        Err(error) => Known::Unreadable(error.to_string()),
    }
}
