mod check;

use clap::Subcommand;
use reflow_backend_local::Stopped;
use serde_json::json;

use crate::backends;
use crate::context::{Context, own_launcher, own_program};
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output::{self, GOOD, STRONG, styled};
use crate::render::table;

/// List, check or stop backends.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the backends, and which one runs go to.
    List,
    Check(check::Args),
    /// Stop the supervisor of the local backend.
    Stop {
        /// The backend. Only `local` has a process of its own.
        #[arg(value_name = "NAME")]
        name: String,
        /// Cancel what runs and waits; without it, a supervisor with work goes on.
        #[arg(long)]
        force: bool,
    },
}

pub(crate) fn execute(context: &Context, command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::List => list(context),
        Command::Check(args) => check::execute(context, args),
        Command::Stop { name, force } => stop(context, name, *force),
    }
}

fn list(context: &Context) -> Result<Exit, CliError> {
    let registry = backends::registry();
    let selected = context.configuration.resolved.default_backend();
    let about = |name: &str| {
        let found = backends::ABOUT.iter().find(|known| known.name == name);
        found.map_or("", |known| known.purpose)
    };
    if context.output.json {
        let list: Vec<_> = registry
            .names()
            .map(|name| {
                let mut entry =
                    json!({"name": name, "about": about(name), "selected": name == selected});
                if name == "local" {
                    entry["memory_limits"] = json!(reflow_backend_local::memory_limits().as_str());
                }
                entry
            })
            .collect();
        output::print_document(&json!({"backends": list}))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = registry
        .names()
        .map(|name| {
            let mark = if name == selected {
                styled(GOOD, "selected")
            } else {
                String::new()
            };
            let about = match name {
                "local" => format!(
                    "{}; memory limits: {}",
                    about(name),
                    reflow_backend_local::memory_limits().as_str()
                ),
                _ => about(name).to_owned(),
            };
            vec![styled(STRONG, name), about, mark]
        })
        .collect();
    output::print(&table::columns(&rows, ""))?;
    Ok(Exit::Done)
}

fn stop(context: &Context, name: &str, force: bool) -> Result<Exit, CliError> {
    if name != "local" {
        return Err(CliError::request(format!(
            "the backend `{name}` has no process of its own to stop"
        ))
        .with_hint("`reflow backend stop local` stops the supervisor of this machine"));
    }
    let record = context.backend_named(name);
    let launcher = own_launcher(&own_program()?)?;
    let options = context.connect_options(&record, &launcher);
    let stopped = Context::runtime()?.block_on(reflow_backend_local::stop(options, force))?;
    let word = match stopped {
        Stopped::NotRunning => "not_running",
        Stopped::Stopped => "stopped",
        Stopped::Busy { running, pending } => {
            return Err(CliError::new(
                Kind::Scheduler,
                format!("the supervisor has work: {running} elements run, {pending} wait"),
            )
            .with_hint("`--force` cancels them"));
        }
    };
    if context.output.json {
        output::print_document(&json!({"backend": name, "outcome": word}))?;
    } else {
        output::print(&format!("{}\n", word.replace('_', " ")))?;
    }
    Ok(Exit::Done)
}
