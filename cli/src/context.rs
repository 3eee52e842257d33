use std::path::Path;
use std::sync::Arc;

use reflow_core::rundir::{BackendRecord, RunDir};
use reflow_core::scheduler::Scheduler;
use reflow_core::store::Catalogue;
use tokio::runtime::Runtime;

use crate::backends;
use crate::configuration::Configuration;
use crate::error::CliError;
use crate::output::Output;
use crate::surroundings::Surroundings;

/// What every command has.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) surroundings: Surroundings,
    pub(crate) configuration: Configuration,
    pub(crate) output: Output,
}

impl Context {
    /// Starts what futures run in.
    pub(crate) fn runtime() -> Result<Runtime, CliError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::fault(error).doing("could not start the runtime"))
    }

    /// Returns the catalogue of runs, if there is a place for one.
    pub(crate) fn catalogue(&self) -> Option<Catalogue> {
        let store = self.configuration.resolved.store()?;
        Some(Catalogue::new(&store))
    }

    /// Returns the configured backend with its settings.
    pub(crate) fn backend(&self) -> BackendRecord {
        let name = self.configuration.resolved.default_backend();
        let settings = self.configuration.resolved.backend(&name);
        BackendRecord {
            name,
            settings: settings.settings,
            partitions: settings.partitions,
            extra: settings.extra,
            bin_dir: settings.bin_dir,
            setup: settings.setup,
            dispatch: settings.dispatch,
            dispatch_extra: settings.dispatch_extra,
        }
    }

    /// Connects to a backend.
    pub(crate) async fn connect(
        &self,
        backend: &BackendRecord,
        launcher: &[String],
    ) -> Result<Arc<dyn Scheduler>, CliError> {
        connect(&self.surroundings, backend, launcher).await
    }

    /// Connects to the backend of a run.
    pub(crate) async fn connect_for(&self, run: &RunDir) -> Result<Arc<dyn Scheduler>, CliError> {
        let record = run.record();
        self.connect(&record.backend, &record.launcher).await
    }
}

/// Connects to a backend and says which one it was where that fails.
pub(crate) async fn connect(
    surroundings: &Surroundings,
    backend: &BackendRecord,
    launcher: &[String],
) -> Result<Arc<dyn Scheduler>, CliError> {
    backends::connect(surroundings, backend, launcher)
        .await
        .map_err(|error| {
            CliError::from(error).doing(format!(
                "could not connect to the backend `{}`",
                backend.name
            ))
        })
}

/// Returns how this program is started again.
pub(crate) fn own_program() -> Result<std::path::PathBuf, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::fault(error).doing("reflow's own program cannot be found"))?;
    // A program that was replaced while it runs has ` (deleted)` after its name.
    if Path::new(&program).exists() {
        return Ok(program);
    }
    Err(CliError::request(format!(
        "reflow's own program `{}` is not there any more",
        program.display()
    ))
    .with_hint("it was replaced while it ran: give the command again"))
}
