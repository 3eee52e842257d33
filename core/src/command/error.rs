use std::io;
use std::time::Duration;

use super::output::{last_lines, show_argv};
use crate::scheduler::{SchedulerError, SchedulerErrorKind};

/// A program that could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program is nowhere in the places searched.
    #[error("`{program}` is not {place}")]
    NotFound {
        /// The program.
        program: String,
        /// `on the PATH`, or `in DIRECTORY`.
        place: String,
        /// The `PATH` that was searched.
        searched: String,
    },
    /// The program could not be started.
    #[error("`{program}` could not be started")]
    Start {
        /// The program, as found.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program did not end in time; its process group was killed.
    #[error("`{program}` did not answer within {} s", after.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// How long it was given.
        after: Duration,
        /// What it had said on standard error.
        stderr: String,
    },
    /// The program wrote more than is believable.
    #[error("`{program}` wrote more than {limit} bytes")]
    TooMuchOutput {
        /// The program.
        program: String,
        /// The bound.
        limit: usize,
    },
    /// Reading from or waiting for the program failed.
    #[error("lost contact with `{program}`")]
    Io {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl CommandError {
    /// Returns whether the program may have done its work all the same.
    pub fn may_have_run(&self) -> bool {
        !matches!(self, Self::NotFound { .. } | Self::Start { .. })
    }
}

impl From<CommandError> for SchedulerError {
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        match error {
            CommandError::NotFound { searched, .. } => {
                Self::new(SchedulerErrorKind::NotInstalled, message)
                    .with_context("searched", searched)
            }
            CommandError::Start { source, .. } => {
                Self::new(SchedulerErrorKind::Unreachable, message).with_source(source)
            }
            CommandError::TimedOut { argv, stderr, .. } => {
                let error = Self::new(SchedulerErrorKind::TimedOut, message)
                    .with_context("command", show_argv(&argv));
                match last_lines(&stderr, 20) {
                    "" => error,
                    stderr => error.with_context("stderr", stderr),
                }
            }
            CommandError::TooMuchOutput { .. } => {
                Self::new(SchedulerErrorKind::UnexpectedOutput, message)
            }
            CommandError::Io { source, .. } => {
                Self::new(SchedulerErrorKind::Io, message).with_source(source)
            }
        }
    }
}
