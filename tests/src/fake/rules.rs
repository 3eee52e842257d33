//! What differs between batch systems.

use std::ffi::OsString;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cluster::Cluster;
use super::job::{Cause, How, Job};
use super::submission::Submission;
use super::text::Text;
use super::wire::Refusal;

/// The rules of a batch system. They run in the server, and decide from the cluster as it is.
pub trait Rules: Debug {
    /// Returns the number of the first job.
    fn first_number(&self) -> u64;

    /// Takes or refuses a job that will have `number`, and completes it: queue, limits, whether it can
    /// ever run. A refused one uses its number up all the same.
    fn admit(
        &self,
        cluster: &Cluster,
        number: u64,
        submission: &mut Submission,
    ) -> Result<(), Refusal>;

    /// Says what the dependencies of a job mean for the job as a whole. Asked when it is taken, and
    /// whenever anything in the queue has changed while it waits.
    fn verdict(&self, cluster: &Cluster, job: &Job) -> Verdict;

    /// Says what they mean for one element that waits, where the condition is element-wise
    /// ([`Condition::is_element_wise`](super::Condition::is_element_wise)) and the job as a whole is
    /// released.
    fn element_verdict(&self, cluster: &Cluster, job: &Job, position: usize) -> Verdict {
        let _ = (cluster, job, position);
        Verdict::Release
    }

    /// Says how an element is started. An error is how it has ended at once; its output files are
    /// delivered then too.
    fn launch(&self, cluster: &Cluster, job: &Job, position: usize) -> Result<Launch, How>;

    /// Returns the bytes that an element may occupy, where the batch system ends what occupies more.
    fn memory_limit(&self, cluster: &Cluster, job: &Job) -> Option<u64> {
        let _ = (cluster, job);
        None
    }

    /// Returns the signals that end a running element.
    fn stop(&self, cluster: &Cluster, cause: &Cause) -> Vec<Step>;

    /// Returns what the batch system writes into the output of an element whose time is over, and into
    /// which file.
    fn last_words(
        &self,
        cluster: &Cluster,
        job: &Job,
        position: usize,
    ) -> Option<(PathBuf, String)> {
        let _ = (cluster, job, position);
        None
    }

    /// Puts the output of an ended element where it belongs. Called again until it says `Done`; `given_up`
    /// is set the last time, when [`deliver_for`](super::FakeOptions::deliver_for) is over.
    fn deliver(&self, cluster: &Cluster, job: &Job, position: usize, given_up: bool) -> Delivered;
}

/// What dependencies mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can be started.
    Release,
    /// Not yet.
    Wait,
    /// Never; it stays in the queue.
    Never,
    /// Never; the batch system removes it.
    Remove,
}

/// How an element is started: as the leader of a session, with exactly this environment.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(Text, Text)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Which bits its files never have.
    pub umask: u32,
    /// What it reads; none is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Where its standard output goes; the file is made anew.
    pub stdout: PathBuf,
    /// Where its standard error goes; none: together with standard output.
    pub stderr: Option<PathBuf>,
}

/// A signal on the way to the end of an element.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// How long after the decision.
    pub after: Duration,
    /// The signal's number.
    pub signal: i32,
}

/// What became of an attempt to deliver output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// All is where it belongs.
    Done,
    /// It is tried again later.
    Later,
    /// It was given up.
    Undelivered,
}

impl Cluster {
    /// Returns where the script of a job is kept.
    pub fn script(&self, number: u64) -> PathBuf {
        self.directory.join("jobs").join(format!("{number}.SC"))
    }

    /// Returns a path for the spooled output of an element; `kind` tells its files apart.
    pub fn spool(&self, job: &Job, position: usize, kind: &str) -> PathBuf {
        let index = job.elements[position]
            .index
            .map_or_else(String::new, |index| format!(".{index}"));
        self.directory
            .join("spool")
            .join(format!("{}{index}.{kind}", job.number))
    }

    /// Returns the home directory of jobs.
    pub fn home(&self) -> PathBuf {
        self.options
            .home
            .clone()
            .unwrap_or_else(|| self.directory.join("home"))
    }

    /// Returns the fake's own directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
