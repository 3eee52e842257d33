use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

use super::ContentError;
use super::tree::{Entry, Node, Tree};
use super::walk::walk_each;
use super::work::Work;
use crate::identity::{Digest, Encoder, digest_of};

/// What the file system says of a file: as long as it is the same, so is the content.
///
/// Without the number of the device, which may be another on each machine that mounts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileSignature {
    /// Its number in the file system.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, in nanoseconds since 1970 by the clock of the file system.
    pub mtime_ns: i128,
    /// When it, its name or its permissions were last changed, in the same unit.
    pub ctime_ns: i128,
}

/// What the file system says of a file, or of all files in a directory.
///
/// As text, to be kept and compared: `file:INODE:SIZE:MTIME:CTIME` or `tree:DIGEST:DIGEST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// Of a file.
    File(FileSignature),
    /// Of a directory: digests over the names in it and their signatures.
    Tree {
        /// All that counts.
        whole: Digest,
        /// What counts for [`Signature::is_alike`].
        alike: Digest,
    },
}

/// Text that is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signature of a file: `file:INODE:SIZE:MTIME:CTIME` or `tree:DIGEST:DIGEST`")]
pub struct ParseSignatureError(pub String);

impl FileSignature {
    pub(super) fn new(metadata: &std::fs::Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl FileSignature {
    fn without_ctime(self) -> Self {
        Self {
            ctime_ns: 0,
            ..self
        }
    }
}

impl Signature {
    /// Returns the signature of what is at a path. No content is read.
    ///
    /// # Errors
    ///
    /// Those of [`read`](super::read), except for what reading files may give.
    pub fn of(path: &Path) -> Result<Self, ContentError> {
        let mut signatures = Self::of_each(&[path]);
        signatures.pop().expect("one path has one signature")
    }

    /// Returns the signatures of what is at the paths, in their order, as [`Signature::of`] does: where these
    /// are many, on several threads.
    pub fn of_each<P: AsRef<Path> + Sync>(paths: &[P]) -> Vec<Result<Self, ContentError>> {
        let nodes = walk_each(paths);
        Work::on(nodes.len(), 0).each(&nodes, |node| {
            Ok(Self::of_node(node.as_ref().map_err(Clone::clone)?))
        })
    }

    /// Returns whether another one differs in nothing but the ctime: what else changes that is the name, the
    /// owner or the permissions, not the content.
    pub fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a.without_ctime() == b.without_ctime(),
            (Self::Tree { alike: a, .. }, Self::Tree { alike: b, .. }) => a == b,
            _ => false,
        }
    }

    pub(super) fn of_node(node: &Node) -> Self {
        match node {
            Node::File(file) => Self::File(file.signature),
            Node::Directory(tree) => Self::Tree {
                whole: of_tree(tree, false),
                alike: of_tree(tree, true),
            },
        }
    }
}

/// The digest over the signatures in a tree, with or without the times of changes.
fn of_tree(tree: &Tree, alike: bool) -> Digest {
    let digest = tree.fold(Digest::from_bytes([0; 32]), |directory, below| {
        let mut encoder = Encoder::tagged(1 + directory.entries.len(), "reflow/signature-tree/1");
        for (name, entry) in &directory.entries {
            let digest = match entry {
                Entry::File(file) => of_file(file.signature, alike),
                Entry::Directory(position) => below[*position],
                Entry::Link(target) => {
                    let mut encoder = Encoder::tagged(2, "reflow/signature-link/1");
                    encoder.byte_string(target);
                    digest_of(&encoder)
                }
            };
            encoder.array(2).byte_string(name);
            encoder.byte_string(digest.as_bytes());
        }
        Ok::<_, std::convert::Infallible>(digest_of(&encoder))
    });
    let Ok(digest) = digest;
    digest
}

fn of_file(signature: FileSignature, alike: bool) -> Digest {
    let signature = if alike {
        signature.without_ctime()
    } else {
        signature
    };
    let mut encoder = Encoder::tagged(2, "reflow/signature/1");
    encoder.text(&Signature::File(signature).to_string());
    digest_of(&encoder)
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree { whole, alike } => write!(f, "tree:{whole}:{alike}"),
            Self::File(file) => write!(
                f,
                "file:{}:{}:{}:{}",
                file.inode, file.size, file.mtime_ns, file.ctime_ns
            ),
        }
    }
}

impl FromStr for Signature {
    type Err = ParseSignatureError;

    fn from_str(text: &str) -> Result<Self, ParseSignatureError> {
        let parts: Vec<&str> = text.split(':').collect();
        let parsed = match parts.as_slice() {
            ["tree", whole, alike] => (|| {
                Some(Self::Tree {
                    whole: whole.parse().ok()?,
                    alike: alike.parse().ok()?,
                })
            })(),
            ["file", inode, size, mtime, ctime] => (|| {
                Some(Self::File(FileSignature {
                    inode: inode.parse().ok()?,
                    size: size.parse().ok()?,
                    mtime_ns: mtime.parse().ok()?,
                    ctime_ns: ctime.parse().ok()?,
                }))
            })(),
            _ => None,
        };
        parsed.ok_or_else(|| ParseSignatureError(text.to_owned()))
    }
}
