use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use fs_err as fs;

use super::draft::draft_path;

/// The bits of a mode: those of permission, set-user, set-group and sticky.
const MODE: u32 = 0o7777;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;

/// Makes a directory and those above it that are missing.
///
/// In the store, a new directory gets the mode of the one that it is in, whatever the umask, so that a group
/// goes on sharing the store. `store` itself and what is above it do so where the set-group-id bit says that
/// a group shares what is made there, unless everybody may write there; elsewhere the umask has its way.
pub(super) fn make_directory(store: &Path, path: &Path) -> io::Result<()> {
    match make_one(store, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            make_directory(store, parent.ok_or(error)?)?;
            // Once: what is missing still, others take away.
            make_one(store, path)
        }
        made => made,
    }
}

/// Makes a directory in one that must exist.
fn make_one(store: &Path, path: &Path) -> io::Result<()> {
    crate::fault::reach("store/folder");
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(obstructed(path, "it is no directory; move it elsewhere")),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        // What is a directory by now, another has made.
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) => {
            let what = "it is a link that leads nowhere; make the directory that it names";
            return Err(obstructed(path, what));
        }
        Err(_) => {}
    }
    let parent = path.parent().unwrap_or(path);
    let parent = if parent == Path::new("") {
        Path::new(".")
    } else {
        parent
    };
    let mode = fs::metadata(parent)?.mode() & MODE;
    let is_within = path != store && path.starts_with(store);
    let is_shared = mode & SET_GROUP != 0 && mode & (STICKY | OTHERS_WRITE) == 0;
    let made = if is_within || is_shared {
        // Under another name first: nobody meets a directory that the group cannot enter yet.
        let draft = draft_path(parent)?;
        fs::create_dir(&draft)?;
        let made = set_mode(&draft, mode).and_then(|()| {
            crate::fault::reach("store/folder");
            fs::rename(&draft, path)
        });
        if made.is_err() {
            // What stays is taken away by a garbage collection.
            let _ = fs::remove_dir(&draft);
        }
        made
    } else {
        fs::create_dir(path)
    };
    // Another may have made it meanwhile.
    made.or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
}

fn obstructed(path: &Path, what: &str) -> io::Error {
    let message = format!("`{}` is to be a directory: {what}", path.display());
    io::Error::new(ErrorKind::NotADirectory, message)
}

/// Gives a file or directory its mode. On a file system without permissions it keeps what it has.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.mode() & MODE != mode {
        let _ = fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & MODE
    }

    #[test]
    fn directories_of_the_store_have_the_mode_of_the_one_that_they_are_in() {
        let above = tempfile::tempdir().unwrap();
        let store = above.path().join("a/store");
        make_directory(&store, &store).unwrap();
        fs::set_permissions(&store, std::fs::Permissions::from_mode(0o2777)).unwrap();
        let inside = store.join("cache/align");
        make_directory(&store, &inside).unwrap();
        make_directory(&store, &inside).unwrap();
        assert_eq!(mode(&store.join("cache")), 0o2777);
        assert_eq!(mode(&inside), 0o2777);
        assert_eq!(fs::read_dir(&store).unwrap().count(), 1, "no drafts stay");
    }

    #[test]
    fn above_the_store_a_mode_is_copied_where_a_group_shares() {
        let above = tempfile::tempdir().unwrap();
        let usual = above.path().join("usual");
        fs::create_dir(&usual).unwrap();
        for (of_parent, is_copied) in [(0o770, false), (0o2770, true), (0o2777, false)] {
            let parent = above.path().join(format!("{of_parent:o}"));
            fs::create_dir(&parent).unwrap();
            fs::set_permissions(&parent, std::fs::Permissions::from_mode(of_parent)).unwrap();
            let store = parent.join("store");
            make_directory(&store, &store.join("runs")).unwrap();
            if is_copied {
                assert_eq!(mode(&store), of_parent);
            } else {
                assert_eq!(mode(&store) & 0o777, mode(&usual) & 0o777);
            }
            assert_eq!(mode(&store.join("runs")), mode(&store));
        }
    }

    #[test]
    fn links_that_lead_nowhere_and_files_are_errors_and_end() {
        let above = tempfile::tempdir().unwrap();
        let store = above.path().join("store");
        let path = store.join("cache/align");
        for obstructed in [&store, &store.join("cache"), &path] {
            std::os::unix::fs::symlink(above.path().join("purged"), obstructed).unwrap();
            let error = make_directory(&store, &path).unwrap_err();
            assert!(error.to_string().contains("leads nowhere"), "{error}");
            fs::remove_file(obstructed).unwrap();
            fs::write(obstructed, "").unwrap();
            make_directory(&store, &path).unwrap_err();
            fs::remove_file(obstructed).unwrap();
            make_directory(&store, obstructed).unwrap();
        }
        make_directory(&store, &path).unwrap();
    }
}
