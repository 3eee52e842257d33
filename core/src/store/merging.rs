//! Many tables of a shelf into one.
//!
//! There are no locks. A merged table has its name from those that it is made of, and appears before they go:
//! two processes that merge the same tables write the same file, and one that is killed leaves what there was,
//! some of it twice.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use super::draft::random;
use super::shelf::{Shelf, unlink};
use super::table::{Merge, Place, Row, Table, TableWriter};
use crate::identity::Digest;

/// How the names of tables begin that others were merged into.
pub(super) const MERGED: &str = "merged-";
/// So many tables of one tier are merged into one of the next, so that a shelf never has more than a few of
/// each tier and a record is written once for each.
const FAN_IN: usize = 8;
const STICKY: u32 = 0o1000;

/// Says which of the records of one key are kept when tables are merged.
pub(crate) type Distinct = dyn Fn(&mut Vec<Row>);
/// Says the same, with the key and the tables.
pub(crate) type Choose<'a> =
    dyn FnMut(&[Arc<Table>], &Digest, &mut Vec<Row>) -> io::Result<()> + 'a;

/// The tier of a table, from its name.
fn tier(name: &str) -> u32 {
    name.strip_prefix(MERGED)
        .and_then(|rest| rest.split('-').next())
        .and_then(|tier| tier.parse().ok())
        .unwrap_or(0)
}

impl Shelf {
    /// Merges tables until no tier has too many. What cannot be read is left where it is, for somebody to look
    /// at.
    pub(crate) fn merge(&self, distinct: &Distinct) -> io::Result<()> {
        let owner = self.only_of()?;
        let mut set_aside: HashSet<String> = HashSet::new();
        let mut missed: HashSet<String> = HashSet::new();
        let mut taken: HashSet<String> = HashSet::new();
        loop {
            let mut names = self.names()?;
            names.retain(|name| {
                !set_aside.contains(name) && owner.is_none_or(|owner| self.is_of(name, owner))
            });
            names.sort_by_cached_key(|name| (tier(name), name.clone()));
            let Some(chosen) = names
                .chunk_by(|a, b| tier(a) == tier(b))
                .find(|same| same.len() >= FAN_IN)
                .map(|same| &same[..FAN_IN])
            else {
                return Ok(());
            };
            let (opened, gone) = self.open_some(chosen);
            for name in gone {
                // One that is listed again and again leads nowhere.
                if !missed.insert(name.clone()) {
                    set_aside.insert(name);
                }
            }
            if opened.tables.len() == FAN_IN {
                let name = merged_name(chosen);
                let is_taken = taken.contains(&name) || self.has(&name);
                let replaced = if is_taken && !chosen.iter().all(|name| self.has(name)) {
                    // Another has merged them, and they go.
                    Ok(true)
                } else if is_taken {
                    // Whether that file is whole, and of the same records, nobody knows: names come again when
                    // something is published again. What is there twice goes with the next merge.
                    self.replace(&opened.tables, &another_name(chosen)?, distinct)
                } else {
                    self.replace(&opened.tables, &name, distinct)
                };
                match replaced {
                    Ok(true) => {}
                    Ok(false) => drop(taken.insert(name)),
                    Err(error) => {
                        let before = set_aside.len();
                        let unreadable = opened.tables.iter().filter(|table| table.is_unreadable());
                        set_aside.extend(unreadable.filter_map(|table| file_name(table.path())));
                        if set_aside.len() == before {
                            return Err(error);
                        }
                    }
                }
            }
            let unreadable = opened.damaged.iter().chain(&opened.others);
            set_aside.extend(unreadable.filter_map(|warning| file_name(&warning.path)));
        }
    }

    /// Puts a table that is called `name` in the place of others, unless there is one; says whether it did.
    fn replace(&self, tables: &[Arc<Table>], name: &str, distinct: &Distinct) -> io::Result<bool> {
        let mut table = TableWriter::create(&self.directory, self.kind)?;
        copy(tables, &mut table, &mut |_, _, rows| {
            distinct(rows);
            Ok(())
        })?;
        if !table.publish(name)? {
            return Ok(false);
        }
        self.settle()?;
        tables.iter().try_for_each(|table| unlink(table.path()))?;
        Ok(true)
    }

