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
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait_within(Duration::from_mins(2), what, condition);
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within `limit`.
pub fn wait_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns when a run ended, in milliseconds since 1970, or none where it has not: what its journal says,
/// read without the program, which might help a run along that stands still.
pub fn end_of(run_dir: &Path) -> Option<u64> {
    let segments = fs_err::read_dir(run_dir.join(".reflow/journal")).ok()?;
    segments.flatten().find_map(|segment| {
        let bytes = fs_err::read(segment.path()).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let record = text.find(r#""record":{"finished""#)?;
        let at = text[..record].rfind(r#"{"at":"#)?;
        let digits = text[at..].trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.split(',').next()?.parse().ok()
    })
}

/// Waits until a run has ended by itself, and returns when, in milliseconds since 1970.
///
/// # Panics
/// When it has not within `limit`.
pub fn ends_by_itself(run_dir: &Path, limit: Duration) -> u64 {
    let mut end = None;
    wait_within(limit, "the run to end by itself", || {
        end = end_of(run_dir);
        end.is_some()
    });
    end.expect("it was waited for")
}

/// Returns the time in milliseconds since 1970.
pub fn now_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "compared with the times that Slurm and the journal tell"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Prints a figure for the person who runs the tests.
#[expect(
    clippy::print_stdout,
    reason = "figures are part of what these tests are for"
)]
pub fn figure(text: impl std::fmt::Display) {
    println!("    {text}");
}
