use std::error::Error;
use std::io;

use serde::Serialize;
use serde_json::{Value, json};

use reflow_core::config::ConfigError;
use reflow_core::engine::EngineError;
use reflow_core::error::Hint;
use reflow_core::rundir::RunDirError;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, SubmitError};
use reflow_core::store::CatalogueError;

use crate::exit::Exit;
use crate::output::{BAD, Output, note, styled};

/// What kind of failure ended the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The request was wrong.
    Request,
    /// The batch system refused or could not be reached.
    Scheduler,
    /// A fault of reflow itself.
    Fault,
    /// Interrupted from the keyboard.
    Interrupted,
    /// Whoever read the output has closed it. No error.
    ClosedOutput,
}

impl Kind {
    /// Returns whose fault it is that a batch system said no.
    pub(crate) fn of(kind: SchedulerErrorKind) -> Self {
        match kind {
            SchedulerErrorKind::InvalidRequest | SchedulerErrorKind::Unsupported => Self::Request,
            _ => Self::Scheduler,
        }
    }

    /// Returns how the program ends.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Request => Exit::Request,
            Self::Scheduler => Exit::Scheduler,
            Self::Fault => Exit::Fault,
            Self::Interrupted => Exit::Interrupted,
            Self::ClosedOutput => Exit::Done,
        }
    }
}

/// An error as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    /// Decides the exit code.
    pub(crate) kind: Kind,
    /// What could not be done, with what.
    pub(crate) message: String,
    /// Several faults found together, one each.
    pub(crate) details: Vec<String>,
    /// Why, from the nearest cause to the farthest.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
}

impl CliError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: Vec::new(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Returns an error in the request.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new(Kind::Request, message)
    }

    /// Returns a fault of reflow itself.
    pub(crate) fn fault(error: impl Error) -> Self {
        Self::from_error(Kind::Fault, &error)
    }

    /// Returns `error` with its causes. A cause that its error repeats is left out.
    pub(crate) fn from_error(kind: Kind, error: &dyn Error) -> Self {
        let mut shown = Self::new(kind, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            let repeated = shown
                .causes
                .last()
                .unwrap_or(&shown.message)
                .contains(&text);
            if !repeated {
                shown.causes.push(text);
            }
            next = cause.source();
        }
        shown
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn with_hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// Puts what was being done before the message.
    pub(crate) fn doing(mut self, what: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, what.into());
        self.causes.insert(0, cause);
        self
    }

    /// Shows the error and returns how to end: as text on standard error, or as the one JSON document
    /// on standard output.
    pub(crate) fn show(&self, output: Output) -> Exit {
        let exit = self.kind.exit();
        if self.kind == Kind::ClosedOutput {
            return exit;
        }
        if output.json {
            // Nobody is left to be told when standard output is closed.
            crate::output::print_document(&json!({"error": self.document()})).ok();
        } else {
            note(BAD, "error", &self.text());
        }
        exit
    }

    /// Returns the error as it stands in JSON documents.
    pub(crate) fn document(&self) -> Value {
        json!({
            "kind": self.kind,
            "message": self.message,
            "details": self.details,
            "causes": self.causes,
            "hints": self.hints,
            "exit_code": self.kind.exit().code(),
        })
    }

    /// Returns the text after `error:`.
    fn text(&self) -> String {
        let mut text = self.message.clone();
        for detail in &self.details {
            text.push_str("\n  - ");
            text.push_str(&indented(detail, "    "));
        }
        for cause in &self.causes {
            text.push_str("\n  caused by: ");
            text.push_str(&indented(cause, "    "));
        }
        for hint in &self.hints {
            let heading = styled(crate::output::GOOD, "hint:");
            text.push('\n');
            text.push_str(&heading);
            text.push(' ');
            text.push_str(&indented(hint, "  "));
        }
        text
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// Returns `text` with every line but the first moved in.
fn indented(text: &str, by: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{by}"))
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::ClosedOutput,
            _ => Kind::Request,
        };
        Self::from_error(kind, &error)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::from_error(Kind::Request, &error).with_hints(error.hint())
    }
}

impl From<CatalogueError> for CliError {
    fn from(error: CatalogueError) -> Self {
        Self::from_error(Kind::Request, &error)
    }
}

impl From<RunDirError> for CliError {
    fn from(error: RunDirError) -> Self {
        Self::from_error(Kind::Request, &error)
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let hint = error.hint();
        let shown = match error {
            EngineError::Scheduler(error) => error.into(),
            EngineError::RunDir(error) => error.into(),
            EngineError::Workflow(errors) => {
                Self::from(errors).doing("the recorded workflow is not valid for this version")
            }
            EngineError::Refused { .. } | EngineError::Paused { .. } => {
                Self::from_error(Kind::Scheduler, &error)
            }
            other => Self::from_error(Kind::Request, &other),
        };
        shown.with_hints(hint)
    }
}

impl From<SubmitError> for CliError {
    fn from(error: SubmitError) -> Self {
        error.error.into()
    }
}

impl From<SchedulerError> for CliError {
    fn from(error: SchedulerError) -> Self {
        let mut shown = Self::from_error(Kind::of(error.kind()), &error);
        error.message().clone_into(&mut shown.message);
        let facts = error
            .context()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.trim_end()));
        shown.details.extend(facts);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(error: &CliError) -> String {
        anstream::adapter::strip_str(&error.text()).to_string()
    }

    #[test]
    fn causes_and_hints_follow_the_message() {
        let error = CliError::request("the run directory cannot be used")
            .doing("could not submit `wordcount`")
            .with_hint("choose another directory\nwith `--run-dir`");
        insta::assert_snapshot!(plain(&error), @r"
        could not submit `wordcount`
          caused by: the run directory cannot be used
        hint: choose another directory
          with `--run-dir`
        ");
    }

    #[test]
    fn a_batch_system_that_refuses_is_told_from_a_wrong_request() {
        let refused = SchedulerError::new(SchedulerErrorKind::Rejected, "`sbatch` refused the job")
            .with_context("stderr", "sbatch: error: Invalid account\n");
        let error = CliError::from(refused);
        assert_eq!(error.kind.exit(), Exit::Scheduler);
        insta::assert_snapshot!(plain(&error), @r"
        `sbatch` refused the job
          - stderr: sbatch: error: Invalid account
        ");
        let wrong = SchedulerError::new(SchedulerErrorKind::Unsupported, "no `gpus` here");
        assert_eq!(CliError::from(wrong).kind.exit(), Exit::Request);
    }

    #[test]
    fn a_closed_output_is_no_error() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.show(Output { json: false }), Exit::Done);
    }
}
