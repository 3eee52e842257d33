use std::collections::HashMap;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::tree::{Entry, FoundFile, Node, Tree};
use super::walk::walk_each;
use super::work::Work;
use super::{ContentError, FileSignature, Memory, Signature, file};
use crate::identity::{Digest, Encoder, digest_of};

/// What has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// The content of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Which of the two.
    pub kind: Kind,
    /// The digest of its bytes, or of its tree.
    pub digest: Digest,
    /// What the file system said when it was hashed.
    pub signature: Signature,
}

impl Content {
    /// Returns whether it is that of a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// Returns the content of what is at a path; links are followed.
///
/// # Errors
///
/// Where it does not exist or cannot be read, changed meanwhile, or is, or has in it, what has no content: a
/// socket, a FIFO or a device.
pub fn read(path: &Path) -> Result<Content, ContentError> {
    read_each(&[path], None)
        .pop()
        .expect("one path has one content")
}

/// Returns the contents of all paths, in their order.
///
/// What `memory` knows is not read again; what it does not know is added to it, and stays when it is
/// [published](Memory::publish).
///
/// # Errors
///
/// Those of [`read`], of the first of the paths that has one.
pub fn read_all<P: AsRef<Path> + Sync>(
    paths: &[P],
    memory: &Memory,
) -> Result<Vec<Content>, ContentError> {
    read_each(paths, Some(memory)).into_iter().collect()
}

/// Returns the content of each of the paths, in their order, as [`read`] and [`read_all`] do: on all cores,
/// with one look into the memory.
pub fn read_each<P: AsRef<Path> + Sync>(
    paths: &[P],
    memory: Option<&Memory>,
) -> Vec<Result<Content, ContentError>> {
    let mut contents = read_once(paths, memory);
    let has_changed = |position: &usize| {
        let content = &contents[*position];
        matches!(content, Err(ContentError::Changed { .. }))
    };
    // What was only just finished when it was looked at is whole by now.
    let again: Vec<usize> = (0..paths.len()).filter(has_changed).collect();
    let changed: Vec<&Path> = again.iter().map(|at| paths[*at].as_ref()).collect();
    for (position, content) in again.into_iter().zip(read_once(&changed, memory)) {
        contents[position] = content;
    }
    contents
}

fn read_once<P: AsRef<Path> + Sync>(
    paths: &[P],
    memory: Option<&Memory>,
) -> Vec<Result<Content, ContentError>> {
    let nodes = walk_each(paths);
    let mut found = Vec::new();
    for node in nodes.iter().flatten() {
        node.files(&mut found);
    }
    let digests = digests(&found, memory);
    Work::on(found.len(), 0).each(&nodes, |node| {
        content(node.as_ref().map_err(Clone::clone)?, &digests)
    })
}

/// The digests of files, by what the file system says of them.
type Digests = HashMap<(u64, FileSignature), Result<Digest, ContentError>>;

/// Hashes files that are not remembered, each once.
fn digests(found: &[&FoundFile], memory: Option<&Memory>) -> Digests {
    let mut digests = Digests::with_capacity(found.len());
    let mut files: Vec<&FoundFile> = Vec::with_capacity(found.len());
    let mut seen = std::collections::HashSet::with_capacity(found.len());
    for file in found {
        if seen.insert((file.device, file.signature)) {
            files.push(file);
        }
    }
    let mut missing = Vec::new();
    let known = memory.map(|memory| memory.recall(&files));
    for (at, file) in files.into_iter().enumerate() {
        match known.as_ref().and_then(|known| known[at]) {
            Some(digest) => {
                digests.insert((file.device, file.signature), Ok(digest));
            }
            None => missing.push(file),
        }
    }
    let now = memory.map(Memory::now);
    let sizes = missing.iter().map(|file| file.signature.size);
    let size = sizes.fold(0, u64::saturating_add);
    let work = Work::on(missing.len(), size);
    let hashed = work.each(&missing, |found| file::digest(found, work));
    for (file, digest) in missing.into_iter().zip(hashed) {
        if let (Some(memory), Some(now), Ok(digest)) = (memory, now, &digest) {
            memory.remember(file, digest, now);
        }
        digests.insert((file.device, file.signature), digest);
    }
    digests
}

fn content(node: &Node, digests: &Digests) -> Result<Content, ContentError> {
    let (kind, digest) = match node {
        Node::File(file) => (Kind::File, of_file(file, digests)?),
        Node::Directory(tree) => (Kind::Directory, of_tree(tree, digests)?),
    };
    Ok(Content {
        kind,
        digest,
        signature: Signature::of_node(node),
    })
}

fn of_file(file: &FoundFile, digests: &Digests) -> Result<Digest, ContentError> {
    let digest = digests.get(&(file.device, file.signature)).cloned();
    digest.expect("each file that was found has an outcome")
}

/// The digest of a directory that was walked. Each in it must be the same as when it was listed.
fn of_tree(tree: &Tree, digests: &Digests) -> Result<Digest, ContentError> {
    tree.fold(Digest::from_bytes([0; 32]), |directory, below| {
        let entries = &directory.entries;
        let mut encoder = Encoder::tagged(1 + entries.len(), "reflow/tree/1");
        for (name, entry) in entries {
            encoder.array(3).byte_string(name);
            match entry {
                Entry::File(file) => {
                    let digest = of_file(file, digests)?;
                    encoder.text("file").byte_string(digest.as_bytes())
                }
                Entry::Directory(position) => {
                    let digest = &below[*position];
                    encoder.text("directory").byte_string(digest.as_bytes())
                }
                Entry::Link(target) => encoder.text("link").byte_string(target),
            };
        }
        let path = &directory.path;
        let after = fs::metadata(path).map_err(ContentError::io(path))?;
        if FileSignature::new(&after) == directory.signature {
            Ok(digest_of(&encoder))
        } else {
            Err(ContentError::Changed { path: path.clone() })
        }
    })
}
