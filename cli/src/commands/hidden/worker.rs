use std::ffi::OsString;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use reflow_core::id::JobId;
use reflow_core::scheduler::JOB_ID_VARIABLE;
use reflow_core::worker::{WorkerMode, WorkerOptions, run};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXCPU};

use super::Options;
use crate::error::{CliError, Kind};

/// Runs elements of a submission.
pub(super) fn execute(options: &Options) -> Result<ExitCode, CliError> {
    let mode = if options.has("serve") {
        WorkerMode::Serve
    } else {
        WorkerMode::Index(options.parsed("index")?)
    };
    let environment = environment();
    let run_dir = options.path("run-dir")?;
    let report = run(&WorkerOptions {
        run_dir: run_dir.clone(),
        submission: options.parsed("submission")?,
        mode,
        job: job(&environment),
        node: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        environment,
        stop: Some(stop().map_err(|error| {
            CliError::from_error(Kind::Fault, &error).doing("signals cannot be received")
        })?),
    })
    .map_err(|error| CliError::from_error(Kind::Request, &error))?;
    if report.plans
        && let Err(error) = super::dispatch::plan(&run_dir, None, Duration::ZERO)
    {
        // The dispatch job that waits for this one does it, with more patience: what this job has been
        // given is not kept from others for that.
        crate::output::warn(&format!(
            "the run could not be planned further from here: {error}"
        ));
    }
    Ok(ExitCode::from(report.exit_status()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a worker hands on to bodies what the batch system gave it"
)]
fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

fn job(environment: &[(OsString, OsString)]) -> Option<JobId> {
    let (_, value) = environment
        .iter()
        .find(|(name, _)| name == JOB_ID_VARIABLE)?;
    JobId::new(value.to_str()?).ok()
}

/// Returns what becomes readable when a termination signal has come.
fn stop() -> std::io::Result<OwnedFd> {
    let (reader, writer): (PipeReader, _) = std::io::pipe()?;
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGXCPU] {
        signal_hook::low_level::pipe::register(signal, OwnedFd::from(writer.try_clone()?))?;
    }
    Ok(reader.into())
}
