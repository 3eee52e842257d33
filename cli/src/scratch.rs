use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// A directory of our own below another one, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one below an existing directory.
    pub(crate) fn below(directory: &Path) -> io::Result<Self> {
        for round in 0u32.. {
            let name = format!(".reflow-check-{}-{round}", std::process::id());
            let path = directory.join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                // Of another machine that shares the directory, or left by one that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && round < 1000 => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no free name"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A job may be writing its last lines here: what came after the first try goes with another.
        for _ in 0..5 {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
                _ => return,
            }
        }
        tracing::warn!(path = %self.path.display(), "could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_to_one_and_goes_with_it() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let one = Scratch::below(directory.path()).expect("a directory can be made");
        let two = Scratch::below(directory.path()).expect("a directory can be made");
        assert_ne!(one.path(), two.path());
        fs::write(one.path().join("file"), "x").expect("a file can be written");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists());
        assert!(two.path().exists());
    }
}
