use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::{RunRecord, ValueStore};
use crate::id::Tag;

/// A run directory that was opened.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    record: Arc<RunRecord>,
    /// How many updates of the workflow the record has in it.
    updates: u32,
}

/// A run directory that could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// There is no run in it.
    #[error("`{0}` holds no run: there is no `.reflow/run.json` in it")]
    NoRun(PathBuf),
    /// There already is a run in it.
    #[error(
        "`{0}` already holds a run; choose another directory, or remove its `.reflow` directory"
    )]
    Occupied(PathBuf),
    /// A submit has begun in it and has not come to its end.
    #[error(
        "in `{0}` a submit has begun and not ended; if it no longer runs, remove the `.reflow` directory there"
    )]
    Unfinished(PathBuf),
    /// It cannot be used for a run.
    #[error("`{path}` cannot be used as a run directory: {reason}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its record cannot be understood.
    #[error("the record of the run in `{path}` cannot be read: {reason}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the run directory cannot be used")]
    Io(#[from] io::Error),
}

impl RunDir {
    /// Opens the run in `path`.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        let file = path.join(".reflow/run.json");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(RunDirError::NoRun(path.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut record: RunRecord =
            serde_json::from_str(&text).map_err(|error| RunDirError::Record {
                path: file,
                reason: error.to_string(),
            })?;
        let updates = record.update(&path.join(".reflow/updates"))?;
        Ok(Self {
            path: fs::canonicalize(path)?,
            record: Arc::new(record),
            updates,
        })
    }

    /// Makes the directories of a new run in `path` and returns the path made absolute.
    ///
    /// The run exists once [`RunDir::found`] has published its record.
    pub fn prepare(path: &Path) -> Result<PathBuf, RunDirError> {
        crate::fault::reach("rundir/create");
        fs::create_dir_all(path)?;
        let path = fs::canonicalize(path)?;
        if path.to_str().is_none() {
            return Err(RunDirError::Unusable {
                path,
                reason: "its path is not UTF-8".to_owned(),
            });
        }
        let inside = path.join(".reflow");
        crate::fault::reach("rundir/begin");
        match fs::create_dir(&inside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let has_run = inside.join("run.json").exists();
                return Err(if has_run {
                    RunDirError::Occupied(path)
                } else {
                    RunDirError::Unfinished(path)
                });
            }
            Err(error) => return Err(error.into()),
        }
        for name in [
            "pinned",
            "journal",
            "wake",
            "requests",
            "updates",
            "submissions",
            "results",
            "packs",
            "values",
            "logs",
            "checkpoint",
            "scratch",
        ] {
            crate::fault::reach("rundir/folder");
            fs::create_dir(inside.join(name))?;
        }
        Ok(path)
    }

    /// Returns the path that [`RunDir::prepare`] would return, and refuses what it would refuse, as far as
    /// that can be told without writing.
    pub fn foresee(path: &Path) -> Result<PathBuf, RunDirError> {
        let mut there = path;
        let found = loop {
            match fs::canonicalize(there) {
                Ok(found) => break found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    there = there.parent().ok_or(error)?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let unusable = |reason: String| RunDirError::Unusable {
            path: path.to_owned(),
            reason,
        };
        if !found.is_dir() {
            return Err(unusable(format!("`{}` is no directory", found.display())));
        }
        let mut foreseen = found;
        for part in path
            .strip_prefix(there)
            .unwrap_or(Path::new(""))
            .components()
        {
            match part {
                Component::ParentDir => {
                    foreseen.pop();
                }
                part => foreseen.push(part),
            }
        }
        if foreseen.to_str().is_none() {
            return Err(unusable("its path is not UTF-8".to_owned()));
        }
        if foreseen.join(".reflow").is_dir() {
            return Err(if foreseen.join(".reflow/run.json").exists() {
                RunDirError::Occupied(foreseen)
            } else {
                RunDirError::Unfinished(foreseen)
            });
        }
        Ok(foreseen)
    }

    /// Returns a run that is not on disk: for what can be said of it without a file.
    pub fn imagine(path: PathBuf, record: RunRecord) -> Self {
        Self {
            path,
            record: Arc::new(record),
            updates: 0,
        }
    }

    /// Publishes the record of a prepared directory: from now on the run exists.
    pub fn found(path: PathBuf, record: RunRecord) -> Result<Self, RunDirError> {
        let bytes = serde_json::to_vec(&record).map_err(io::Error::from)?;
        let file = path.join(".reflow/run.json");
        crate::fault::reach("rundir/found");
        publish(&file, &bytes)?;
        Ok(Self {
            path,
            record: Arc::new(record),
            updates: 0,
        })
    }

    /// Returns the directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what was written when the run was submitted.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Returns how many updates of the workflow the record has in it.
    pub fn updates(&self) -> u32 {
        self.updates
    }

    /// Returns the run with the updates of its workflow that have come since it was opened, if there are any.
    pub fn reopened(&self) -> Result<Option<Self>, RunDirError> {
        if super::record::newest_update(&self.inside("updates"))? > self.updates {
            return Self::open(&self.path).map(Some);
        }
        Ok(None)
    }

    /// Returns a path under `.reflow`.
    pub fn inside(&self, name: &str) -> PathBuf {
        self.path.join(".reflow").join(name)
    }

    /// Returns the store of values that are too long for a result.
    pub fn values(&self) -> ValueStore {
        ValueStore::new(self.inside("values"))
    }

    /// Returns the file that says what the jobs of a submission run.
    pub fn submission(&self, tag: &Tag) -> PathBuf {
        self.inside("submissions").join(tag.as_str())
    }

    /// Returns the directory that the workers of a submission write results into.
    pub fn spool(&self, tag: &Tag) -> PathBuf {
        self.inside("results").join(tag.as_str())
    }

    /// Returns the file that names the job which runs a submission.
    pub fn owner(&self, tag: &Tag) -> PathBuf {
        self.inside("results").join(format!("{tag}.owner"))
    }

    /// Returns the file that says that a submission is over.
    pub fn closed(&self, tag: &Tag) -> PathBuf {
        self.inside("results").join(format!("{tag}.closed"))
    }

    /// Returns a pack of results of a submission.
    pub fn pack(&self, tag: &Tag, number: u32) -> PathBuf {
        self.inside("packs").join(format!("{tag}.{number}"))
    }

    /// Returns the directory of the output of a submission.
    pub fn logs(&self, tag: &Tag) -> PathBuf {
        self.inside("logs").join(tag.as_str())
    }
}

fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(path.with_file_name(format!(
        ".{name}.{}",
        data_encoding::HEXLOWER.encode(&random)
    )))
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let temporary = temporary_name(path)?;
    let written = (|| {
        crate::fault::reach("file/create");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        crate::fault::reach("file/write");
        file.write_all(bytes)?;
        crate::fault::reach("file/sync");
        file.sync_data()
    })();
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            // What is left of a failed write only takes space that may be short.
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Writes a file that is there whole or not at all: synced under another name, then renamed.
pub fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    crate::fault::reach("file/rename");
    fs::rename(&temporary, path)
}

/// Writes a file that is there whole or not at all, unless one of that name exists; says whether it did.
///
/// Made by a hard link to a synced file: exclusive on NFS too, where `O_EXCL` alone could show a file
/// before its content.
pub fn create_exclusive(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let temporary = write_temporary(path, bytes)?;
    crate::fault::reach("file/link");
    let linked = fs::hard_link(&temporary, path);
    crate::fault::reach("file/unlink");
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
