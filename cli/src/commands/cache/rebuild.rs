use std::path::PathBuf;

use reflow_core::cache::{Rebuilt, rebuild};
use reflow_core::rundir::RunDir;
use serde_json::json;

use super::store;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, warn};
use crate::render::cache;

/// Publish again what runs hold: after the store was lost or damaged, or to take in runs of another store.
///
/// What the store has already stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directories of the runs. All runs that the store lists where none is named.
    #[arg(value_name = "RUN_DIR")]
    run_dirs: Vec<PathBuf>,
}

pub(super) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let store = store(context)?;
    let mut total = Rebuilt::default();
    let mut runs = 0;
    let mut add = |run: &RunDir| -> Result<(), CliError> {
        let rebuilt = rebuild(run, &store).map_err(|error| {
            CliError::from(error).doing(format!(
                "the results of {} could not be published again",
                run.record().run_id
            ))
        })?;
        runs += 1;
        total.published += rebuilt.published;
        total.known += rebuilt.known;
        for warning in &rebuilt.warnings {
            warn(warning);
        }
        total.warnings.extend(rebuilt.warnings);
        Ok(())
    };
    if args.run_dirs.is_empty() {
        let listing = context
            .catalogue()
            .map(|catalogue| catalogue.list())
            .transpose()?
            .unwrap_or_default();
        for error in &listing.errors {
            warn(&error.to_string());
        }
        for entry in &listing.entries {
            let left_out = |why: &str| warn(&format!("{} is left out: {why}", entry.run_id));
            match RunDir::open(&entry.run_dir) {
                Ok(run) if run.record().run_id == entry.run_id => {
                    if let Err(error) = add(&run) {
                        left_out(&error.to_string());
                    }
                }
                Ok(_) => left_out("its directory holds another run"),
                Err(error) => left_out(&error.to_string()),
            }
        }
    } else {
        let paths = args.run_dirs.iter();
        let opened: Result<Vec<RunDir>, CliError> = paths
            .map(|path| Ok(RunDir::open(&context.surroundings.absolute(path))?))
            .collect();
        for run in &opened? {
            add(run)?;
        }
    }
    if context.output.json {
        output::print_document(&json!({
            "store": store, "runs": runs, "published": total.published, "known": total.known,
            "warnings": total.warnings,
        }))?;
    } else {
        output::print(&cache::rebuilt(runs, &total))?;
    }
    Ok(Exit::Done)
}
