use std::io;

use super::declared::declarations;
use super::earlier::{Earlier, earlier, nearest};
use super::facts::{Facts, Results, Stored};
use super::inputs::ItemDifference;
use super::not_taken::why_not_taken;
use super::{ElementExplanation, Explanation, Origin, Reason, TaskExplanation};
use crate::cache::UserFiles;
use crate::engine::view::View;
use crate::engine::{ElementState, EngineError, State};
use crate::rundir::RunDir;
use crate::store::Catalogue;
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
    let near = match nearest(runs, facts, task, &given, &ran) {
        Ok(near) => near,
        Err(unreadable) => {
            explained.reasons.push(match unreadable {
                Some(run) => Reason::NotKept {
                    run,
                    why: "what it was given cannot be read there".to_owned(),
                },
                None => Reason::FirstRun,
            });
            return Ok(explained);
        }
    };
    explained.compared_with = Some(runs[near.run].dir.record().run_id.clone());
    let mut before = runs[near.run].facts()?;
    let ran = ran.into_iter().map(|index| (index, near.inputs.of(index)));
    let ran: Vec<(u32, ItemDifference)> = ran.collect();
    let pairs = ran.iter().map(|(index, difference)| match difference {
        ItemDifference::Peer(peer) => (*peer, *index),
        ItemDifference::Reasons(_) => (*index, *index),
    });
    let declared = declarations(&before, near.task, facts, task, pairs);
    explained.reasons.extend(declared.all);
    explained.reasons.extend(near.reasons.iter().cloned());
    explained.reasons.extend(near.inputs.whole.iter().cloned());
    for ((index, difference), mut reasons) in ran.into_iter().zip(declared.each) {
        match difference {
            ItemDifference::Reasons(others) => reasons.extend(others),
            ItemDifference::Peer(peer) if explained.reasons.is_empty() && reasons.is_empty() => {
                reasons.push(why_not_taken(choices, &mut before, near.task, peer));
            }
            ItemDifference::Peer(_) => {}
        }
        explained.elements[index as usize].reasons = reasons;
    }
    Ok(explained)
}
