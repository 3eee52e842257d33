use std::fmt;

/// What kind of failure a backend met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchedulerErrorKind {
    /// The request asks for something that this batch system does not have.
    Unsupported,
    /// The request makes no sense on any batch system.
    InvalidRequest,
    /// The batch system refused: asking again gives the same answer.
    Rejected,
    /// The batch system refused for now: a controller that is starting or has too much to do.
    Busy,
    /// The batch system takes no more jobs, or no array as large as this, until some have ended: a limit on jobs in
    /// the queue (`MaxSubmitJobs`, a quality of service).
    LimitReached,
    /// The batch system's program is not on this machine.
    NotInstalled,
    /// The batch system's program or server could not be reached.
    Unreachable,
    /// The batch system did not answer in time.
    TimedOut,
    /// The answer could not be understood.
    UnexpectedOutput,
    /// The user may not do this.
    Permission,
    /// Reading or writing failed on this machine.
    Io,
}

impl SchedulerErrorKind {
    /// Returns whether asking again later may succeed.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::LimitReached
                | Self::Unreachable
                | Self::TimedOut
                | Self::UnexpectedOutput
                | Self::Io
        )
    }
}

/// An error across the [`Scheduler`](super::Scheduler) trait: small and opaque, with its kind and the
/// facts known where it arose.
#[derive(Debug)]
pub struct SchedulerError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: SchedulerErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SchedulerError {
    /// Returns an error with a lower-case message that fits "could not …: {message}".
    pub fn new(kind: SchedulerErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Adds a fact, such as `("command", "sbatch --parsable")` or `("stderr", "...")`.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((key, value.into()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> SchedulerErrorKind {
        self.0.kind
    }

    /// Returns the message without its context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the facts, in the order in which they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for SchedulerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            write!(f, "{key}: {}", value.trim_end())?;
        }
        if self.0.context.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

impl std::error::Error for SchedulerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A failed [`submit`](super::Scheduler::submit).
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SubmitError {
    /// What went wrong.
    #[source]
    pub error: SchedulerError,
    /// Whether a job may exist all the same: the request may have arrived although no answer came back.
    pub may_exist: bool,
}

impl SubmitError {
    /// Returns an error for a request that certainly made no job.
    pub fn nothing_sent(error: SchedulerError) -> Self {
        Self {
            error,
            may_exist: false,
        }
    }

    /// Returns an error after which a job may exist.
    pub fn maybe_sent(error: SchedulerError) -> Self {
        Self {
            error,
            may_exist: true,
        }
    }
}
