use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::earlier::{Earlier, Nearest, earlier, nearest};
use super::facts::{Facts, Results, Stored};
use super::inputs::ItemDifference;
use super::{ElementExplanation, Explanation, Origin, Reason, TaskExplanation};
use crate::cache::{UserFiles, is_as_noted};
use crate::content::Signature;
use crate::engine::view::View;
use crate::engine::{ElementState, EngineError, State};
use crate::rundir::{CacheChoices, RunDir, Verify};
use crate::store::Catalogue;
use crate::store::cache::Cache;
use crate::workflow::{Graph, TaskIndex};

/// Explains the elements of a run, or of one task: whether each was taken from an earlier run or ran, and
/// why, by comparing with the earlier run of the same workflow that differs least. Earlier runs are those in
/// `catalogue`; without one nothing is compared.
///
/// Nothing is stored for this: all is read from the run directories. Linear in elements.
///
/// # Errors
///
/// [`EngineError::NotFound`] where there is no such task; otherwise where the run cannot be read. Earlier
/// runs that cannot be read are passed over.
pub fn explain(
    dir: &RunDir,
    catalogue: Option<&Catalogue>,
    task: Option<&str>,
) -> Result<Explanation, EngineError> {
    let view = View::read(dir)?;
    let only = task.map(|name| view.task(name)).transpose()?;
    let mut runs = catalogue.map_or_else(Vec::new, |catalogue| earlier(catalogue, dir, true));
    let files = UserFiles::of(dir)?;
    let mut results = Stored::of(dir);
    let mut facts = Facts {
        dir,
        graph: &view.graph,
        state: &view.state,
        files: &files,
        results: &mut results,
    };
    Ok(all(&mut facts, &mut runs, only)?)
}

/// Explains a run that is only imagined: what would be taken, and why the rest would run. `state` is what
/// the plan comes to, `results` knows what would be taken.
pub(in crate::engine) fn explain_imagined(
    dir: &RunDir,
    graph: &Graph,
    state: &State,
    files: &UserFiles,
    results: &mut dyn Results,
    catalogue: Option<&Catalogue>,
) -> io::Result<Explanation> {
    let mut runs = catalogue.map_or_else(Vec::new, |catalogue| earlier(catalogue, dir, false));
    let mut facts = Facts {
        dir,
        graph,
        state,
        files,
        results,
    };
    all(&mut facts, &mut runs, None)
}

fn all(
    facts: &mut Facts<'_>,
    runs: &mut [Earlier],
    only: Option<TaskIndex>,
) -> io::Result<Explanation> {
    let order = facts.graph.order().iter().copied();
    let tasks = order.filter(|task| only.is_none_or(|only| only == *task));
    let tasks: io::Result<_> = tasks.map(|task| one(facts, runs, task)).collect();
    Ok(Explanation {
        run: facts.dir.record().run_id.clone(),
        tasks: tasks?,
    })
}

fn one(
    facts: &mut Facts<'_>,
    runs: &mut [Earlier],
    task: TaskIndex,
) -> io::Result<TaskExplanation> {
    let mut explained = TaskExplanation {
        task: facts.name(task),
        array: facts.graph.is_array(task),
        width: facts.width(task),
        compared_with: None,
        reasons: Vec::new(),
        elements: Vec::new(),
    };
    let mut ran = Vec::new();
    for (index, entry) in (0..).zip(&facts.state.task(task).elements) {
        let mut taken = None;
        match entry.state {
            ElementState::Cached => {
                let found = facts.results.result(facts.state, task, index)?;
                taken = found
                    .and_then(|(result, _)| result.taken)
                    .map(|taken| Origin {
                        run: taken.run,
                        element: taken.element,
                    });
            }
            // These would not have been taken, whatever is remembered.
            ElementState::Skipped | ElementState::Cancelled => {}
            _ => ran.push(index),
        }
        explained.elements.push(ElementExplanation {
            index,
            state: entry.state,
            taken,
            reasons: Vec::new(),
        });
    }
    if ran.is_empty() && explained.width.is_some() {
        return Ok(explained);
    }
    let declared = facts.graph.declared(task);
    let choices = &facts.dir.record().cache;
    let chosen = if !declared.cache.enabled {
        Some(Reason::CachingOff)
    } else if choices.store.is_none() {
        Some(Reason::NoStore)
    } else if choices.force.contains(&declared.name) {
        Some(Reason::Forced)
    } else {
        None
    };
    if let Some(reason) = chosen {
        explained.reasons.push(reason);
        return Ok(explained);
    }
    let given = facts.given(task)?;
    let Some(near) = nearest(runs, facts, task, &given, &ran) else {
        explained.reasons.push(Reason::FirstRun);
        return Ok(explained);
    };
    explained.compared_with = Some(runs[near.run].dir.record().run_id.clone());
    explained.reasons.extend(near.reasons.iter().cloned());
    explained.reasons.extend(near.inputs.whole.iter().cloned());
    let is_all_the_same = explained.reasons.is_empty();
    let mut before = runs[near.run].facts()?;
    for index in ran {
        let reasons = match near.inputs.of(index) {
            ItemDifference::Reasons(reasons) => reasons,
            ItemDifference::Peer(peer) if is_all_the_same => {
                vec![why_not_taken(choices, &mut before, &near, peer)?]
            }
            ItemDifference::Peer(_) => Vec::new(),
        };
        explained.elements[index as usize].reasons = reasons;
    }
    Ok(explained)
}

