use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::io::Errno;

use super::work::Work;
use super::{ContentError, FileSignature};

/// A file as it was found.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) signature: FileSignature,
}

/// What is at a path, links followed.
#[derive(Debug)]
pub(super) enum Node {
    File(FoundFile),
    Directory {
        path: PathBuf,
        /// Of the directory itself: another one has other names in it.
        signature: FileSignature,
        /// Sorted by the bytes of their names.
        entries: Vec<(Vec<u8>, Node)>,
    },
    /// A link that is not followed, and its target.
    Link(Vec<u8>),
}

/// Device and inode of a directory.
type Id = (u64, u64);

/// The directories that a path is in: those on the way to it, and those above where a link has led.
struct Above<'a> {
    ids: Vec<Id>,
    rest: Option<&'a Above<'a>>,
}

impl Above<'_> {
    fn has(&self, id: Id) -> bool {
        self.ids.contains(&id) || self.rest.is_some_and(|rest| rest.has(id))
    }
}

fn id(metadata: &std::fs::Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

/// Finds what is at a path, and in it. No content is read.
pub(super) fn walk(path: &Path, work: &Work) -> Result<Node, ContentError> {
    let metadata = fs::metadata(path).map_err(ContentError::io(path))?;
    if metadata.is_dir() {
        let above = Above {
            ids: ids_above(path)?,
            rest: None,
        };
        directory(path, &metadata, &above, work)
    } else {
        file(path, &metadata)
    }
}

/// The directories that a directory is in by its real path.
fn ids_above(path: &Path) -> Result<Vec<Id>, ContentError> {
    let real = fs::canonicalize(path).map_err(ContentError::io(path))?;
    real.ancestors()
        .skip(1)
        .map(|path| Ok(id(&fs::metadata(path).map_err(ContentError::io(path))?)))
        .collect()
}

fn file(path: &Path, metadata: &std::fs::Metadata) -> Result<Node, ContentError> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(Node::File(FoundFile {
            path: path.to_owned(),
            device: metadata.dev(),
            signature: FileSignature::new(metadata),
        }));
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

fn directory(
    path: &Path,
    metadata: &std::fs::Metadata,
    above: &Above<'_>,
    work: &Work,
) -> Result<Node, ContentError> {
    let here = Above {
        ids: vec![id(metadata)],
        rest: Some(above),
    };
    let mut names: Vec<OsString> = fs::read_dir(path)
        .map_err(ContentError::io(path))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()
        .map_err(ContentError::io(path))?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let nodes = work.each(&names, |name| entry(&path.join(name), &here, work));
    let entries = names
        .into_iter()
        .zip(nodes)
        .map(|(name, node)| Ok((name.into_vec(), node?)))
        .collect::<Result<_, ContentError>>()?;
    Ok(Node::Directory {
        path: path.to_owned(),
        signature: FileSignature::new(metadata),
        entries,
    })
}

fn entry(path: &Path, above: &Above<'_>, work: &Work) -> Result<Node, ContentError> {
    let metadata = fs::symlink_metadata(path).map_err(ContentError::io(path))?;
    if metadata.is_dir() {
        return directory(path, &metadata, above, work);
    }
    if !metadata.is_symlink() {
        return file(path, &metadata);
    }
    let link = || -> Result<Node, ContentError> {
        let target = fs::read_link(path).map_err(ContentError::io(path))?;
        Ok(Node::Link(target.into_os_string().into_vec()))
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let led = Above {
                ids: ids_above(path)?,
                rest: Some(above),
            };
            if above.has(id(&metadata)) {
                link()
            } else {
                directory(path, &metadata, &led, work)
            }
        }
        Ok(metadata) => file(path, &metadata),
        Err(_) if leads_nowhere(path) => link(),
        Err(error) => Err(ContentError::io(path)(error)),
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

/// Adds the files in a node.
pub(super) fn files<'a>(node: &'a Node, found: &mut Vec<&'a FoundFile>) {
    match node {
        Node::File(file) => found.push(file),
        Node::Directory { entries, .. } => {
            for (_, node) in entries {
                files(node, found);
            }
        }
        Node::Link(_) => {}
    }
}
