//! Earlier runs of the same workflow, and which of them a task differs least from.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::facts::{Facts, Stored};
use super::inputs::{Given, InputDifferences, differences};
use super::{Reason, parts};
use crate::cache::UserFiles;
use crate::engine::State;
use crate::id::RunId;
use crate::rundir::RunDir;
use crate::store::Catalogue;
use crate::workflow::{Graph, TaskIndex};

/// Most earlier runs that are compared with.
const MOST: usize = 20;

/// An earlier run. Its state is read when a task of it is compared with.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) dir: RunDir,
    graph: Graph,
    files: UserFiles,
    state: Option<State>,
    results: Stored,
}

/// A task of an earlier run, and what differs.
#[derive(Debug)]
pub(super) struct Nearest {
    /// The position of the run.
    pub(super) run: usize,
    pub(super) task: TaskIndex,
    pub(super) reasons: Vec<Reason>,
    pub(super) inputs: InputDifferences,
}

/// Returns the newest earlier runs of a workflow that can be read, the newest first. `before` is the run
/// that is explained, where it was submitted.
pub(super) fn earlier(catalogue: &Catalogue, run: &RunDir, is_submitted: bool) -> Vec<Earlier> {
    let listing = match catalogue.list() {
        Ok(listing) => listing,
        Err(error) => {
            tracing::warn!(%error, "earlier runs are not known");
            return Vec::new();
        }
    };
    let record = run.record();
    let founded = is_submitted.then(|| (record.created.clone(), founded(run.path())));
    let entries = listing.entries.iter().filter(|entry| {
        entry.workflow == record.description.name
            && entry.run_id != record.run_id
            && (!is_submitted || entry.created <= record.created)
    });
    let mut runs: Vec<((String, Option<SystemTime>), Earlier)> = Vec::new();
    for entry in entries {
        // Times of the catalogue are in seconds: of these, the files of the runs tell which was first.
        let is_settled = runs.last().is_some_and(|(key, _)| key.0 > entry.created);
        if runs.len() >= MOST && is_settled {
            break;
        }
        let key = (entry.created.clone(), self::founded(&entry.run_dir));
        if founded.as_ref().is_none_or(|own| key < *own)
            && let Some(earlier) = open(&entry.run_dir, &entry.run_id)
        {
            runs.push((key, earlier));
        }
    }
    runs.sort_by(|a, b| b.0.cmp(&a.0));
    runs.truncate(MOST);
    runs.into_iter().map(|(_, earlier)| earlier).collect()
}

/// Returns when the record of a run was written.
fn founded(run_dir: &Path) -> Option<SystemTime> {
    let file = fs_err::metadata(run_dir.join(".reflow/run.json")).ok()?;
    file.modified().ok()
}

/// Opens an earlier run, unless it cannot be read, or could not have kept anything.
fn open(path: &Path, id: &RunId) -> Option<Earlier> {
    let dir = RunDir::open(path).ok()?;
    if dir.record().run_id != *id || dir.record().cache.store.is_none() {
        return None;
    }
    Some(Earlier {
        graph: Graph::check(dir.record().description.clone()).ok()?,
        files: UserFiles::of(&dir).ok()?,
        results: Stored::of(&dir),
        state: None,
        dir,
    })
}

impl Earlier {
    /// Returns what is known of the run.
    pub(super) fn facts(&mut self) -> io::Result<Facts<'_>> {
        if self.state.is_none() {
            self.state = Some(State::read(&self.dir, &self.graph)?);
        }
        Ok(Facts {
            dir: &self.dir,
            graph: &self.graph,
            state: self.state.get_or_insert_with(|| State::new(&self.graph)),
            files: &self.files,
            results: &mut self.results,
        })
    }
}

/// Returns the earlier run that `elements` of a task differ least from, the newest of these.
pub(super) fn nearest(
    runs: &mut [Earlier],
    now: &Facts<'_>,
    task: TaskIndex,
    given: &[Given],
    elements: &[u32],
) -> Option<Nearest> {
    let mut candidates = Vec::new();
    for (position, run) in runs.iter_mut().enumerate() {
        let Ok(facts) = run.facts() else {
            continue;
        };
        let Some(like) = facts.task_like(now.graph, task) else {
            continue;
        };
        // What never came to have elements says nothing.
        if facts.width(like).is_some() {
            let reasons = parts::differences(facts.side(like), now.side(task));
            candidates.push((reasons, position, like));
        }
    }
    candidates.sort_by_key(|(reasons, position, _)| (reasons.len(), *position));
    let mut best: Option<(usize, Nearest)> = None;
    for (reasons, position, like) in candidates {
        if best
            .as_ref()
            .is_some_and(|(parts, _)| *parts < reasons.len())
        {
            break;
        }
        let old = runs[position]
            .facts()
            .and_then(|mut facts| facts.given(like));
        let Ok(old) = old else {
            continue;
        };
        let inputs = differences(&old, given.to_vec());
        let parts = reasons.len() + inputs.parts(elements.iter().copied());
        let is_better = match &best {
            Some((least, nearest)) => (parts, position) < (*least, nearest.run),
            None => true,
        };
        if is_better {
            let nearest = Nearest {
                run: position,
                task: like,
                reasons,
                inputs,
            };
            best = Some((parts, nearest));
        }
    }
    best.map(|(_, nearest)| nearest)
}
