//! Shows a run until it has ended.

use std::fmt::Write;
use std::time::Duration;

use reflow_core::engine::{self, RunState, RunStatus, Services, WaitOptions};
use reflow_core::rundir::RunDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::exit::Exit;
use crate::patience::Absence;
use crate::progress::Progress;
use crate::queue;
use crate::render::status;

/// How the watching ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the run.
    Run(Box<RunStatus>),
    /// From the keyboard.
    Interrupted,
}

/// Returns the exit code that tells how a run ended.
pub(crate) fn exit(state: RunState) -> Exit {
    match state {
        RunState::Failed | RunState::Cancelled => Exit::RunFailed,
        _ => Exit::Done,
    }
}

/// Returns what is printed when a run has ended.
pub(crate) fn summary(ended: &RunStatus) -> String {
    let mut text = format!(
        "{} {}: {}\n",
        ended.run_id,
        status::state_words(ended.state),
        status::counts(&ended.totals())
    );
    if let Some(message) = &ended.message {
        let _ = writeln!(text, "  {}", message.trim_end().replace('\n', "\n  "));
    }
    for task in &ended.tasks {
        if let Some(message) = &task.message {
            let _ = writeln!(text, "  {}: {}", task.name, message.trim());
        }
    }
    text.push_str(&status::failures(ended));
    text
}

/// Shows text beside the progress.
fn announce(text: &str) {
    use std::io::Write as _;
    // Progress is worth nothing to a closed standard error.
    anstream::stderr().lock().write_all(text.as_bytes()).ok();
}

/// How a run is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watching {
    /// Planning only where nobody else does.
    Beside,
    /// Planning from here to the end.
    Driving,
}

/// Watches a run until it has ended. From when `announcement` is shown, Ctrl-C ends the watching.
///
/// Where the batch system cannot be reached, the run is watched all the same.
pub(crate) fn to_the_end(
    context: &Context,
    run: &RunDir,
    announcement: &str,
    quiet: bool,
    watching: Watching,
) -> Result<Ending, CliError> {
    let mut progress = if quiet || context.output.json {
        Progress::silent()
    } else {
        Progress::on_standard_error()
    };
    let tell = progress.teller();
    let ending = Context::runtime()?.block_on(async {
        let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| {
            CliError::from_error(Kind::Fault, &error).doing("signals cannot be received")
        })?;
        if !quiet && !context.output.json {
            announce(announcement);
        }
        let to_the_end = async {
            let absence = match watching {
                Watching::Beside => Absence::Passes,
                Watching::Driving => Absence::IsFinal,
            };
            let scheduler = context
                .connect_patiently(run, absence, tell.clone())
                .await?;
            let services = Services::system();
            let options = WaitOptions {
                slowest_look: slowest_look(run),
                plans: watching == Watching::Driving,
            };
            let wait = engine::wait(run, &scheduler, &services, &options, |status| {
                progress.show(status);
            });
            let ended = tokio::select! {
                ended = wait => ended?,
                never = queue::tell_of_hopeless(run, &scheduler, &tell) => match never {},
            };
            Ok(Ending::Run(Box::new(ended)))
        };
        tokio::select! {
            biased;
            _ = interrupts.recv() => Ok(Ending::Interrupted),
            ending = to_the_end => ending,
        }
    });
    progress.finish();
    ending
}

/// Returns how often a run is looked at: on this machine, no queue hides that it was not just now.
fn slowest_look(run: &RunDir) -> Duration {
    match run.record().backend.name.as_str() {
        "local" => Duration::from_millis(50),
        _ => WaitOptions::default().slowest_look,
    }
}
