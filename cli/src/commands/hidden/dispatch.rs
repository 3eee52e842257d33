use std::path::Path;
use std::process::ExitCode;

use reflow_core::config::EnvironmentPolicy;
use reflow_core::engine::{self, DispatchOptions, Services};
use reflow_core::id::Tag;
use reflow_core::rundir::RunDir;

use super::{Exit, Options};
use crate::context::{Context, connect};
use crate::error::CliError;
use crate::surroundings::Surroundings;

/// Plans a run further. An exit code other than 0 has the guard of the dispatch job do it again.
pub(super) fn execute(options: &Options) -> Result<ExitCode, CliError> {
    let own = options
        .has("submission")
        .then(|| options.parsed::<Tag>("submission"))
        .transpose()?;
    plan(&options.path("run-dir")?, own)?;
    Ok(Exit::Done.into())
}

/// Makes one dispatch, for the dispatch job `own` if it is one.
pub(super) fn plan(run_dir: &Path, own: Option<Tag>) -> Result<(), CliError> {
    let run = RunDir::open(run_dir)?;
    let surroundings = Surroundings::read()?;
    let record = run.record();
    Context::runtime()?.block_on(async {
        // What this job has is what the run's jobs may have.
        let policy = EnvironmentPolicy::Submit;
        let scheduler = connect(&surroundings, &record.backend, &record.launcher, &policy).await?;
        let options = DispatchOptions {
            own,
            ..DispatchOptions::default()
        };
        engine::dispatch(&run, scheduler.as_ref(), &Services::system(), &options).await?;
        Ok(())
    })
}
