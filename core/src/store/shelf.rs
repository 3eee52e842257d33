use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::directory::make_directory;
use super::draft::{PREFIX, random};
use super::table::{Merge, Place, Row, Table, TableError, TableWriter};
use super::warning::StoreWarning;
use crate::identity::Digest;

/// So many tables of one tier are merged into one of the next, so that a shelf never has more than a few of
/// each tier and a record is written once for each.
const FAN_IN: usize = 8;
/// How often a listing is made again since a file in it has gone, before the others are taken alone.
const LISTINGS: usize = 20;
/// How often a table is written again since its directory has gone.
const WRITINGS: usize = 5;
const MERGED: &str = "merged-";

/// A directory of tables of one kind, each published once and merged from time to time.
///
/// There are no locks. A merged table has its name from those that it is made of, and appears before they
/// go: two processes that merge the same tables write the same file, and one that is killed leaves what
/// there was, some of it twice.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    store: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) kind: &'static str,
}

/// Says which of the records of one key are kept when tables are merged.
pub(crate) type Distinct = dyn Fn(&mut Vec<Row>);

/// The tables of a shelf, and what is no table in it.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) warnings: Vec<StoreWarning>,
    /// Those of the files that are told of which nothing can be read, now or later.
    pub(crate) damaged: Vec<PathBuf>,
}

/// The tier of a table, from its name.
fn tier(name: &str) -> u32 {
    name.strip_prefix(MERGED)
        .and_then(|rest| rest.split('-').next())
        .and_then(|tier| tier.parse().ok())
        .unwrap_or(0)
}

/// Returns whether a table may be published under that name.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && name.len() <= 150
        && !name.starts_with(MERGED)
}

impl Shelf {
    pub(crate) fn new(store: &Path, directory: PathBuf, kind: &'static str) -> Self {
        Self {
            store: store.to_owned(),
            directory,
            kind,
        }
    }

    /// Returns the names of its tables, sorted; none where there is no directory.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let files = match fs::read_dir(&self.directory) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for file in files {
            let name = file?.file_name();
            // Names of ours are plain text; others are not ours to judge.
            names.extend(
                name.into_string()
                    .ok()
                    .filter(|name| !name.starts_with(PREFIX) && !name.starts_with(".nfs")),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens what is there.
    pub(crate) fn open(&self) -> io::Result<Opened> {
        let mut last = Opened::default();
        for _ in 0..LISTINGS {
            let (opened, gone) = self.open_some(&self.names()?);
            last = opened;
            if !gone {
                break;
            }
        }
        Ok(last)
    }

    /// Opens tables by name; says whether one of them has gone.
    fn open_some(&self, names: &[String]) -> (Opened, bool) {
        let mut opened = Opened::default();
        let mut gone = false;
        for name in names {
            let path = self.directory.join(name);
            match Table::open(&path, self.kind) {
                Ok(table) => opened.tables.push(Arc::new(table)),
                Err(TableError::Io(error)) if is_gone(&error) => gone = true,
                Err(error) => {
                    if matches!(error, TableError::Damaged(_)) {
                        opened.damaged.push(path.clone());
                    }
                    opened.warnings.push(StoreWarning::unreadable(path, error));
                }
            }
        }
        (opened, gone)
    }

    /// Publishes a table that `write` fills, as `name`; says whether it did, or one of that name was there.
    /// `write` is called again where the directory went away meanwhile.
    pub(crate) fn publish(
        &self,
        name: &str,
        write: &dyn Fn(&mut TableWriter) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut tries = 0;
        loop {
            let published = (|| {
                make_directory(&self.store, &self.directory)?;
                if self.directory.join(name).exists() {
                    return Ok(false);
                }
                let mut table = TableWriter::create(&self.directory, self.kind)?;
                write(&mut table)?;
                table.publish(name)
            })();
            tries += 1;
            match published {
                Err(error) if error.kind() == ErrorKind::NotFound && tries < WRITINGS => {}
                published => return published,
            }
        }
    }

    /// Merges tables until no tier has too many.
    pub(crate) fn merge(&self, distinct: &Distinct) -> io::Result<()> {
        if !self.may_unlink()? {
            return Ok(());
        }
        let mut names = self.names()?;
        let mut set_aside = Vec::new();
        loop {
            names.retain(|name| !set_aside.contains(name));
            names.sort_by_cached_key(|name| (tier(name), name.clone()));
            let Some(chosen) = names
                .chunk_by(|a, b| tier(a) == tier(b))
                .find(|same| same.len() >= FAN_IN)
                .map(|same| same[..FAN_IN].to_vec())
            else {
                return Ok(());
            };
            let (opened, gone) = self.open_some(&chosen);
            if !gone && opened.tables.len() == FAN_IN {
                self.replace(&opened.tables, &merged_name(&chosen), distinct)?;
            }
            // What cannot be read is left where it is, for somebody to look at.
            set_aside.extend(opened.warnings.iter().filter_map(|warning| {
                let name = warning.path.file_name()?.to_str()?;
                Some(name.to_owned())
            }));
            names = self.names()?;
        }
    }

    /// Puts a table that is called `name` in the place of others.
    fn replace(&self, tables: &[Arc<Table>], name: &str, distinct: &Distinct) -> io::Result<()> {
        if !self.directory.join(name).exists() {
            let mut table = TableWriter::create(&self.directory, self.kind)?;
            copy(tables, &mut table, &mut |_, rows| {
                distinct(rows);
                Ok(())
            })?;
            table.publish(name)?;
        }
        self.settle()?;
        for table in tables {
            unlink(table.path())?;
        }
        Ok(())
    }

    /// Has the names in the directory on the disk before others go.
    pub(crate) fn settle(&self) -> io::Result<()> {
        crate::fault::reach("store/settle");
        fs::File::open(&self.directory)?.sync_all()
    }

    /// Returns whether tables of others may be removed: not in a directory where everybody may remove only
    /// what is their own. Merging there would write all again and again and remove nothing.
    pub(crate) fn may_unlink(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.directory)?.mode() & 0o1000 == 0)
    }
}

