use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use reflow_core::config::EnvironmentPolicy;
use reflow_core::engine::{self, DispatchOptions, Services};
use reflow_core::id::Tag;
use reflow_core::rundir::RunDir;

use super::{Exit, Options};
use crate::context::{Context, not_connected};
use crate::error::CliError;
use crate::patience::{Absence, Patient, Tell};
use crate::surroundings::Surroundings;

/// How long a dispatch job tries to reach the batch system before it fails. A controller that is started
/// again takes minutes; after that, its guard may have more luck on another node.
const PATIENCE: Duration = Duration::from_mins(15);

/// Plans a run further. An exit code other than 0 has the guard of the dispatch job do it again.
pub(super) fn execute(options: &Options) -> Result<ExitCode, CliError> {
    let own = options
        .has("submission")
        .then(|| options.parsed::<Tag>("submission"))
        .transpose()?;
    crate::entry::set_up_logging(&Surroundings::read()?, "warn");
    plan(&options.path("run-dir")?, own, PATIENCE)?;
    Ok(Exit::Done.into())
}

/// Makes one dispatch, for the dispatch job `own` if it is one. Tries for `patience` to reach the batch
/// system.
pub(super) fn plan(run_dir: &Path, own: Option<Tag>, patience: Duration) -> Result<(), CliError> {
    let run = RunDir::open(run_dir)?;
    let surroundings = Surroundings::read()?;
    let record = run.record();
    Context::runtime()?.block_on(async {
        // What this job has is what the run's jobs may have.
        let policy = EnvironmentPolicy::Submit;
        let tell: Tell = Arc::new(crate::output::warn);
        let unreached = |error| not_connected(error, &record.backend);
        let scheduler = Patient::of(&run, &surroundings, policy, Absence::IsFinal, tell)
            .await
            .map_err(unreached)?;
        scheduler.reached(patience).await.map_err(unreached)?;
        let options = DispatchOptions {
            own,
            ..DispatchOptions::default()
        };
        engine::dispatch(&run, &scheduler, &Services::system(), &options).await?;
        Ok(())
    })
}
