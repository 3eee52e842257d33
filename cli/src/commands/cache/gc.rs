use std::time::Duration;

use reflow_core::cache::{Criteria, collect};
use reflow_core::engine::Services;
use reflow_core::scheduler::{Memory, Walltime};
use reflow_core::store::cache::Amount;
use serde_json::json;

use super::store;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, warn};
use crate::render::cache;

/// Take out of the store what is not needed any more.
///
/// Shows what would go, and why; with `--apply` it goes. `--older-than`, `--max-size` and `--unreachable` say
/// what; files that are damaged, or were left behind half written, go in any case, and so do the digests of
/// files that were read more than 90 days ago, or as long ago as `--older-than` says. What runs use that have
/// not ended stays. Run directories are not touched.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What was made longer ago than this: `30d`, `12h`.
    #[arg(long, value_name = "TIME")]
    older_than: Option<Walltime>,
    /// The oldest, until the rest takes no more than this in the store: `10G`, `500M`.
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Memory>,
    /// What can never be used again: a path or file of it was deleted, or its run directory is gone.
    #[arg(long)]
    unreachable: bool,
    /// Take it out, and do not only show it.
    #[arg(long)]
    apply: bool,
}

pub(super) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let store = store(context)?;
    let criteria = Criteria {
        older_than: args
            .older_than
            .map(|time| Duration::from_secs(time.seconds())),
        max_bytes: args.max_size.map(Memory::bytes),
        unreachable: args.unreachable,
    };
    let now_ms = Services::system().clock.now_ms();
    let collected = collect(&store, now_ms, criteria, args.apply)?;
    for warning in &collected.warnings {
        warn(warning);
    }
    let garbage = &collected.garbage;
    if context.output.json {
        let gone: Vec<_> = (garbage.tasks.iter())
            .flat_map(|task| task.removed.iter().map(move |gone| (&task.task, gone)))
            .map(|(task, (why, gone))| {
                json!({"task": task, "why": why, "results": gone.entries, "bytes": gone.bytes})
            })
            .collect();
        let kept: Amount = garbage.tasks.iter().map(|task| task.kept).sum();
        let damaged: Vec<_> = garbage.damaged().map(|file| &file.path).collect();
        output::print_document(&json!({
            "store": store, "applied": args.apply, "gone": gone, "kept": kept.entries,
            "kept_bytes": kept.bytes, "in_use": garbage.in_use(), "damaged": damaged,
            "left_behind": garbage.drafts,
            "files": {
                "digests": garbage.files.removed.entries, "bytes": garbage.files.removed.bytes,
            },
        }))?;
    } else {
        output::print(&cache::collected(garbage, criteria))?;
    }
    Ok(Exit::Done)
}
