use fs_err::os::unix::fs::OpenOptionsExt;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{CancelReport, DispatchOptions, Dispatched, EngineError, Services, cancel, dispatch};
use crate::cache::UserFiles;
use crate::content::Memory;
use crate::id::{RunId, WorkflowName};
use crate::rundir::{
    BackendRecord, CacheChoices, DispatchMode, JobEnvironment, RUN_SCHEMA, RunDir, RunRecord,
};
use crate::scheduler::Scheduler;
use crate::workflow::{Bound, Graph};

/// A run to be submitted.
#[derive(Debug)]
pub struct SubmitRequest {
    /// The workflow.
    pub graph: Graph,
    /// The values of its parameters.
    pub parameters: Bound,
    /// Where the run lives; made where missing.
    pub run_dir: PathBuf,
    /// Its id, such as one of [`new_run_id`].
    pub run_id: RunId,
    /// The backend and its settings.
    pub backend: BackendRecord,
    /// reflow's own program: copied into the run directory, so that a rebuild cannot change what queued
    /// jobs run, and started from there.
    pub program: Option<PathBuf>,
    /// How reflow's own program is started, where `program` is not set.
    pub launcher: Vec<String>,
    /// Workflow files, kept with the run.
    pub files: Vec<PathBuf>,
    /// Who plans again.
    pub dispatch: DispatchMode,
    /// What bodies get; kept in a file that only the user can read.
    pub environment: JobEnvironment,
    /// How long a file written on one node may take to be seen on another, in milliseconds.
    pub latency_ms: u64,
    /// What of earlier runs is used.
    pub cache: CacheChoices,
}

/// Returns a run id: the workflow, the time (UTC), and 40 random bits.
pub fn new_run_id(workflow: &WorkflowName, services: &Services) -> io::Result<RunId> {
    let mut random = [0; 5];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let time = jiff::Timestamp::from_millisecond(services.clock.now_ms() as i64)
        .map_err(io::Error::other)?;
    let random = data_encoding::BASE32_NOPAD
        .encode(&random)
        .to_ascii_lowercase();
    let name: String = workflow.as_str().chars().take(60).collect();
    RunId::new(format!(
        "{name}-{}-{random}",
        time.strftime("%Y%m%d-%H%M%S")
    ))
    .map_err(io::Error::other)
}

/// Makes the run directory, plans, and sends everything that can be sent.
///
/// # Errors
///
/// [`EngineError::Refused`] when the batch system refuses something for good: what had been sent is
/// cancelled, and the run is recorded as cancelled. [`EngineError::Paused`] when it refuses for now: the
/// run is there and goes on when it is waited for.
pub async fn submit(
    request: SubmitRequest,
    scheduler: &dyn Scheduler,
    services: &Services,
) -> Result<RunDir, EngineError> {
    if request.program.is_none() && request.launcher.is_empty() {
        return Err(unknown_launcher());
    }
    let (user_files, memory) = user_files(&request)?;
    if let Err(error) = memory.publish() {
        tracing::warn!(%error, "the digests of files are not remembered");
    }
    let path = RunDir::prepare(&request.run_dir)?;
    let launcher = launcher(request.program.as_deref(), &request.launcher, |program| {
        pin(&path, program)
    })?;
    for file in &request.files {
        pin(&path, file)?;
    }
    let environment = path.join(".reflow/environment.json");
    crate::fault::reach("submit/environment");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(environment)?;
    crate::fault::reach("submit/environment-write");
    io::Write::write_all(
        &mut file,
        &serde_json::to_vec(&request.environment).map_err(io::Error::from)?,
    )?;
    user_files.write(&path.join(".reflow"))?;
    let record = record(request, launcher, scheduler, services)?;
    let dir = RunDir::found(path, record)?;
    crate::fault::reach("submit/founded");
    match dispatch(&dir, scheduler, services, &DispatchOptions::default()).await? {
        Dispatched::Done {
            refused: Some((task, message)),
            ..
        } => {
            let CancelReport { .. } = cancel(&dir, scheduler, services, &[]).await?;
            Err(EngineError::Refused { task, message })
        }
        Dispatched::Done {
            paused: Some(message),
            ..
        } => Err(EngineError::Paused {
            run_id: dir.record().run_id.clone(),
            message,
        }),
        _ => Ok(dir),
    }
}

/// Reads the content of the user's files. Returns with them what was read, to be published for later runs.
pub(super) fn user_files(request: &SubmitRequest) -> Result<(UserFiles, Memory), EngineError> {
    let memory = Memory::new(request.cache.store.as_deref());
    let files = UserFiles::read(&request.graph, &request.parameters, &memory).map_err(|error| {
        use std::error::Error as _;
        let cause = error.source().map(|cause| format!(": {cause}"));
        EngineError::Invalid(format!("{error}{}", cause.unwrap_or_default()))
    })?;
    Ok((files, memory))
}

/// Returns the record of a run.
pub(super) fn record(
    request: SubmitRequest,
    launcher: Vec<String>,
    scheduler: &dyn Scheduler,
    services: &Services,
) -> io::Result<RunRecord> {
    let created = jiff::Timestamp::from_millisecond(services.clock.now_ms() as i64)
        .map_err(io::Error::other)?;
    Ok(RunRecord {
        schema: RUN_SCHEMA,
        run_id: request.run_id,
        created: created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: request.graph.description().clone(),
        parameters: request.parameters,
        backend: request.backend,
        capabilities: scheduler.capabilities().clone(),
        launcher,
        dispatch: request.dispatch,
        latency_ms: request.latency_ms,
        cache: request.cache,
    })
}

/// Returns how a job starts reflow, where `pinned` returns the place of a program in the run directory.
pub(super) fn launcher(
    program: Option<&Path>,
    given: &[String],
    pinned: impl FnOnce(&Path) -> io::Result<PathBuf>,
) -> Result<Vec<String>, EngineError> {
    let Some(program) = program else {
        return if given.is_empty() {
            Err(unknown_launcher())
        } else {
            Ok(given.to_vec())
        };
    };
    let pinned = pinned(program)?.into_os_string();
    let text = pinned
        .into_string()
        .map_err(|_| EngineError::Invalid("the path of the program is not UTF-8".to_owned()))?;
    Ok(vec![text])
}

fn unknown_launcher() -> EngineError {
    EngineError::Invalid("it is not known how jobs start reflow: set `launcher`".to_owned())
}

/// Returns the name in the run directory that tells the content of a file.
pub(super) fn pinned(run_dir: &Path, file: &Path) -> io::Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(file)?)?;
    let digest = hasher.finalize().to_hex();
    let name = file.file_name().unwrap_or_default();
    let pinned = run_dir.join(".reflow/pinned").join(&digest.as_str()[..16]);
    Ok(pinned.join(name.to_string_lossy().as_ref()))
}

/// Copies a file into the run directory under a name that tells its content.
pub(super) fn pin(run_dir: &Path, file: &Path) -> io::Result<PathBuf> {
    let path = pinned(run_dir, file)?;
    if let Some(parent) = path.parent() {
        crate::fault::reach("submit/pin-folder");
        fs::create_dir_all(parent)?;
    }
    if !path.exists() {
        // Under another name first: a part of it, left by a kill or a full disk, must not pass for it.
        let part = path.with_added_extension(std::process::id().to_string());
        crate::fault::reach("submit/pin");
        let copied = fs::copy(file, &part).and_then(|_| {
            crate::fault::reach("submit/pinned");
            fs::rename(&part, &path)
        });
        if let Err(error) = copied {
            // It takes space that may be short.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    }
    Ok(path)
}
