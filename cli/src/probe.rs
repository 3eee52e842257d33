//! How `reflow doctor` and its job on a node talk: by files in a directory that both should see.
//!
//! The job says hello, answers each call with the time that its clock shows, and says whether the
//! batch system answers there.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use reflow_core::engine::Clock;
use reflow_core::rundir::publish;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The backend with its settings, for the job.
pub(crate) const BACKEND: &str = "backend.json";
/// The first word of the job.
pub(crate) const HELLO: &str = "hello.json";
/// What the job says of the batch system.
pub(crate) const REACHED: &str = "reached.json";
/// How often the clocks are compared.
pub(crate) const ROUNDS: u32 = 3;

/// How often a side looks for a file of the other.
const LOOK: Duration = Duration::from_millis(20);

/// The first word of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Where it runs.
    pub(crate) host: String,
}

/// Whether the batch system answered the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// What went wrong, if it did not.
    pub(crate) fault: Option<String>,
}

/// One call and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Our clock between the call and the sight of the answer, in milliseconds.
    middle_ms: i64,
    /// The clock of the other side when it answered, in milliseconds.
    answered_ms: i64,
    /// How long it took until the answer was seen.
    pub(crate) took: Duration,
}

impl Round {
    /// Returns by how much the other clock is ahead, in milliseconds, and how far that may be wrong.
    pub(crate) fn ahead(&self) -> (i64, i64) {
        let error = (self.took.as_millis() as i64 + 1) / 2;
        (self.answered_ms - self.middle_ms, error)
    }
}

/// Returns the host that this runs on.
pub(crate) fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Leaves a file for the other side.
pub(crate) fn leave(directory: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    publish(&directory.join(name), &serde_json::to_vec(content)?)
}

/// Reads a file of the other side, if it is there.
pub(crate) fn found<T: DeserializeOwned>(directory: &Path, name: &str) -> io::Result<Option<T>> {
    match fs_err::read(directory.join(name)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for a file of the other side, and returns none when `patience` is over.
pub(crate) async fn await_file<T: DeserializeOwned>(
    directory: &Path,
    name: &str,
    patience: Duration,
) -> io::Result<Option<T>> {
    let started = Instant::now();
    loop {
        if let Some(content) = found(directory, name)? {
            return Ok(Some(content));
        }
        if started.elapsed() > patience {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Calls once, and returns none when no answer is seen for `patience`.
pub(crate) async fn call(
    directory: &Path,
    round: u32,
    patience: Duration,
) -> io::Result<Option<Round>> {
    let clock = Clock::system();
    let (started, sent_ms) = (Instant::now(), clock.now_ms() as i64);
    leave(directory, &format!("call-{round}"), &sent_ms)?;
    let answer = await_file(directory, &format!("answer-{round}"), patience).await?;
    let took = started.elapsed();
    Ok(answer.map(|answered_ms| Round {
        middle_ms: sent_ms + took.as_millis() as i64 / 2,
        answered_ms,
        took,
    }))
}

/// Answers the calls of the other side as they come, and gives up when none comes for `patience`.
pub(crate) async fn answer(directory: &Path, patience: Duration) -> io::Result<()> {
    let clock = Clock::system();
    for round in 0..ROUNDS {
        let called: Option<i64> = await_file(directory, &format!("call-{round}"), patience).await?;
        if called.is_none() {
            return Ok(());
        }
        let now = clock.now_ms() as i64;
        leave(directory, &format!("answer-{round}"), &now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_are_answered_and_on_one_machine_the_clocks_agree() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let patience = Duration::from_secs(10);
        let calls = async {
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                rounds.push(call(directory.path(), round, patience).await);
            }
            rounds
        };
        let (answered, rounds) = tokio::join!(answer(directory.path(), patience), calls);
        answered.expect("the directory can be written");
        for round in rounds {
            let round = round.expect("can be read").expect("is answered");
            let (ahead, error) = round.ahead();
            assert!(ahead.abs() <= error + 1, "{ahead} ms, within {error}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_is_told_with_how_far_that_may_be_wrong() {
        let round = Round {
            middle_ms: 1_000_050,
            answered_ms: 1_007_050,
            took: Duration::from_millis(100),
        };
        assert_eq!(round.ahead(), (7000, 50));
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let answer = call(directory.path(), 0, Duration::from_millis(50)).await;
        assert_eq!(answer.expect("can be read"), None);
    }
}