/// Returns why the result of an element that was given the same was not taken by a run with these choices.
fn why_not_taken(
    choices: &CacheChoices,
    before: &mut Facts<'_>,
    near: &Nearest,
    element: u32,
) -> io::Result<Reason> {
    let run = before.dir.record().run_id.clone();
    let not_kept = |why: &str| {
        Ok(Reason::NotKept {
            run: run.clone(),
            why: why.to_owned(),
        })
    };
    let declared = before.graph.declared(near.task);
    let entry = before.state.task(near.task).elements.get(element as usize);
    match entry.map(|entry| entry.state) {
        Some(ElementState::Succeeded | ElementState::Cached) => {}
        Some(ElementState::Failed) => return not_kept("it failed there"),
        Some(ElementState::Lost) => return not_kept("it was lost there"),
        Some(ElementState::Cancelled) => return not_kept("it was cancelled there"),
        Some(ElementState::Skipped) => return not_kept("it was skipped there"),
        Some(ElementState::Waiting | ElementState::Queued | ElementState::Running) => {
            return not_kept("it has not ended there");
        }
        None => return not_kept("there is no such element there"),
    }
    if !declared.cache.enabled {
        return not_kept("caching was off there");
    }
    let found = before.results.result(before.state, near.task, element)?;
    let Some((result, values)) = found else {
        return not_kept("its result is missing there");
    };
    if let Some(why) = &result.unfit {
        return not_kept(why);
    }
    let Some(identity) = result.identity else {
        return not_kept("it has no identity there");
    };
    let is_verified = choices.verify == Verify::Content;
    if let Some(value) = &result.value
        && declared.returns.has_paths()
    {
        let value: Value = serde_json::from_str(&values.read(value)?)?;
        let mut gone: Option<PathBuf> = None;
        declared.returns.paths(&value, &mut |_, path| {
            if gone.is_none() && !Path::new(path).exists() {
                gone = Some(path.into());
            }
        });
        if let Some(path) = gone {
            return Ok(Reason::OutputDeleted { run, path });
        }
        if let (true, Some(digests)) = (is_verified, &result.digests) {
            let notes = digests.notes(&values)?;
            let mut files = declared.returns.files(&value).into_iter().zip(notes);
            let changed = files.find(|(path, note)| {
                let now = Signature::of(Path::new(path)).ok();
                !is_as_noted(path, note, now.as_ref())
            });
            if let Some((path, _)) = changed {
                let path = path.into();
                return Ok(Reason::OutputChanged { run, path });
            }
        }
    }
    let is_stored = || {
        let cache = Cache::new(choices.store.as_deref()?);
        let found = cache.open(declared.own_name()).ok()?.find(&identity).ok()?;
        Some(!found.is_empty())
    };
    if is_verified && declared.verify && is_stored() == Some(true) {
        return Ok(Reason::Refused { run });
    }
    Ok(Reason::NotFound { run })
}
