use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::app::{App, Command, SubmitOptions};
use crate::commands;
use crate::configuration::{self, Broken, Given, find_project};
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::output::{self, Output, note};
use crate::parameters;
use crate::prescan::Prescan;
use crate::surroundings::Surroundings;
use crate::workflow::{self, Workflow};

/// Runs the program with the given arguments, the program's name first, and returns how it ends.
///
/// Prints, reads the environment and the configuration of the user, and starts a runtime: call it
/// from `main` and from nowhere else.
pub fn entry(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // A worker starts once for each job: nothing that it does not need comes before it.
    if let Some(exit) = commands::hidden::execute(&arguments) {
        return exit;
    }
    let scan = Prescan::of(arguments.get(1..).unwrap_or_default());
    let output = Output { json: scan.json };
    let ended = std::panic::catch_unwind(|| execute(&arguments, &scan, output));
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => error.show(output),
        Err(_) => CliError::new(Kind::Fault, "this is a fault of reflow")
            .with_hint("please report it with the lines above and the command that you gave")
            .show(output),
    };
    exit.into()
}

fn execute(arguments: &[OsString], scan: &Prescan, output: Output) -> Result<Exit, CliError> {
    let surroundings = Surroundings::read()?;
    // What the engine meets on its way is told by the commands themselves, once.
    set_up_logging(&surroundings, "warn,reflow_core::engine=error");
    let takes_parameters = matches!(scan.command.as_deref(), Some("submit" | "run"));
    let mut app = App::command();
    let mut loaded = None;
    if takes_parameters {
        let found = workflow::locate(&surroundings, scan.workflow.as_deref())
            .and_then(|file| Ok((workflow::load(&file)?, file)));
        match found {
            Ok((workflow, file)) => {
                for command in ["submit", "run"] {
                    app = app.mut_subcommand(command, |command| {
                        parameters::add_flags(command, &workflow.graph)
                    });
                }
                loaded = Some((workflow, file));
            }
            Err(error) if scan.help => {
                let why = format!("the parameters of the workflow cannot be shown: {error}");
                note(crate::output::WARN, "note", &why);
            }
            Err(error) => return Err(error),
        }
    }
    let matches = match app.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, scan, output),
    };
    let app = App::from_arg_matches(&matches).map_err(CliError::fault)?;
    let project = match &loaded {
        Some((_, file))
            if file
                .extension()
                .is_some_and(|extension| extension == "toml") =>
        {
            Some(file.clone())
        }
        _ => find_project(&surroundings.directory),
    };
    let given = match &app.command {
        Command::Submit(args) => flags(&args.options),
        Command::Run(args) => flags(&args.options),
        _ => Vec::new(),
    };
    let read = configuration::read(&surroundings, &app.global, project.as_deref(), &given);
    let (configuration, broken) = match read {
        Ok(configuration) => (configuration, None),
        // Its faults are among those that are looked for.
        Err(error) if matches!(app.command, Command::Doctor(_)) => {
            let rest = configuration::without_files(&surroundings, &app.global)?;
            (rest, Some(Broken { error }))
        }
        Err(error) => return Err(error),
    };
    let context = Context {
        surroundings,
        configuration,
        output,
    };
    if let Command::Doctor(args) = &app.command {
        return commands::doctor::execute(&context, args, broken.as_ref());
    }
    let workflow = loaded.map(|(workflow, _)| workflow);
    command(&context, &app.command, workflow, &matches)
}

fn flags(options: &SubmitOptions) -> Vec<Given<'_>> {
    vec![
        ("--dispatch", "dispatch", options.dispatch.as_deref()),
        ("--env", "env", options.env.as_deref()),
    ]
}

fn command(
    context: &Context,
    command: &Command,
    workflow: Option<Workflow>,
    matches: &ArgMatches,
) -> Result<Exit, CliError> {
    let of_command = matches.subcommand().map_or(matches, |(_, inner)| inner);
    match (command, workflow) {
        (Command::Submit(args), Some(workflow)) => {
            commands::submit::execute(context, args, workflow, of_command)
        }
        (Command::Run(args), Some(workflow)) => {
            commands::run::execute(context, args, workflow, of_command)
        }
        (Command::Submit(_) | Command::Run(_), None) => Err(CliError::request(
            "the command must come before the flags of the workflow",
        )),
        (Command::Wait(args), _) => commands::wait::execute(context, args),
        (Command::Drive(args), _) => commands::drive::execute(context, args),
        (Command::Status(args), _) => commands::status::execute(context, args),
        (Command::Result(args), _) => commands::result::execute(context, args),
        (Command::Logs(args), _) => commands::logs::execute(context, args),
        (Command::Cancel(args), _) => commands::cancel::execute(context, args),
        (Command::Retry(args), _) => commands::retry::execute(context, args),
        (Command::Cache(command), _) => commands::cache::execute(context, command),
        (Command::Explain(args), _) => commands::explain::execute(context, args),
        (Command::Runs(args), _) => commands::runs::execute(context, args),
        (Command::Dag(args), _) => commands::dag::execute(context, args),
        (Command::Describe(args), _) => commands::describe::execute(context, args),
        (Command::Backend(command), _) => commands::backend::execute(context, command),
        (Command::Config(command), _) => commands::config::execute(context, *command),
        (Command::Doctor(args), _) => commands::doctor::execute(context, args, None),
    }
}

/// Prints help and version, and turns everything else into an error of ours.
fn usage(error: &clap::Error, scan: &Prescan, output: Output) -> Result<Exit, CliError> {
    let rendered = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::print(&rendered.ansi().to_string())?;
            return Ok(Exit::Done);
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !output.json => {
            use std::io::Write;
            write!(anstream::stderr().lock(), "{}", rendered.ansi())?;
            return Ok(Exit::Request);
        }
        _ => {}
    }
    let text = rendered.to_string();
    let mut lines = text.lines();
    let message = lines.next().unwrap_or_default();
    let mut shown = CliError::request(message.strip_prefix("error: ").unwrap_or(message));
    for line in lines {
        let line = line.trim();
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        match line.strip_prefix("tip: ") {
            Some(tip) => shown = shown.with_hint(tip),
            None if line.is_empty() => {}
            None => shown.details.push(line.to_owned()),
        }
    }
    let help = match &scan.command {
        Some(command)
            if !command.is_empty() && App::command().find_subcommand(command).is_some() =>
        {
            format!("`reflow {command} --help` shows what it takes")
        }
        _ => "`reflow --help` lists the commands".to_owned(),
    };
    Err(shown.with_hint(help))
}

/// Shows what the libraries report, as far as `REFLOW_LOG` asks for it, or else `usual`.
pub(crate) fn set_up_logging(surroundings: &Surroundings, usual: &str) {
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::filter::LevelFilter;
    let filter = match surroundings.text("REFLOW_LOG") {
        Some(given) => EnvFilter::builder()
            .with_default_directive(LevelFilter::WARN.into())
            .parse_lossy(given),
        None => EnvFilter::new(usual),
    };
    // Whoever embeds the program may have set up their own.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        .without_time()
        .with_target(false)
        .try_init()
        .ok();
}
