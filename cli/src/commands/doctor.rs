//! Looks whether everything that runs need is there.

mod configuration;
mod connection;
mod finding;
mod installed;
mod limits;
mod node;
mod program;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use serde_json::json;

use crate::configuration::Broken;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output;
use crate::render;

pub(crate) use finding::{Finding, Findings, Level};

/// Look whether everything that runs need is there, and say what to do where it is not.
///
/// Looks at the configuration, the programs of the batch systems and which of them answer, the limits
/// of the selected one, the store and the directory for runs. A tiny job on the selected one tells
/// whether nodes can start reflow, see its files in time, and submit jobs.
/// Exits with 0 when nothing is a problem, else with 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Send no job.
    #[arg(long)]
    no_job: bool,
    /// Send the job to this partition instead of the one that dispatch jobs have.
    #[arg(long, value_name = "NAME", conflicts_with = "no_job")]
    partition: Option<String>,
    /// Where runs are going to be: a directory that the nodes see. Without it, the current directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
    /// How many seconds the job may wait in the queue.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// Looks at everything. `broken` is what was wrong with the configuration, if it could not be read.
pub(crate) fn execute(
    context: &Context,
    args: &Args,
    broken: Option<&Broken>,
) -> Result<Exit, CliError> {
    let backend = context.backend();
    let directory = match &args.directory {
        Some(named) => context.surroundings.absolute(named),
        None => context.surroundings.directory.clone(),
    };
    let mut findings = Findings::default();
    configuration::look(context, broken, &mut findings);
    program::look(context, &mut findings);
    let interrupted = Context::runtime()?.block_on(async {
        let mut interrupt = Interrupt::new()?;
        let look = async {
            installed::look(context, &mut findings).await;
            let connected = connection::look(context, &backend.name, &mut findings).await;
            if let Some(scheduler) = &connected {
                limits::look(scheduler.as_ref(), context, &mut findings);
            }
            storage::look(context, &directory, &mut findings).await;
            connected
        };
        let connected = tokio::select! {
            () = interrupt.came() => return Ok(true),
            connected = look => connected,
        };
        if args.no_job {
            return Ok(false);
        }
        let Some(scheduler) = connected else {
            findings.ok(
                "node",
                "a tiny job",
                "not sent, since the backend does not answer",
            );
            return Ok(false);
        };
        let asked = node::Asked {
            context,
            backend: &backend,
            scheduler: scheduler.as_ref(),
            directory: &directory,
            partition: args.partition.as_deref(),
            patience: Duration::from_secs(args.patience),
        };
        let ended = node::look(&asked, &mut interrupt, &mut findings).await;
        Ok::<_, CliError>(ended == node::Ending::Interrupted)
    })?;
    if interrupted {
        return Err(CliError::new(
            crate::error::Kind::Interrupted,
            "interrupted; the job was cancelled, and nothing is left of it",
        ));
    }
    let findings = findings.into_list();
    if context.output.json {
        let of = |level| {
            findings
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        output::print_document(&json!({
            "backend": backend.name,
            "findings": findings,
            "ok": of(Level::Ok),
            "warnings": of(Level::Warning),
            "problems": of(Level::Problem),
        }))?;
    } else {
        output::print(&render::doctor::text(&findings))?;
    }
    let is_problem = findings.iter().any(|it| it.level == Level::Problem);
    Ok(if is_problem {
        Exit::RunFailed
    } else {
        Exit::Done
    })
}
