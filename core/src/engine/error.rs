use std::io;

use crate::error::Hint;
use crate::id::RunId;
use crate::journal::LeaseError;
use crate::rundir::RunDirError;
use crate::scheduler::SchedulerError;
use crate::workflow::CheckErrors;

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The workflow that was recorded is not valid for this version.
    #[error("the recorded workflow is not valid: {0}")]
    Workflow(#[from] CheckErrors),
    /// The batch system refused or could not be reached.
    #[error("the batch system could not be used")]
    Scheduler(#[from] SchedulerError),
    /// The first submission was refused; nothing of the run is left in the batch system.
    #[error("the batch system refused task `{task}`: {message}")]
    Refused {
        /// The task.
        task: String,
        /// The batch system's words.
        message: String,
    },
    /// The batch system takes no jobs for now; the run is there.
    #[error("the run {run_id} is paused, since nothing can be queued: {message}")]
    Paused {
        /// The run.
        run_id: RunId,
        /// The batch system's words.
        message: String,
    },
    /// Somebody else took over the run just now.
    #[error("another process has taken over the run")]
    TakenOver,
    /// What was asked for does not exist.
    #[error("{0}")]
    NotFound(String),
    /// There is no value.
    #[error("{0}")]
    NoValue(String),
    /// What was asked for cannot be done.
    #[error("{0}")]
    Invalid(String),
    /// Reading or writing failed.
    #[error("the run directory cannot be read or written")]
    Io(#[from] io::Error),
}

impl From<LeaseError> for EngineError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Lost => Self::TakenOver,
            LeaseError::Io(error) => Self::Io(error),
        }
    }
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { .. } => Some(
                "correct the resources or the partition of the task, and submit again".to_owned(),
            ),
            Self::Paused { run_id, .. } => Some(format!("`reflow wait {run_id}` goes on with it")),
            Self::TakenOver => Some("look at the run with `reflow status`".to_owned()),
            _ => None,
        }
    }
}
