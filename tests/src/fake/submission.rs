//! What a job was asked to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::{Millis, Text};

/// A request for a job, read from arguments and directives by the client, completed by
/// [`Rules::admit`](super::Rules::admit).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Submission {
    /// The job's name, without indices.
    pub name: String,
    /// Who sent it.
    pub user: String,
    /// The queue; empty for the default one until it is admitted.
    pub queue: String,
    /// What is run.
    pub body: Body,
    /// Set for an array.
    pub array: Option<Array>,
    /// The slots that each element occupies.
    pub cpus: u32,
    /// The bytes of memory of an element, where asked for.
    pub memory: Option<u64>,
    /// The time limit of an element in seconds.
    pub limit: Option<u64>,
    /// Not to be started before.
    pub not_before: Option<Millis>,
    /// Held by its owner from the start.
    pub held: bool,
    /// What must have happened before it is started.
    pub condition: Option<Condition>,
    /// Where the client was called.
    pub directory: Text,
    /// What the client wants in the job's environment. Not part of listings.
    pub environment: Vec<(Text, Text)>,
    /// Where standard output is asked to go, as written.
    pub stdout: Option<Text>,
    /// Where standard error is asked to go, as written.
    pub stderr: Option<Text>,
    /// What only the dialect knows, by names of its own.
    pub more: BTreeMap<String, Value>,
    /// Why it will never start on this cluster, in the dialect's words; set when it is admitted.
    pub never: Option<String>,
}

/// What a job runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Body {
    /// A script; once it is admitted, its text is in [`Cluster::script`](super::Cluster::script) and
    /// empty here.
    Script(Text),
    /// A program and its arguments.
    Command(Vec<Text>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Script(Text::default())
    }
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// The indices, ascending, none twice.
    pub indices: Vec<u32>,
    /// As it was written, without the limit.
    pub written: String,
    /// How many may run at a time. 0 is taken, and nothing ever runs.
    pub limit: Option<u32>,
}

/// A condition on other jobs. What a word means is the dialect's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Condition {
    /// All of them.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// One on a job.
    On {
        /// The dialect's word: `afterok`, `ended`, …
        word: String,
        /// The job's number.
        job: u64,
        /// Which of its elements.
        which: Which,
        /// Further words of the dialect (an operator and a number, say).
        arguments: Vec<String>,
    },
}

/// Which elements of a job a condition is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// The job as a whole.
    Whole,
    /// These indices.
    Elements(Vec<u32>),
    /// That with the index of the element that waits.
    Same,
}

impl Condition {
    /// Calls `visit` with each condition on a job.
    pub fn each(&self, visit: &mut impl FnMut(&str, u64, &Which)) {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|one| one.each(visit)),
            Self::Not(one) => one.each(visit),
            Self::On {
                word, job, which, ..
            } => visit(word, *job, which),
        }
    }

    /// Whether elements wait each for another one.
    pub fn is_element_wise(&self) -> bool {
        let mut found = false;
        self.each(&mut |_, _, which| found |= *which == Which::Same);
        found
    }
}
