//! What differs in the declaration of a task, by which its elements ran.

use std::collections::HashMap;

use super::facts::Facts;
use super::{Reason, parts};
use crate::rundir::SubmissionFile;
use crate::workflow::{TaskDescription, TaskIndex};

/// What differs in declarations.
#[derive(Debug)]
pub(super) struct Declarations {
    /// For all elements.
    pub(super) all: Vec<Reason>,
    /// For each element, besides.
    pub(super) each: Vec<Vec<Reason>>,
}

/// Compares the declarations by which elements ran: those of before and now, in pairs. Of a run that was
/// updated, some ran by one that was given later.
pub(super) fn declarations(
    before: &Facts<'_>,
    before_task: TaskIndex,
    now: &Facts<'_>,
    now_task: TaskIndex,
    pairs: impl Iterator<Item = (u32, u32)>,
) -> Declarations {
    let mut old = Versions::new(before, before_task);
    let mut new = Versions::new(now, now_task);
    let mut known: HashMap<(Option<u32>, Option<u32>), Vec<Reason>> = HashMap::new();
    let mut each = Vec::new();
    for (before, now) in pairs {
        let key = (old.submission(before), new.submission(now));
        let differ = known
            .entry(key)
            .or_insert_with(|| parts::declarations(old.of(key.0), new.of(key.1)));
        each.push(differ.clone());
    }
    let mut all = match each.first() {
        Some(first) => first.clone(),
        None => parts::declarations(old.of(None), new.of(None)),
    };
    all.retain(|reason| known.values().all(|differ| differ.contains(reason)));
    for own in &mut each {
        own.retain(|reason| !all.contains(reason));
    }
    Declarations { all, each }
}

/// The declarations of a task by which its elements ran.
struct Versions<'a, 'b> {
    facts: &'a Facts<'b>,
    task: TaskIndex,
    read: HashMap<u32, Option<TaskDescription>>,
}

impl<'a, 'b> Versions<'a, 'b> {
    fn new(facts: &'a Facts<'b>, task: TaskIndex) -> Self {
        Self {
            facts,
            task,
            read: HashMap::new(),
        }
    }

    /// Returns the submission that tells by which declaration an element ran, where that need not be the
    /// newest.
    fn submission(&self, element: u32) -> Option<u32> {
        let elements = &self.facts.state.task(self.task).elements;
        let entry = elements.get(element as usize)?;
        (self.facts.dir.updates() > 0 && entry.attempt > 0).then_some(entry.submission)
    }

    fn of(&mut self, submission: Option<u32>) -> &TaskDescription {
        let newest = self.facts.graph.declared(self.task);
        let Some(submission) = submission else {
            return newest;
        };
        let read = self.read.entry(submission).or_insert_with(|| {
            let state = self.facts.state;
            let all = state.task(self.task).submissions.iter();
            // What was taken from an earlier run was never sent. What is looked up is, where it is not found,
            // sent with what is sent next.
            all.filter(|later| **later >= submission).find_map(|later| {
                let tag = &state.submission(*later).record.tag;
                let file = SubmissionFile::open(&self.facts.dir.submission(tag)).ok()?;
                Some(file.header.description)
            })
        });
        read.as_ref().unwrap_or(newest)
    }
}
