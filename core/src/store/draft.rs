use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// How the names of files begin that are still being written.
pub(super) const PREFIX: &str = ".draft-";

/// The bits of a mode: those of permission, set-user, set-group and sticky.
const MODE: u32 = 0o7777;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;

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
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{PREFIX}{}", data_encoding::HEXLOWER.encode(&random));
        let path = directory.join(name);
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
        if draft.file.metadata()?.mode() & MODE != mode {
            draft
                .file
                .set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
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

/// Makes a directory and those above it that are missing. A new directory gets the mode of the one that it
/// is in, whatever the umask, so that a group goes on sharing the store; `store` itself and what is above
/// it do so unless everybody may write there, as in `/tmp`.
pub(super) fn make_directory(store: &Path, path: &Path) -> io::Result<()> {
    crate::fault::reach("store/folder");
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            make_directory(store, parent.ok_or(error)?)?;
            return make_directory(store, path);
        }
        Err(error) => return Err(error),
    }
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let parent = if parent == Path::new("") {
        Path::new(".")
    } else {
        parent
    };
    let wanted = fs::metadata(parent)?.mode() & MODE;
    let within = path != store && path.starts_with(store);
    if !within && wanted & (STICKY | OTHERS_WRITE) != 0 {
        return Ok(());
    }
    if fs::metadata(path)?.mode() & MODE != wanted {
        // A file system without permissions: they are as good as they get.
        let _ = fs::set_permissions(path, std::fs::Permissions::from_mode(wanted));
    }
    Ok(())
}
