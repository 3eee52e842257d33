use std::io;

use serde_json::value::RawValue;

use crate::id::Tag;
use crate::identity::Digest;
use crate::results::{Outcome, ResultRecord};
use crate::rundir::ValueRef;
use crate::store::cache::CacheEntry;
use crate::workflow::Type;

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
