use reflow_core::cache::{Criteria, collect};
use reflow_core::engine::Services;
use reflow_core::scheduler::{Memory, Walltime};
use serde_json::json;

use super::store;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, warn};
use crate::render::cache;

/// Take out of the store what is not needed any more.
///
/// Shows what would go, and why; with `--apply` it goes. At least one of `--older-than`, `--max-size` and
/// `--unreachable` must be given. What runs use that have not ended stays. Run directories are not touched.
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
    if args.older_than.is_none() && args.max_size.is_none() && !args.unreachable {
        return Err(CliError::request("what is to go from the store?").with_hint(
            "give `--older-than 30d`, `--max-size 10G` or `--unreachable`; several may be given together",
        ));
    }
    let store = store(context)?;
    let now = Services::system().clock.now_ms();
    let criteria = Criteria {
        made_before: args
            .older_than
            .map(|time| now.saturating_sub(time.seconds().saturating_mul(1000))),
        most_bytes: args.max_size.map(Memory::bytes),
        unreachable: args.unreachable,
    };
    let collected = collect(&store, criteria, args.apply)?;
    for warning in &collected.warnings {
        warn(warning);
    }
    if context.output.json {
        let gone: Vec<_> = collected
            .gone
            .iter()
            .map(|((task, why), (results, bytes))| {
                json!({"task": task, "why": why, "results": results, "bytes": bytes})
            })
            .collect();
        output::print_document(&json!({
            "store": store, "applied": args.apply, "gone": gone, "kept": collected.kept,
            "kept_bytes": collected.kept_bytes, "in_use": collected.in_use,
        }))?;
    } else {
        output::print(&cache::collected(&collected, args.apply))?;
    }
    Ok(Exit::Done)
}
