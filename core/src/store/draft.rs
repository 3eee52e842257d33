use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::directory::set_mode;

/// How the names of files and directories begin that are still being made.
pub(super) const PREFIX: &str = ".draft-";

/// Returns a name in `directory` that nobody else has or reads.
pub(super) fn draft_path(directory: &Path) -> io::Result<PathBuf> {
    Ok(directory.join(format!("{PREFIX}{}", random()?)))
}

/// Returns whether a name is one of a draft of ours.
pub(super) fn is_draft(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random.is_some_and(|random| random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns letters and digits that nobody else has.
pub(crate) fn random() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(data_encoding::HEXLOWER.encode(&random))
}

/// A file of the store that is still being written, under a name that nobody reads. What is not published
/// is removed.
#[derive(Debug)]
pub(super) struct Draft {
    directory: PathBuf,
    path: PathBuf,
    file: fs::File,
}

impl Draft {
    /// Begins a file in `directory`, which must exist. Whoever may read or write there may do the same with
    /// the file, whatever the umask: a group shares the store by the permissions of its directories.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = draft_path(directory)?;
        let mode = fs::metadata(directory)?.mode() & 0o666;
        crate::fault::reach("store/create");
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let draft = Self {
            directory: directory.to_owned(),
            path,
            file,
        };
        set_mode(&draft.path, mode)?;
        Ok(draft)
    }

    /// Gives the file its name, synced, unless there is one of that name; says whether it did.
    pub(super) fn publish(self, name: &str) -> io::Result<bool> {
        crate::fault::reach("store/sync");
        self.file.sync_data()?;
        let path = self.directory.join(name);
        crate::fault::reach("store/link");
        match fs::hard_link(&self.path, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // A file system without hard links. Of two files of one name, one takes the place of the other:
            // they have the same records.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::Unsupported
                ) =>
            {
                if path.exists() {
                    return Ok(false);
                }
                fs::rename(&self.path, &path)?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        crate::fault::reach("store/undraft");
        // What stays after a failure only takes space, and is taken away by a garbage collection.
        let _ = fs::remove_file(&self.path);
    }
}
