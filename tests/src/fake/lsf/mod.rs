//! The dialects of LSF: openlava 2.2 as observed, and IBM Spectrum LSF 10.1 by its documentation.
//!
//! What is quoted was observed on openlava 2.2 (one host `vm`, 16 slots), unless it says "IBM". IBM's own
//! pages are named by their titles in IBM's reference of LSF 10.1. Where a layout is known from neither,
//! it is that of LSF's command reference, which both share.

mod cluster;
mod custom;
mod depend;
mod ends;
mod environment;
mod expression;
mod history;
mod jobs;
mod kill;
mod limits;
mod long;
mod name;
mod options;
mod report;
mod requirement;
mod rules;
mod select;
mod submit;
mod text;
mod words;

use std::io;

pub use options::LsfOptions;

use super::client::Client;
use super::options::Dialect;
use super::rules::Rules;
use super::{Answer, Job};

/// How clients end that have failed: -1.
const FAILED: u8 = 255;

/// The names under which a [`Submission`](super::Submission) keeps what only LSF knows.
mod more {
    /// Why `bsub` itself refused.
    pub(super) const REFUSED: &str = "refused";
    /// The command as listings show it.
    pub(super) const COMMAND: &str = "command";
    /// What `-J` was given.
    pub(super) const NAMED: &str = "named";
    pub(super) const PROJECT: &str = "project";
    /// What `-R` was given.
    pub(super) const REQUIREMENT: &str = "requirement";
    /// What `-M` means, in bytes.
    pub(super) const MEMORY_LIMIT: &str = "memory limit";
    /// What `-w` was given.
    pub(super) const DEPENDENCY: &str = "dependency";
    /// Whether `-ti` was given.
    pub(super) const ORPHAN: &str = "orphan";
    pub(super) const OVERWRITES: &str = "overwrites";
    pub(super) const OVERWRITES_ERRORS: &str = "overwrites errors";
    pub(super) const INPUT: &str = "input";
    /// Where `bsub` was called.
    pub(super) const SENT_FROM: &str = "sent from";
}

/// Returns the rules of the dialect.
pub(super) fn rules(dialect: Dialect) -> Box<dyn Rules> {
    Box::new(rules::LsfRules::new(dialect))
}

/// Runs a client and returns its exit code.
pub(super) fn run(client: &Client) -> u8 {
    match client.name.as_str() {
        "bsub" => submit::bsub(client),
        "bjobs" => jobs::bjobs(client),
        "bkill" => kill::bkill(client),
        "bstop" => kill::bstop(client),
        "bresume" => kill::bresume(client),
        "bhist" => history::bhist(client),
        "bqueues" => cluster::bqueues(client),
        "bhosts" => cluster::bhosts(client),
        "bparams" => cluster::bparams(client),
        "lsid" => cluster::lsid(client),
        other => {
            client.complain(&format!("{other}: not part of the fake"));
            FAILED
        }
    }
}

/// Says that the server cannot be reached, as LSF does.
fn no_answer(client: &Client, answer: &io::Result<Answer>) -> u8 {
    client.complain(&format!("batch system daemon not responding: {answer:?}"));
    FAILED
}

/// Returns text that was kept with a job.
fn kept<'a>(job: &'a Job, name: &str) -> Option<&'a str> {
    job.submission.more.get(name)?.as_str()
}

/// Returns the name of an element, with its index.
fn name_of(job: &Job, position: usize) -> String {
    let name = &job.submission.name;
    match job.elements[position].index {
        Some(index) => format!("{name}[{index}]"),
        None => name.clone(),
    }
}

/// Returns the id of an element: `<5>`, `<43[2]>` without the angles.
fn id_of(job: &Job, position: usize) -> String {
    match job.elements[position].index {
        Some(index) => format!("{}[{index}]", job.number),
        None => job.number.to_string(),
    }
}
