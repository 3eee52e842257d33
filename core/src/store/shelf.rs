use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::directory::make_directory;
use super::draft::PREFIX;
use super::merging::MERGED;
use super::table::{Table, TableError, TableWriter};
use super::warning::StoreWarning;

/// How often a listing is made again since a file in it has gone, before the others are taken alone.
const LISTINGS: usize = 20;
/// How often a table is written again since its directory has gone.
const WRITINGS: usize = 5;

/// A directory of tables of one kind, each published once and merged from time to time.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    store: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) kind: &'static str,
}

/// The tables of a shelf, and what is no table in it.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) tables: Vec<Arc<Table>>,
    /// Files of which nothing can be read, now or later.
    pub(crate) damaged: Vec<StoreWarning>,
    /// Files that are none of ours, of later versions, or cannot be read now.
    pub(crate) others: Vec<StoreWarning>,
}

impl Opened {
    /// Returns what is wrong with the files, as far as it was noticed so far.
    pub(crate) fn warnings(&self) -> Vec<StoreWarning> {
        let noted = self.tables.iter().filter_map(|table| {
            let noted = table.noted()?;
            Some(StoreWarning::noted(table.path().to_owned(), &noted))
        });
        let unopened = self.damaged.iter().chain(&self.others).cloned();
        unopened.chain(noted).collect()
    }
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
        let mut before: Vec<String> = Vec::new();
        let mut listings = 0;
        loop {
            let (mut opened, gone) = self.open_some(&self.names()?);
            listings += 1;
            let (again, new): (Vec<_>, Vec<_>) =
                gone.into_iter().partition(|name| before.contains(name));
            if new.is_empty() || listings == LISTINGS {
                let again = again.iter().map(|name| self.directory.join(name));
                opened.others.extend(again.map(StoreWarning::missing));
                return Ok(opened);
            }
            before = [again, new].concat();
        }
    }

    /// Opens tables by name; returns the names of those that are not there as well.
    pub(super) fn open_some(&self, names: &[String]) -> (Opened, Vec<String>) {
        let mut opened = Opened::default();
        let mut gone = Vec::new();
        for name in names {
            let path = self.directory.join(name);
            match Table::open(&path, self.kind) {
                Ok(table) => opened.tables.push(Arc::new(table)),
                Err(TableError::Io(error)) if is_gone(&error) => gone.push(name.clone()),
                Err(error) => {
                    let kind = match error {
                        TableError::Damaged(_) => &mut opened.damaged,
                        _ => &mut opened.others,
                    };
                    kind.push(StoreWarning::unreadable(path, error));
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
