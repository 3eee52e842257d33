use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use reflow_core::config::EnvironmentPolicy;
use reflow_core::id::JobId;
use reflow_core::rundir::BackendRecord;
use reflow_core::scheduler::JOB_ID_VARIABLE;

use super::{Exit, Options};
use crate::backends;
use crate::context::{Context, own_launcher, own_program};
use crate::error::CliError;
use crate::patience::words;
use crate::probe::{self, Hello, Reached};
use crate::surroundings::Surroundings;

/// How long the other side may be silent before the job ends.
const PATIENCE: Duration = Duration::from_mins(3);

/// Answers `reflow doctor` from inside a job.
pub(super) fn execute(options: &Options) -> Result<ExitCode, CliError> {
    let directory = options.path("dir")?;
    let hello = Hello {
        host: probe::host(),
    };
    probe::leave(&directory, probe::HELLO, &hello)?;
    Context::runtime()?.block_on(async {
        probe::answer(&directory, PATIENCE).await?;
        let fault = ask(&directory).await.err();
        probe::leave(&directory, probe::REACHED, &Reached { fault })?;
        Ok(Exit::Done.into())
    })
}

/// Asks the batch system about this job, as a dispatch job would.
async fn ask(directory: &Path) -> Result<(), String> {
    let surroundings = Surroundings::read().map_err(|error| error.to_string())?;
    let record: Option<BackendRecord> =
        probe::found(directory, probe::BACKEND).map_err(|error| error.to_string())?;
    let record = record.ok_or("the settings of the backend are not there")?;
    let launcher = own_program()
        .and_then(|program| own_launcher(&program))
        .map_err(|error| error.to_string())?;
    let policy = EnvironmentPolicy::Submit;
    let scheduler = backends::connect(&surroundings, &record, &launcher, &policy)
        .await
        .map_err(|error| words(&error))?;
    let own = surroundings.text(JOB_ID_VARIABLE).map(JobId::new);
    let own = own
        .ok_or_else(|| format!("{JOB_ID_VARIABLE} is not set in the job"))?
        .map_err(|error| error.to_string())?;
    scheduler
        .status(&[own])
        .await
        .map_err(|error| words(&error))?;
    Ok(())
}
