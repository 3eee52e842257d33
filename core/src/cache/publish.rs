use std::io;

use serde_json::value::RawValue;

use crate::id::{Tag, WorkflowName};
use crate::identity::Digest;
use crate::results::{Outcome, ResultRecord};
use crate::rundir::{RunDir, ValueRef};
use crate::store::cache::{CacheEntry, Origin};
use crate::workflow::{TaskDescription, Type};

/// Returns what is remembered of a result, with its identity, if anything is. Paths in the run directory
/// are kept relative to it.
pub(crate) fn entry_of(
    result: &ResultRecord,
    tag: &Tag,
    returns: &Type,
    run_dir: &str,
    made_ms: u64,
    forced: bool,
) -> io::Result<Option<(Digest, CacheEntry)>> {
    let (Outcome::Succeeded, None, Some(identity), Some(value), Some(digests)) = (
        result.outcome,
        &result.unfit,
        result.identity,
        &result.value,
        &result.digests,
    ) else {
        return Ok(None);
    };
    let value = match value {
        ValueRef::Inline { json, items } if returns.has_paths() => {
            let mut value: serde_json::Value = serde_json::from_str(json.get())?;
            returns.make_relative(&mut value, run_dir);
            ValueRef::Inline {
                json: RawValue::from_string(value.to_string())?,
                items: *items,
            }
        }
        value => value.clone(),
    };
    let entry = CacheEntry {
        value,
        digests: digests.clone(),
        made_ms,
        forced,
        element: result.element,
        tag: tag.clone(),
    };
    Ok(Some((identity, entry)))
}

/// Returns when a pack was made: when its file was written. The same now and later.
pub(crate) fn made_ms(dir: &RunDir, tag: &Tag, pack: u32) -> io::Result<u64> {
    let made = fs_err::metadata(dir.pack(tag, pack))?.modified()?;
    let since = made.duration_since(std::time::UNIX_EPOCH);
    Ok(since.map_or(0, |since| since.as_millis() as u64))
}

/// Returns the run that publishes results of a task.
pub(crate) fn origin_of(
    dir: &RunDir,
    workflow: &WorkflowName,
    declared: &TaskDescription,
) -> Origin {
    Origin {
        run_id: dir.record().run_id.clone(),
        run_dir: dir.path().to_owned(),
        workflow: workflow.clone(),
        flow: declared.flow.clone(),
        task: declared.name.clone(),
    }
}
