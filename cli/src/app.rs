use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueHint};

use crate::commands::{
    backend, cache, cancel, config, dag, describe, doctor, drive, explain, logs, result, retry,
    run, runs, status, submit, wait,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs a graph of tasks on a cluster's batch system.
///
/// `reflow submit` plans a workflow, hands it to the batch system and exits. From then on the batch
/// system drives the run: you can log out, and look at it later with `reflow status`.
#[derive(Debug, Parser)]
#[command(
    name = "reflow",
    version,
    styles = STYLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct App {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Run on this backend instead of the configured one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) backend: Option<String>,
    /// Read this configuration file in place of the system's and the user's.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Keep the list of runs and what is remembered of them in this directory.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) store: Option<String>,
    /// Print one JSON document instead of text, errors included.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Submit(submit::Args),
    Run(run::Args),
    Wait(wait::Args),
    Drive(drive::Args),
    Status(status::Args),
    Result(result::Args),
    Logs(logs::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Runs(runs::Args),
    Explain(explain::Args),
    #[command(subcommand)]
    Cache(cache::Command),
    Dag(dag::Args),
    Describe(describe::Args),
    /// List, check or stop backends.
    #[command(subcommand)]
    Backend(backend::Command),
    Doctor(doctor::Args),
    /// Show the configuration.
    #[command(subcommand)]
    Config(config::Command),
}

/// Which workflow.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WorkflowArgs {
    /// The workflow: a file, or a directory with a `reflow.toml`. Without it, the nearest
    /// `reflow.toml` from here upwards.
    #[arg(short, long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) workflow: Option<PathBuf>,
}

/// Which run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The run: its id, a prefix of the id that no other run has, or its directory.
    #[arg(value_name = "RUN", value_hint = ValueHint::AnyPath)]
    pub(crate) run: String,
}

/// How a run is submitted.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SubmitOptions {
    /// Which workflow.
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// The directory of the run: made where missing, and refused where it holds a run already.
    /// Without it, `runs/RUN_ID` below the current directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) run_dir: Option<PathBuf>,
    /// Who plans again while the run runs: `job`, `worker` or `login`.
    #[arg(long, value_name = "MODE")]
    pub(crate) dispatch: Option<String>,
    /// Which of your variables the jobs have: `submit`, `clean`, or names separated by commas.
    #[arg(long, value_name = "POLICY")]
    pub(crate) env: Option<String>,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
}

/// What of earlier runs is used.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CacheOptions {
    /// Run everything, whatever earlier runs remember. The new results replace what is remembered.
    #[arg(long, conflicts_with = "force_tasks")]
    pub(crate) force: bool,
    /// Run these tasks, whatever earlier runs remember of them.
    #[arg(long, value_name = "TASK,…", value_delimiter = ',')]
    pub(crate) force_tasks: Vec<String>,
    /// Compare the content of files with what it was before a remembered result is used, and ask the task's
    /// own check.
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) verify: bool,
    /// Use remembered results without a look at whether their files still exist.
    #[arg(long)]
    pub(crate) no_verify: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use reflow_core::workflow::{RESERVED_FLAGS, RESERVED_SHORT_FLAGS};

    use super::App;

    #[test]
    fn no_parameter_can_take_the_place_of_a_flag_of_ours() {
        let mut app = App::command();
        app.build();
        for name in ["submit", "run"] {
            let command = app.find_subcommand(name).expect("a command");
            for argument in command.get_arguments() {
                if let Some(long) = argument.get_long() {
                    assert!(RESERVED_FLAGS.contains(&long), "--{long} is not reserved");
                }
                if let Some(short) = argument.get_short() {
                    assert!(
                        RESERVED_SHORT_FLAGS.contains(&short),
                        "-{short} is not reserved"
                    );
                }
            }
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        App::command().debug_assert();
    }
}
