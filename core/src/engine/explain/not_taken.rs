//! Why a result of an earlier run was not taken, although nothing differs.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Reason;
use super::facts::Facts;
use crate::cache::is_as_noted;
use crate::content::Signature;
use crate::engine::ElementState;
use crate::rundir::{CacheChoices, Verify};
use crate::store::cache::Cache;
use crate::workflow::TaskIndex;

/// Returns why the result of an element that was given the same was not taken by a run with these choices.
pub(super) fn why_not_taken(
    choices: &CacheChoices,
    before: &mut Facts<'_>,
    task: TaskIndex,
    element: u32,
) -> Reason {
    let found = find_out(choices, before, task, element);
    found.unwrap_or_else(|error| {
        let run = before.dir.record().run_id.clone();
        tracing::debug!(%run, %error, "a result cannot be read");
        let why = "it cannot be read there".to_owned();
        Reason::NotKept { run, why }
    })
}

fn find_out(
    choices: &CacheChoices,
    before: &mut Facts<'_>,
    task: TaskIndex,
    element: u32,
) -> io::Result<Reason> {
    let run = before.dir.record().run_id.clone();
    let not_kept = |why: &str| {
        Ok(Reason::NotKept {
            run: run.clone(),
            why: why.to_owned(),
        })
    };
    let declared = before.graph.declared(task);
    let entry = before.state.task(task).elements.get(element as usize);
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
    let found = before.results.result(before.state, task, element)?;
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