/// Copies the records of tables into another; `choose` says which of one key.
pub(crate) fn copy(
    tables: &[Arc<Table>],
    to: &mut TableWriter,
    choose: &mut dyn FnMut(&Digest, &mut Vec<Row>) -> io::Result<()>,
) -> io::Result<()> {
    let mut shared = std::collections::HashMap::new();
    let mut written = std::collections::HashMap::new();
    let mut merge = Merge::new(tables);
    while let Some((key, mut rows)) = merge.next()? {
        choose(&key, &mut rows)?;
        for row in rows {
            let place = if let Some(place) = shared.get(&(row.table, row.shared)) {
                *place
            } else {
                let place = match tables[row.table].shared(row.shared)? {
                    None if row.shared != Place::NONE => None,
                    None => Some(Place::NONE),
                    Some(part) => Some(match written.entry(blake3::hash(&part)) {
                        std::collections::hash_map::Entry::Occupied(place) => *place.get(),
                        std::collections::hash_map::Entry::Vacant(place) => {
                            *place.insert(to.share(&part)?)
                        }
                    }),
                };
                shared.insert((row.table, row.shared), place);
                place
            };
            // Without what it shares a record cannot be understood.
            if let Some(place) = place {
                to.push(&key, place, &row.payload)?;
            }
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
    let next = names.iter().map(|name| tier(name)).max().unwrap_or(0) + 1;
    let digest = hasher.finalize().to_hex();
    format!("{MERGED}{next}-{}", &digest[..32])
}

/// A name for what is left of tables, of their highest tier.
pub(crate) fn retained_name(tables: &[Arc<Table>]) -> io::Result<String> {
    let names = tables
        .iter()
        .filter_map(|table| table.path().file_name()?.to_str());
    let tier = names.map(tier).max().unwrap_or(0).max(1);
    Ok(format!("{MERGED}{tier}-{}", random()?))
}

/// Returns whether an error says that a file is no longer there.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle
    )
}

/// Removes a file that another may have removed.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    crate::fault::reach("store/unlink");
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