    /// Writes anew what `choose` leaves of the records, and returns how many it took out. What is published
    /// meanwhile stays, and so does everything where something fails.
    pub(crate) fn retain(&self, choose: &mut Choose<'_>) -> io::Result<u64> {
        let opened = self.open()?;
        let tables = &opened.tables;
        if tables.is_empty() {
            return Ok(0);
        }
        if self.only_of()?.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "its sticky bit keeps the files of others from being removed",
            ));
        }
        let mut writer = TableWriter::create(&self.directory, self.kind)?;
        let mut gone = 0;
        copy(tables, &mut writer, &mut |tables, key, rows| {
            let before = rows.len();
            choose(tables, key, rows)?;
            gone += (before - rows.len()) as u64;
            Ok(())
        })?;
        if gone == 0 {
            return Ok(0);
        }
        if writer.len() > 0 {
            writer.publish(&retained_name(tables)?)?;
            self.settle()?;
        }
        tables.iter().try_for_each(|table| unlink(table.path()))?;
        Ok(gone)
    }

    /// Has the names in the directory on the disk before others go.
    fn settle(&self) -> io::Result<()> {
        crate::fault::reach("store/settle");
        fs::File::open(&self.directory)?.sync_all()
    }

    /// Returns whether there is anything of that name.
    fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.directory.join(name)).is_ok()
    }

    /// Returns whose tables alone may be removed: in a directory with the sticky bit everybody removes only
    /// what is their own.
    fn only_of(&self) -> io::Result<Option<u32>> {
        let directory = fs::metadata(&self.directory)?;
        let user = rustix::process::geteuid();
        let may_all =
            directory.mode() & STICKY == 0 || user.is_root() || user.as_raw() == directory.uid();
        Ok((!may_all).then(|| user.as_raw()))
    }

    fn is_of(&self, name: &str, owner: u32) -> bool {
        fs::symlink_metadata(self.directory.join(name)).is_ok_and(|file| file.uid() == owner)
    }
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// Parts that records share, each written once, when the first record follows that names it.
#[derive(Debug, Default)]
struct Parts {
    /// By table and place; none where a part is damaged.
    found: HashMap<(usize, Place), Option<usize>>,
    by_content: HashMap<blake3::Hash, usize>,
    /// What they are, and where they were written.
    all: Vec<(Vec<u8>, Option<Place>)>,
}

impl Parts {
    /// Reads what a record shares; false where it is damaged.
    fn read(&mut self, tables: &[Arc<Table>], row: &Row) -> io::Result<bool> {
        let key = (row.table, row.shared);
        if row.shared == Place::NONE {
            return Ok(true);
        }
        if let Some(found) = self.found.get(&key) {
            return Ok(found.is_some());
        }
        let number = tables[row.table].shared(row.shared)?.map(|part| {
            let all = &mut self.all;
            *self
                .by_content
                .entry(blake3::hash(&part))
                .or_insert_with(|| {
                    all.push((part, None));
                    all.len() - 1
                })
        });
        self.found.insert(key, number);
        Ok(number.is_some())
    }

    /// Returns the place of what a record shares, which was read, in another table.
    fn write(&mut self, row: &Row, to: &mut TableWriter) -> io::Result<Place> {
        let Some(Some(number)) = self.found.get(&(row.table, row.shared)) else {
            return Ok(Place::NONE);
        };
        let (part, place) = &mut self.all[*number];
        match place {
            Some(place) => Ok(*place),
            None => Ok(*place.insert(to.share(part)?)),
        }
    }
}

/// Copies the records of tables into another; `choose` says which of one key. Those of which what they share
/// is damaged cannot be understood and are left out before.
fn copy(tables: &[Arc<Table>], to: &mut TableWriter, choose: &mut Choose<'_>) -> io::Result<()> {
    let mut parts = Parts::default();
    let mut merge = Merge::new(tables);
    while let Some((key, rows)) = merge.next()? {
        let mut sound = Vec::with_capacity(rows.len());
        for row in rows {
            if parts.read(tables, &row)? {
                sound.push(row);
            }
        }
        choose(tables, &key, &mut sound)?;
        for row in sound {
            let place = parts.write(&row, to)?;
            to.push(&key, place, &row.payload)?;
        }
    }
    Ok(())
}

/// The name of what tables are merged into: the same, whoever does it.
fn merged_name(names: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for name in names {
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
    }
    let digest = hasher.finalize().to_hex();
    format!("{MERGED}{}-{}", next_tier(names), &digest[..32])
}

/// A name for the same that nobody else has.
fn another_name(names: &[String]) -> io::Result<String> {
    Ok(format!("{MERGED}{}-{}", next_tier(names), random()?))
}

fn next_tier(names: &[String]) -> u32 {
    let highest = names.iter().map(|name| tier(name)).max().unwrap_or(0);
    highest.saturating_add(1)
}

/// A name for what is left of tables, of their highest tier.
fn retained_name(tables: &[Arc<Table>]) -> io::Result<String> {
    let names = tables.iter().filter_map(|table| file_name(table.path()));
    let tier = names.map(|name| tier(&name)).max().unwrap_or(0).max(1);
    Ok(format!("{MERGED}{tier}-{}", random()?))
}

#[cfg(test)]
mod tests;
