use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use fs_err as fs;

use super::publish::{entry_of, made_ms, origin_of};
use crate::id::Tag;
use crate::identity::Digest;
use crate::results::SpoolFrame;
use crate::rundir::{RunDir, SubmissionFile, SubmissionHeader};
use crate::segment::Pack;
use crate::store::cache::{Cache, CacheEntry};
use crate::store::random;

/// What came of publishing again what a run holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Results that were published.
    pub published: u64,
    /// Results that the store had already.
    pub known: u64,
    /// What could not be read, and what it costs.
    pub warnings: Vec<String>,
}

/// Publishes everything again that a run holds and that was published when it ran: what is in its packs. A
/// store that has it already stays as it is.
///
/// What is damaged in the run directory is left out, and told.
///
/// # Errors
/// Where the store cannot be read or written, or the run directory cannot be listed.
pub fn rebuild(dir: &RunDir, store: &Path) -> io::Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    if dir.record().cache.store.is_none() {
        return Ok(rebuilt);
    }
    let mut packs: BTreeMap<Tag, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir(dir.inside("packs"))? {
        let name = entry?.file_name();
        let parts = name.to_str().and_then(|name| name.rsplit_once('.'));
        let Some((tag, number)) = parts else {
            continue;
        };
        if let (Ok(tag), Ok(number)) = (Tag::new(tag), number.parse()) {
            packs.entry(tag).or_default().push(number);
        }
    }
    let cache = Cache::new(store);
    for (tag, mut numbers) in packs {
        numbers.sort_unstable();
        let header = match SubmissionFile::open(&dir.submission(&tag)) {
            Ok(file) => file.header,
            // What was taken from earlier runs has packs and no file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                rebuilt.warnings.push(left_out(dir, &error));
                continue;
            }
        };
        if !header.description.cache.enabled {
            continue;
        }
        for number in numbers {
            match of_pack(dir, &header, number, &mut rebuilt.warnings) {
                Ok(entries) => publish(&cache, dir, &header, number, entries, &mut rebuilt)?,
                Err(error) => rebuilt.warnings.push(left_out(dir, &error)),
            }
        }
    }
    Ok(rebuilt)
}

fn left_out(dir: &RunDir, error: &io::Error) -> String {
    let run = &dir.record().run_id;
    format!("results of {run} are left out: {error}; the tasks are run again when they are needed")
}

/// Returns what of a pack is to be remembered.
fn of_pack(
    dir: &RunDir,
    header: &SubmissionHeader,
    number: u32,
    warnings: &mut Vec<String>,
) -> io::Result<Vec<(Digest, CacheEntry)>> {
    let pack = Pack::open(&dir.pack(&header.tag, number))?;
    let made = made_ms(dir, &header.tag, number)?;
    let declared = &header.description;
    let run_dir = dir.path().to_str().unwrap_or_default();
    let forced = dir.record().cache.force.contains(&declared.name);
    let records = pack.records()?;
    if records.len() < pack.len() {
        let damaged = io::Error::other(format!(
            "`{}` is damaged",
            dir.pack(&header.tag, number).display()
        ));
        warnings.push(left_out(dir, &damaged));
    }
    let mut entries = Vec::with_capacity(records.len());
    for (_, payload) in records {
        let Ok(SpoolFrame::End(result)) = serde_json::from_slice(&payload) else {
            continue;
        };
        let entry = entry_of(
            &result,
            &header.tag,
            &declared.returns,
            run_dir,
            made,
            forced,
        );
        match entry {
            Ok(entry) => entries.extend(entry),
            Err(error) => warnings.push(left_out(dir, &error)),
        }
    }
    Ok(entries)
}

fn publish(
    cache: &Cache,
    dir: &RunDir,
    header: &SubmissionHeader,
    number: u32,
    mut entries: Vec<(Digest, CacheEntry)>,
    rebuilt: &mut Rebuilt,
) -> io::Result<()> {
    let task = header.description.own_name();
    let identities: Vec<Digest> = entries.iter().map(|(identity, _)| *identity).collect();
    let stored = cache.open(task).map_err(io::Error::other)?;
    let found = stored.find_many(&identities)?;
    // Of equal items, the store has one.
    let known: HashSet<Digest> = identities
        .iter()
        .zip(found)
        .filter(|(_, found)| found.iter().any(|it| it.entry.tag == header.tag))
        .map(|(identity, _)| *identity)
        .collect();
    entries.retain(|(identity, _)| !known.contains(identity));
    rebuilt.known += known.len() as u64;
    if entries.is_empty() {
        return Ok(());
    }
    let new: HashSet<Digest> = entries.iter().map(|(identity, _)| *identity).collect();
    let origin = origin_of(dir, &header.workflow, &header.description);
    let publish = |name: &str, entries| cache.publish(task, name, &origin, entries);
    let name = format!("{}-{number}", header.tag);
    let mut is_published = publish(&name, entries.clone()).map_err(io::Error::other)?;
    if !is_published {
        // There is a file of that name, and it cannot be read: what it had goes into another.
        let name = format!("{name}-{}", random()?);
        is_published = publish(&name, entries).map_err(io::Error::other)?;
    }
    if is_published {
        rebuilt.published += new.len() as u64;
    }
    Ok(())
}
