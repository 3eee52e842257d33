//! What was left behind in a store, and what is damaged.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::draft::is_draft;
use super::shelf::unlink;
use super::warning::StoreWarning;

/// A file that is still being written is taken for left behind after so long: nobody writes one for a day.
const STALE: Duration = Duration::from_hours(24);

/// Looks for what was left behind half made.
#[derive(Debug)]
pub(super) struct Sweep {
    now_ms: u64,
    applied: bool,
    /// How much there was.
    pub(super) drafts: u64,
    /// What could not be looked at or removed.
    pub(super) warnings: Vec<StoreWarning>,
}

impl Sweep {
    pub(super) fn new(now_ms: u64, applied: bool) -> Self {
        Self {
            now_ms,
            applied,
            drafts: 0,
            warnings: Vec::new(),
        }
    }

    /// Goes through a store, and takes away directories of tasks that have nothing in them.
    pub(super) fn all(&mut self, store: &Path) {
        self.one(store);
        for name in ["runs", "files"] {
            self.one(&store.join(name));
        }
        for path in self.one(&store.join("cache")) {
            if path.is_dir() {
                self.one(&path);
                if self.applied {
                    // One that has something in it stays, which is what is wanted.
                    let _ = fs::remove_dir(&path);
                }
            }
        }
    }

    /// Looks into a directory, and returns the paths of what stays.
    fn one(&mut self, directory: &Path) -> Vec<PathBuf> {
        let mut paths = list(directory).unwrap_or_else(|error| {
            let warning = StoreWarning::failed(directory.to_owned(), &error);
            self.warnings.push(warning);
            Vec::new()
        });
        paths.retain(|path| {
            let Some(is_directory) = self.left_behind(path) else {
                return true;
            };
            self.drafts += 1;
            if self.applied {
                let removed = if is_directory {
                    fs::remove_dir(path)
                } else {
                    unlink(path)
                };
                self.warnings
                    .extend(removed.err().map(|error| unremovable(path, &error)));
            }
            false
        });
        paths
    }

    /// Returns whether a path is a directory, if it is something that was left behind. The clock of a file
    /// server may differ from ours, though not by a day.
    fn left_behind(&self, path: &Path) -> Option<bool> {
        path.file_name()?.to_str().filter(|name| is_draft(name))?;
        let found = fs::symlink_metadata(path).ok()?;
        let made_ms = u64::try_from(found.mtime())
            .unwrap_or(0)
            .saturating_mul(1000);
        let is_old = self.now_ms.saturating_sub(made_ms) > STALE.as_millis() as u64;
        is_old.then(|| found.is_dir())
    }
}

/// Removes damaged files.
pub(super) fn remove(damaged: &[StoreWarning], warnings: &mut Vec<StoreWarning>) {
    for file in damaged {
        let removed = unlink(&file.path);
        warnings.extend(removed.err().map(|error| unremovable(&file.path, &error)));
    }
}

fn unremovable(path: &Path, error: &io::Error) -> StoreWarning {
    StoreWarning {
        path: path.to_owned(),
        message: format!("it cannot be removed: {error}"),
    }
}

/// Returns the paths in a directory; none where there is no such directory.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}
