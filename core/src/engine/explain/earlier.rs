//! Earlier runs of the same workflow, and which of them a task differs least from.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::Reason;
use super::facts::{Facts, Stored};
use super::inputs::{Given, InputDifferences, differences};
use super::parts::{self, TaskSide};
use crate::cache::UserFiles;
use crate::engine::State;
use crate::id::RunId;
use crate::rundir::RunDir;
use crate::store::Catalogue;
use crate::workflow::{Graph, TaskIndex};

/// Most earlier runs that are compared with.
const MOST: usize = 20;

/// Most of them whose results are read for one task: those whose declaration and parameters differ least.
const MOST_READ: usize = 4;

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
    /// Of the return type and the parameters.
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
    /// Returns the task that is the same as one of another workflow, as far as it is known without its state.
    fn side_like(&self, graph: &Graph, task: TaskIndex) -> Option<TaskSide<'_>> {
        Some(TaskSide {
            graph: &self.graph,
            task: task_like(&self.graph, graph, task)?,
            parameters: &self.dir.record().parameters,
            files: &self.files,
        })
    }

    /// Returns what the elements of a task were given, where it came to have any.
    fn given(&mut self, task: TaskIndex) -> io::Result<Option<Vec<Given>>> {
        tracing::debug!(run = %self.dir.record().run_id, "an earlier run is read");
        let mut facts = self.facts()?;
        let has_elements = facts.width(task).is_some();
        has_elements.then(|| facts.given(task)).transpose()
    }

    /// Frees what was read of the run.
    fn forget(&mut self) {
        self.state = None;
        self.results = Stored::of(&self.dir);
    }

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

/// Returns the earlier run that `elements` of a task differ least from, the newest of these; or, where there
/// is none, the newest that could not be read.
pub(super) fn nearest(
    runs: &mut [Earlier],
    now: &Facts<'_>,
    task: TaskIndex,
    given: &[Given],
    elements: &[u32],
) -> Result<Nearest, Option<RunId>> {
    let mut candidates = Vec::new();
    for (position, run) in runs.iter().enumerate() {
        let Some(side) = run.side_like(now.graph, task) else {
            continue;
        };
        let declared = parts::declarations(side.declared(), now.side(task).declared());
        let reasons = parts::differences(side, now.side(task));
        candidates.push((declared.len() + reasons.len(), position, side.task, reasons));
    }
    candidates.sort_by_key(|(parts, position, ..)| (*parts, *position));
    let mut best: Option<(usize, Nearest)> = None;
    let mut unreadable = None;
    let mut read = 0;
    for (own, position, like, reasons) in candidates {
        // Reading a run takes longer than all else here.
        let is_worse = |(least, nearest): &(usize, Nearest)| {
            read >= MOST_READ || (own, position) >= (*least, nearest.run)
        };
        if best.as_ref().is_some_and(is_worse) {
            continue;
        }
        let inputs = match runs[position].given(like) {
            Ok(Some(old)) => differences(&old, given.to_vec()),
            // What never came to have elements says nothing.
            Ok(None) => continue,
            Err(error) => {
                let run = runs[position].dir.record().run_id.clone();
                tracing::debug!(%run, %error, "an earlier run cannot be read");
                unreadable = unreadable.or(Some(run));
                continue;
            }
        };
        read += 1;
        let parts = own + inputs.parts(elements.iter().copied());
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
    let best = best.map(|(_, nearest)| nearest);
    for (position, run) in runs.iter_mut().enumerate() {
        if best.as_ref().is_none_or(|best| best.run != position) {
            run.forget();
        }
    }
    best.ok_or(unreadable)
}

/// Returns the task of a workflow that is the same as one of another: of that name, or of that name in a flow of
/// the same name.
fn task_like(workflow: &Graph, other: &Graph, task: TaskIndex) -> Option<TaskIndex> {
    let wanted = other.declared(task);
    workflow.find(wanted.name.as_str()).or_else(|| {
        let mut tasks = (0..workflow.len() as u32).map(TaskIndex);
        tasks.find(|task| {
            let declared = workflow.declared(*task);
            declared.own_name() == wanted.own_name() && declared.flow == wanted.flow
        })
    })
}
