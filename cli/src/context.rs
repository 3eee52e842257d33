use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reflow_core::command::scrub;
use reflow_core::config::EnvironmentPolicy;
use reflow_core::rundir::{BackendRecord, JobEnvironment, RunDir};
use reflow_core::scheduler::{ConnectOptions, Scheduler, SchedulerError};
use reflow_core::store::Catalogue;
use rustix::fs::Mode;
use tokio::runtime::Runtime;

use crate::backends;
use crate::configuration::Configuration;
use crate::error::CliError;
use crate::output::Output;
use crate::patience::{Absence, Patient, Tell};
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
        Some(Catalogue::new(&self.store()?))
    }

    /// Returns the store, absolute, if there is a place for one.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        let store = self.configuration.resolved.store()?;
        Some(self.surroundings.absolute(&store))
    }

    /// Returns the configured backend with its settings.
    pub(crate) fn backend(&self) -> BackendRecord {
        self.backend_named(&self.configuration.resolved.default_backend())
    }

    /// Returns a backend with its settings.
    pub(crate) fn backend_named(&self, name: &str) -> BackendRecord {
        let settings = self.configuration.resolved.backend(name);
        BackendRecord {
            name: name.to_owned(),
            settings: settings.settings,
            partitions: settings.partitions,
            extra: settings.extra,
            bin_dir: settings.bin_dir,
            setup: settings.setup,
            dispatch: settings.dispatch,
            dispatch_extra: settings.dispatch_extra,
            max_queued: settings.max_queued,
        }
    }

    /// Returns how long a file written on one node may take to be seen on another, by what was set or
    /// by what is common: file systems that clusters share keep what they know of a directory for up to
    /// a minute, mostly for half of one; on one machine a file is there at once.
    pub(crate) fn latency(&self, backend: &str) -> Duration {
        let set = self.configuration.resolved.backend(backend).latency;
        set.unwrap_or(match backend {
            "local" => Duration::from_millis(500),
            _ => Duration::from_secs(30),
        })
    }

    /// Returns what of the user's variables jobs get, and the umask.
    pub(crate) fn job_environment(&self) -> JobEnvironment {
        let mut variables = scrub(&self.surroundings.environment());
        variables.remove(reflow_backend_local::DIRECTORY_VARIABLE);
        let variables = match self.configuration.resolved.environment() {
            EnvironmentPolicy::Submit => variables,
            EnvironmentPolicy::Clean => BTreeMap::new(),
            EnvironmentPolicy::Only(names) => variables
                .into_iter()
                .filter(|(name, _)| names.contains(name))
                .collect(),
        };
        JobEnvironment {
            variables,
            umask: Some(umask()),
        }
    }

    /// Returns what a backend connects with.
    pub(crate) fn connect_options(
        &self,
        backend: &BackendRecord,
        launcher: &[String],
    ) -> ConnectOptions {
        let policy = self.configuration.resolved.environment();
        backends::options(&self.surroundings, backend, launcher, &policy)
    }

    /// Connects to a backend.
    pub(crate) async fn connect(
        &self,
        backend: &BackendRecord,
        launcher: &[String],
    ) -> Result<Arc<dyn Scheduler>, CliError> {
        let policy = self.configuration.resolved.environment();
        connect(&self.surroundings, backend, launcher, &policy).await
    }

    /// Connects to a backend to submit a new run.
    pub(crate) async fn connect_to_submit(
        &self,
        backend: &BackendRecord,
    ) -> Result<Arc<dyn Scheduler>, CliError> {
        self.connect(backend, &own_launcher(&own_program()?)?).await
    }

    /// Connects to the backend of a run, or says that it cannot be reached now and goes on.
    pub(crate) async fn connect_patiently(
        &self,
        run: &RunDir,
        absence: Absence,
        tell: Tell,
    ) -> Result<Patient, CliError> {
        let policy = self.configuration.resolved.environment();
        Patient::of(run, &self.surroundings, policy, absence, tell)
            .await
            .map_err(|error| not_connected(error, &run.record().backend))
    }
}

/// Returns the user's umask. It can be read only by setting it.
fn umask() -> u32 {
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    umask.as_raw_mode()
}

/// Connects to a backend and says which one it was where that fails.
pub(crate) async fn connect(
    surroundings: &Surroundings,
    backend: &BackendRecord,
    launcher: &[String],
    policy: &EnvironmentPolicy,
) -> Result<Arc<dyn Scheduler>, CliError> {
    backends::connect(surroundings, backend, launcher, policy)
        .await
        .map_err(|error| not_connected(error, backend))
}

pub(crate) fn not_connected(error: SchedulerError, backend: &BackendRecord) -> CliError {
    CliError::from(error).doing(format!(
        "could not connect to the backend `{}`",
        backend.name
    ))
}

/// Returns the words that start `program`.
pub(crate) fn own_launcher(program: &Path) -> Result<Vec<String>, CliError> {
    let text = program.to_str().ok_or_else(|| {
        CliError::request(format!(
            "the path of reflow's own program is not UTF-8: {}",
            program.display()
        ))
    })?;
    Ok(vec![text.to_owned()])
}

/// Returns the file of this program.
pub(crate) fn own_program() -> Result<PathBuf, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::fault(error).doing("reflow's own program cannot be found"))?;
    // A program that was replaced while it runs has ` (deleted)` after its name.
    if program.exists() {
        return Ok(program);
    }
    Err(CliError::request(format!(
        "reflow's own program `{}` is not there any more",
        program.display()
    ))
    .with_hint("it was replaced while it ran: give the command again"))
}
