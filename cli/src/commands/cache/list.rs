use reflow_core::id::TaskName;
use reflow_core::store::cache::Cache;
use serde_json::json;

use super::{each, store, tasks};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render::cache::{self, Listed};

/// List what is remembered, the newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this task, by its name in its own flow.
    #[arg(value_name = "TASK")]
    task: Option<TaskName>,
    /// Show at most this many.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// Show all of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

pub(super) fn execute(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let remembered = Cache::new(&store(context)?);
    let mut listed: Vec<Listed> = Vec::new();
    let tasks = tasks(&remembered, args.task.as_ref())?;
    each(&remembered, &tasks, |task, opened| {
        opened.each(&mut |identity, candidates| {
            listed.extend(candidates.into_iter().map(|candidate| Listed {
                task: task.clone(),
                identity: *identity,
                candidate,
            }));
            Ok(())
        })
    });
    listed.sort_by_cached_key(Listed::order);
    let total = listed.len();
    if !args.all {
        listed.truncate(args.limit);
    }
    if context.output.json {
        let results: Vec<_> = listed.iter().map(cache::document).collect();
        output::print_document(&json!({"results": results, "total": total}))?;
    } else {
        output::print(&cache::list(&listed, total))?;
    }
    Ok(Exit::Done)
}
