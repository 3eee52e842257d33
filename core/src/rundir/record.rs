use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RunDir, create_exclusive};
use crate::id::{RunId, TaskName};
use crate::scheduler::{Capabilities, Resources};
use crate::workflow::{Bound, Description};

/// The version of `run.json`.
pub const RUN_SCHEMA: u32 = 1;

/// What a run is: written once, when it is submitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// The id of the run.
    pub run_id: RunId,
    /// When it was submitted, RFC 3339.
    pub created: String,
    /// The version of reflow that made it.
    pub version: String,
    /// The workflow.
    pub description: Description,
    /// The values of plain parameters.
    pub parameters: Bound,
    /// The backend and its settings.
    pub backend: BackendRecord,
    /// What the batch system could do when the run was submitted.
    pub capabilities: Capabilities,
    /// How reflow's own program is started on a node: an argv prefix.
    pub launcher: Vec<String>,
    /// Who plans again when something is known that was not known before.
    pub dispatch: DispatchMode,
    /// How long a file written on one node may take to be seen on another, in milliseconds.
    pub latency_ms: u64,
    /// What of earlier runs is used.
    #[serde(default)]
    pub cache: CacheChoices,
}

/// What a run uses of earlier runs, in each of its dispatches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheChoices {
    /// The store. Without one nothing is remembered and nothing is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// Tasks that run whatever is remembered.
    pub force: Force,
    /// What is asked of a remembered value before it is used.
    pub verify: Verify,
}

/// Tasks that run whatever is remembered of them. Their results replace what is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// These, by name.
    Tasks(Vec<TaskName>),
}

impl Force {
    /// Returns whether a task is among them.
    pub fn contains(&self, task: &TaskName) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Tasks(tasks) => tasks.contains(task),
        }
    }
}

/// What is asked of a remembered value before it is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// That its paths and files exist.
    #[default]
    Existence,
    /// Nothing.
    Nothing,
    /// That the content of its files is what it was, and what the task host's own check says.
    Content,
}

/// A later version of the workflow of a run, of the same tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunUpdate {
    /// The workflow.
    pub description: Description,
    /// How reflow's own program is started on a node: an argv prefix.
    pub launcher: Vec<String>,
}

impl RunRecord {
    /// Takes in the newest of the updates in `directory`, and returns how many there are.
    pub(super) fn update(&mut self, directory: &Path) -> io::Result<u32> {
        let newest = newest_update(directory)?;
        if newest > 0 {
            let bytes = fs::read(directory.join(newest.to_string()))?;
            let update: RunUpdate = serde_json::from_slice(&bytes)?;
            self.description = update.description;
            self.launcher = update.launcher;
        }
        Ok(newest)
    }
}

/// Returns the number of the newest update in `directory`, or 0. A run of an earlier version has no such
/// directory.
pub(super) fn newest_update(directory: &Path) -> io::Result<u32> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut newest = 0;
    for entry in entries {
        let number = entry?.file_name().to_str().and_then(|it| it.parse().ok());
        newest = newest.max(number.unwrap_or(0));
    }
    Ok(newest)
}

impl RunUpdate {
    /// Records the update in `directory` under the next free number, and returns that; the first is 1.
    pub(crate) fn add(&self, directory: &Path, before: u32) -> io::Result<u32> {
        let bytes = serde_json::to_vec(self)?;
        let mut number = before + 1;
        fs::create_dir_all(directory)?;
        loop {
            crate::fault::reach("update/create");
            if create_exclusive(&directory.join(number.to_string()), &bytes)? {
                return Ok(number);
            }
            number += 1;
        }
    }
}

/// The backend of a run and its settings, as resolved when it was submitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendRecord {
    /// The name it is registered under.
    pub name: String,
    /// Its own settings.
    pub settings: Map<String, Value>,
    /// Logical partition to native one.
    pub partitions: BTreeMap<String, String>,
    /// Native flags added to every request.
    pub extra: Vec<String>,
    /// Directory of the batch system's programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bin_dir: Option<PathBuf>,
    /// Shell lines run first in every job.
    pub setup: Vec<String>,
    /// Resources of dispatch jobs.
    pub dispatch: Resources,
    /// Native flags of dispatch jobs.
    pub dispatch_extra: Vec<String>,
    /// Most jobs of the run that may be queued or run in the batch system at the same time, each index of an
    /// array counted as one, and those that plan included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queued: Option<u32>,
}

/// Who plans again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchMode {
    /// Short dispatch jobs.
    Job,
    /// Dispatch jobs, and before them the worker that fixed a width: no queue wait in between.
    #[default]
    Worker,
    /// `wait`, `run` or `drive` on a login node, where nodes may not submit.
    Login,
}

/// The environment that bodies get, saved in a private file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnvironment {
    /// The variables.
    pub variables: BTreeMap<String, String>,
    /// The submitter's umask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
}

impl JobEnvironment {
    /// Returns what was saved for the bodies of a run.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn of(run: &RunDir) -> io::Result<Self> {
        match fs::read(run.inside("environment.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}
