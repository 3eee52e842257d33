use std::io;
use std::time::{Duration, Instant};

use reflow_core::fault::reach;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, SubmitError};
use tokio::net::UnixStream;

use super::start::{Starter, last_words};
use crate::location::{Location, io_error};
use crate::protocol::{self, Answer, Hello, Question};

/// How long a supervisor may take to start, or to say hello.
const STARTING: Duration = Duration::from_secs(20);

/// How long an answer may take.
pub(super) const ANSWERING: Duration = Duration::from_mins(1);

/// How long to wait for a supervisor that was started, before looking whether it has to be started
/// again because another one was just ending.
const AGAIN: Duration = Duration::from_millis(500);

/// A connection on which the supervisor has said hello.
#[derive(Debug)]
pub(super) struct Connection(UnixStream);

/// Connects to the supervisor of a directory; none where there is none.
pub(super) async fn open(location: &Location) -> Result<Option<Connection>, SchedulerError> {
    if !location.check()? {
        return Ok(None);
    }
    reach("local/connect");
    let mut stream = match UnixStream::connect(location.socket()).await {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset => Ok(None),
                _ => Err(io_error(&error)
                    .with_context("socket", location.socket().display().to_string())),
            };
        }
    };
    let hello = tokio::time::timeout(STARTING, protocol::read::<Hello>(&mut stream)).await;
    match hello {
        Ok(Ok((hello, _))) if hello.version == protocol::VERSION => Ok(Some(Connection(stream))),
        Ok(Ok((hello, _))) => Err(SchedulerError::new(
            SchedulerErrorKind::Unreachable,
            format!(
                "the supervisor of the local backend that is running speaks version {} of the protocol, not {}; end it with `reflow backend stop local`",
                hello.version,
                protocol::VERSION
            ),
        )),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(garbled(&error)),
        // It was just ending.
        Ok(Err(_)) => Ok(None),
        Err(_) => Err(SchedulerError::new(
            SchedulerErrorKind::TimedOut,
            "the supervisor of the local backend did not say hello in time",
        )),
    }
}

/// Connects to the supervisor of a directory, and starts it where there is none.
pub(super) async fn open_or_start(
    location: &Location,
    starter: &Starter,
) -> Result<Connection, SchedulerError> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(2);
    let mut started: Option<(Instant, std::process::Child)> = None;
    loop {
        if let Some(connection) = open(location).await? {
            if let Some((_, mut child)) = started {
                // A long-lived client must not keep the supervisor as a zombie once it has ended.
                std::thread::spawn(move || child.wait());
            }
            return Ok(connection);
        }
        if begin.elapsed() > STARTING {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Unreachable,
                "the supervisor of the local backend did not start in time",
            )
            .with_context("messages", last_words(location)));
        }
        match &mut started {
            None => started = Some((Instant::now(), starter.start(location)?)),
            Some((since, child)) => {
                if let Some(status) = child.try_wait().map_err(|error| io_error(&error))? {
                    if !status.success() {
                        return Err(SchedulerError::new(
                            SchedulerErrorKind::Unreachable,
                            format!("the supervisor of the local backend did not start: {status}"),
                        )
                        .with_context("messages", last_words(location)));
                    }
                    // Another one was first. Should that one be ending, it is started again.
                    if since.elapsed() > AGAIN {
                        started = None;
                    }
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

impl Connection {
    /// Asks, and returns the answer with its bytes. The error says whether the question may have
    /// arrived.
    pub(super) async fn ask(
        mut self,
        question: &Question,
        patience: Duration,
    ) -> Result<(Answer, Vec<u8>), SubmitError> {
        reach("local/ask");
        protocol::write(&mut self.0, question, &[])
            .await
            .map_err(|error| SubmitError::nothing_sent(lost(&error)))?;
        reach("local/hear");
        let answer = tokio::time::timeout(patience, protocol::read::<Answer>(&mut self.0)).await;
        match answer {
            Ok(Ok((Answer::Refused { kind, message }, _))) => Err(SubmitError::nothing_sent(
                SchedulerError::new(kind, message),
            )),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Err(SubmitError::maybe_sent(garbled(&error)))
            }
            Ok(Err(error)) => Err(SubmitError::maybe_sent(lost(&error))),
            Err(_) => Err(SubmitError::maybe_sent(SchedulerError::new(
                SchedulerErrorKind::TimedOut,
                "the supervisor of the local backend did not answer in time",
            ))),
        }
    }
}

/// Asks where a supervisor is running, once more where it was just ending; none where none is.
/// Only for questions that change nothing when asked twice.
pub(super) async fn ask_running(
    location: &Location,
    question: &Question,
) -> Result<Option<(Answer, Vec<u8>)>, SchedulerError> {
    let mut is_second = false;
    loop {
        let Some(connection) = open(location).await? else {
            return Ok(None);
        };
        match connection.ask(question, ANSWERING).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(failed) if is_second || failed.error.kind() != SchedulerErrorKind::Unreachable => {
                return Err(failed.error);
            }
            Err(_) => is_second = true,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn lost(error: &io::Error) -> SchedulerError {
    SchedulerError::new(
        SchedulerErrorKind::Unreachable,
        format!("the connection to the supervisor of the local backend was lost: {error}"),
    )
}

fn garbled(error: &io::Error) -> SchedulerError {
    SchedulerError::new(
        SchedulerErrorKind::UnexpectedOutput,
        format!("the supervisor of the local backend could not be understood: {error}"),
    )
}

/// Returns the error for an answer that does not fit its question.
pub(super) fn unexpected(answer: &Answer) -> SchedulerError {
    SchedulerError::new(
        SchedulerErrorKind::UnexpectedOutput,
        format!("the supervisor of the local backend answered another question: {answer:?}"),
    )
}
