use std::io;
use std::path::PathBuf;

use reflow_core::store::cache::{Cache, CacheError, TaskCache};
use reflow_core::{id::TaskName, nearest::nearest};

use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output::warn;

mod gc;
mod list;
mod rebuild;
mod show;
mod stats;

/// Look at what is remembered of earlier runs, and clean it up.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how much is remembered, by task.
    Stats,
    List(list::Args),
    Show(show::Args),
    Gc(gc::Args),
    Rebuild(rebuild::Args),
}

pub(crate) fn execute(context: &Context, command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Stats => stats::execute(context),
        Command::List(args) => list::execute(context, args),
        Command::Show(args) => show::execute(context, args),
        Command::Gc(args) => gc::execute(context, args),
        Command::Rebuild(args) => rebuild::execute(context, args),
    }
}

/// Returns the store.
fn store(context: &Context) -> Result<PathBuf, CliError> {
    context.store().ok_or_else(|| {
        CliError::request("there is no store, so nothing is remembered")
            .with_hint("name one with `--store DIR`, or set HOME")
    })
}

/// Looks into what is remembered of tasks, each for itself: what cannot be read is told, and the others are
/// looked at all the same.
fn each(
    cache: &Cache,
    tasks: &[TaskName],
    mut look: impl FnMut(&TaskName, &TaskCache) -> io::Result<()>,
) {
    for task in tasks {
        let looked = cache.open(task).map_err(CliError::from).and_then(|opened| {
            let looked = look(task, &opened);
            for warning in opened.warnings() {
                warn(&warning.to_string());
            }
            Ok(looked?)
        });
        if let Err(error) = looked {
            warn(&format!(
                "what is remembered of `{task}` is left out: {error}"
            ));
        }
    }
}

/// Returns the named task, or all of them.
fn tasks(cache: &Cache, only: Option<&TaskName>) -> Result<Vec<TaskName>, CliError> {
    let all = cache.tasks()?;
    let Some(only) = only else {
        return Ok(all);
    };
    if all.contains(only) {
        return Ok(vec![only.clone()]);
    }
    let near = nearest(only.as_str(), all.iter().map(TaskName::as_str));
    let near = near.map_or_else(
        || "`reflow cache stats` lists the tasks".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(
        CliError::request(format!("nothing is remembered of a task `{only}`"))
            .with_hint(near)
            .with_hint("a task of a flow has its own name here, without a prefix"),
    )
}

impl From<CacheError> for CliError {
    fn from(error: CacheError) -> Self {
        Self::from_error(Kind::Request, &error)
    }
}
