//! What clients ask the server, and what it answers.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::options::FakeOptions;
use super::submission::Submission;

/// A question of a client. A connection carries one.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Take this job: [`Answer::Taken`] or [`Answer::Refused`].
    Submit(Box<Submission>),
    /// Tell about jobs: [`Answer::Jobs`], in the order of their numbers, without what is forgotten or
    /// unknown.
    List(Option<Vec<u64>>),
    /// Tell about jobs, those that are forgotten among them: [`Answer::Jobs`].
    History(Option<Vec<u64>>),
    /// Do something to jobs: [`Answer::Acted`] with a result for each target, in their order.
    Act {
        /// Which.
        targets: Vec<Target>,
        /// Who wants it.
        by: String,
        /// What.
        action: Action,
        /// Carried out only after this time, in the background; the results are those of now.
        after: Duration,
    },
    /// Tell about the cluster: [`Answer::Cluster`].
    Cluster,
    /// End, with all that runs: [`Answer::Cluster`].
    End,
}

/// A job or some of its elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The job.
    pub job: u64,
    /// The indices of its elements; none for the job as a whole.
    pub indices: Option<Vec<u32>>,
}

/// What can be done to jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// End what runs, remove what is pending.
    Kill,
    /// The same with SIGKILL at once, and without waiting for the process's end.
    KillAtOnce,
    /// Send a signal to what runs.
    Signal(i32),
    /// Keep what is pending from being started.
    Hold,
    /// The opposite.
    Release,
    /// Stop what runs, hold what is pending.
    Suspend,
    /// The opposite.
    Resume,
    /// Forget an ended job; another one is killed and forgotten.
    Forget,
}

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The number of the job.
    Taken(u64),
    /// It was not taken.
    Refused(Refusal),
    /// Jobs.
    Jobs(Vec<Job>),
    /// What became of each target.
    Acted(Vec<Result<(), Failure>>),
    /// The options of the cluster.
    Cluster(Box<FakeOptions>),
}

/// Why a job is not taken: what the client prints on standard error, without the name of the program,
/// and how it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The text.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

/// Why nothing is done to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// There is no such job, or none of such elements.
    Unknown,
    /// It has ended.
    Ended,
    /// It belongs to somebody else.
    NotOwner,
    /// It does not run, and only what runs gets signals.
    NotRunning,
}

/// Asks the server of a directory.
///
/// # Errors
/// When it does not listen, or does not answer within a minute.
pub fn call(directory: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(directory.join("s"))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    stream.write_all(&serde_json::to_vec(request)?)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
