use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fs_err as fs;
use rustix::io::Errno;

use super::tree::{Directory, Entry, FoundFile, Node, Tree};
use super::work::Work;
use super::{ContentError, FileSignature};

/// Most entries of one directory, its directories and what links lead to: links that lead to directories
/// outside, whose links lead to further ones, can make any number of them.
const MOST: usize = 10_000_000;

/// A walk from one path.
struct Walk<'a> {
    path: &'a Path,
    work: Work,
    /// How many entries it has come to.
    entries: AtomicUsize,
    most: usize,
}

/// The directory that is walked, and those outside it that links on the way have led to, by their real paths.
struct Entered {
    real: PathBuf,
    rest: Option<Arc<Entered>>,
}

impl Entered {
    /// Returns whether a directory counts there already, or would have no end: whether it is, is in, or has in
    /// it one of these.
    fn has(&self, real: &Path) -> bool {
        real.starts_with(&self.real)
            || self.real.starts_with(real)
            || self.rest.as_ref().is_some_and(|rest| rest.has(real))
    }
}

/// Finds what is at each path, and in it. No content is read.
pub(super) fn walk_each<P: AsRef<Path> + Sync>(paths: &[P]) -> Vec<Result<Node, ContentError>> {
    Work::on(paths.len(), 0).each(paths, |path| walk(path.as_ref(), MOST))
}

/// Finds what is at a path, and in it, unless that is more than so many entries.
pub(super) fn walk(path: &Path, most: usize) -> Result<Node, ContentError> {
    let metadata = fs::metadata(path).map_err(ContentError::io(path))?;
    if !metadata.is_dir() {
        return file(path, &metadata).map(Node::File);
    }
    let walk = Walk {
        path,
        work: Work::on_threads(),
        entries: AtomicUsize::new(0),
        most,
    };
    let entered = Entered {
        real: fs::canonicalize(path).map_err(ContentError::io(path))?,
        rest: None,
    };
    walk.tree(Arc::new(entered)).map(Node::Directory)
}

/// Opens a file or directory, and returns what is said of it then: only opening it makes a client of a shared
/// file system ask the server, instead of telling what it knew some seconds ago.
pub(super) fn open(path: &Path) -> Result<(std::fs::File, std::fs::Metadata), ContentError> {
    let file = fs::File::open(path).map_err(ContentError::io(path))?;
    let metadata = file.metadata().map_err(ContentError::io(path))?;
    Ok((file.into_parts().0, metadata))
}

fn file(path: &Path, metadata: &std::fs::Metadata) -> Result<FoundFile, ContentError> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        let (_, metadata) = open(path)?;
        return Ok(FoundFile {
            path: path.to_owned(),
            device: metadata.dev(),
            signature: FileSignature::new(&metadata),
        });
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a device"
    };
    Err(ContentError::Special {
        path: path.to_owned(),
        what,
    })
}

/// A directory that was listed: those in it are still to be walked.
struct Listed {
    signature: FileSignature,
    entries: Vec<(Vec<u8>, Met)>,
}

/// What a walk has met.
enum Met {
    File(FoundFile),
    Directory(PathBuf, Arc<Entered>),
    Link(Vec<u8>),
}

impl Walk<'_> {
    /// Walks level by level.
    fn tree(&self, entered: Arc<Entered>) -> Result<Tree, ContentError> {
        let mut tree = Vec::new();
        let mut level = vec![(self.path.to_owned(), entered)];
        while !level.is_empty() {
            let listed = self
                .work
                .each(&level, |(path, entered)| self.list(path, entered));
            let below = tree.len() + level.len();
            let mut next = Vec::new();
            for ((path, _), listed) in level.into_iter().zip(listed) {
                let Listed { signature, entries } = listed?;
                let mut place = |(name, met)| {
                    let entry = match met {
                        Met::File(file) => Entry::File(file),
                        Met::Link(target) => Entry::Link(target),
                        Met::Directory(path, entered) => {
                            next.push((path, entered));
                            Entry::Directory(below + next.len() - 1)
                        }
                    };
                    (name, entry)
                };
                let entries = entries.into_iter().map(&mut place).collect();
                tree.push(Directory {
                    path,
                    signature,
                    entries,
                });
            }
            level = next;
        }
        Ok(Tree(tree))
    }

    fn list(&self, path: &Path, entered: &Arc<Entered>) -> Result<Listed, ContentError> {
        let (_, metadata) = open(path)?;
        let mut names: Vec<OsString> = Vec::new();
        for entry in fs::read_dir(path).map_err(ContentError::io(path))? {
            if self.entries.fetch_add(1, Ordering::Relaxed) >= self.most {
                return Err(ContentError::TooMany {
                    path: self.path.to_owned(),
                    most: self.most,
                });
            }
            names.push(entry.map_err(ContentError::io(path))?.file_name());
        }
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let meet = |name: &OsString| meet(path.join(name), entered);
        let met = self.work.each(&names, meet);
        let entries = names
            .into_iter()
            .zip(met)
            .map(|(name, met)| Ok((name.into_vec(), met?)))
            .collect::<Result<_, ContentError>>()?;
        Ok(Listed {
            signature: FileSignature::new(&metadata),
            entries,
        })
    }
}

/// Finds what an entry of a directory is.
fn meet(path: PathBuf, entered: &Arc<Entered>) -> Result<Met, ContentError> {
    let metadata = fs::symlink_metadata(&path).map_err(ContentError::io(&path))?;
    if metadata.is_dir() {
        return Ok(Met::Directory(path, Arc::clone(entered)));
    }
    if !metadata.is_symlink() {
        return file(&path, &metadata).map(Met::File);
    }
    let link = || -> Result<Met, ContentError> {
        let target = fs::read_link(&path).map_err(ContentError::io(&path))?;
        Ok(Met::Link(target.into_os_string().into_vec()))
    };
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            let real = fs::canonicalize(&path).map_err(ContentError::io(&path))?;
            if entered.has(&real) {
                return link();
            }
            let led = Entered {
                real,
                rest: Some(Arc::clone(entered)),
            };
            Ok(Met::Directory(path, Arc::new(led)))
        }
        Ok(metadata) => file(&path, &metadata).map(Met::File),
        Err(_) if leads_nowhere(&path) => link(),
        Err(error) => Err(ContentError::io(&path)(error)),
    }
}

/// Asks the system again for its own number of the error: there is no name in the standard library for a
/// link that leads to itself.
fn leads_nowhere(path: &Path) -> bool {
    matches!(
        rustix::fs::stat(path),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    )
}
