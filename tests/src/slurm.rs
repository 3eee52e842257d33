//! What a real Slurm says about the jobs of a run.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::program::command;

/// One job or array element in Slurm's accounting.
#[derive(Debug, Clone)]
pub struct Job {
    /// The id, of an element with its index: `12_3`.
    pub id: String,
    /// The remark that reflow gave it: `RUN what`.
    pub comment: String,
    /// The state in Slurm's words.
    pub state: String,
    /// Start, in seconds since 1970; none where it never ran.
    pub start: Option<u64>,
    /// End, in seconds since 1970; none where it has not ended.
    pub end: Option<u64>,
}

impl Job {
    /// Returns the id of the submission that it belongs to.
    pub fn submission(&self) -> &str {
        self.id.split('_').next().expect("split gives at least one")
    }
}

/// Runs one of Slurm's commands and returns what it prints.
///
/// # Panics
/// When it cannot be run.
pub fn slurm(program: &str, arguments: &[&str]) -> String {
    let output = command(Path::new(program))
        .args(arguments)
        .env("SLURM_TIME_FORMAT", "%s")
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the jobs whose remark names the run, ended ones included.
pub fn jobs_of(run_id: &str) -> Vec<Job> {
    let text = slurm(
        "sacct",
        &[
            "--allocations",
            "--noheader",
            "--parsable2",
            "--starttime=now-1hours",
            "--format=jobid,state,start,end,comment",
        ],
    );
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(5, '|');
            Some(Job {
                id: fields.next()?.to_owned(),
                state: fields.next()?.to_owned(),
                start: fields.next()?.parse().ok(),
                end: fields.next()?.parse().ok(),
                comment: fields.next()?.to_owned(),
            })
        })
        .filter(|job| job.comment.contains(run_id))
        .collect()
}

/// Returns the ids of the jobs of a run that are in the queue, with their remarks.
pub fn queue_of(run_id: &str) -> Vec<(String, String)> {
    slurm("squeue", &["--noheader", "--format=%A|%T|%k"])
        .lines()
        .filter(|line| line.contains(run_id))
        .filter_map(|line| {
            let (id, rest) = line.split_once('|')?;
            Some((id.to_owned(), rest.to_owned()))
        })
        .collect()
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within two minutes.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
