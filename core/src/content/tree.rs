use std::path::PathBuf;

use super::FileSignature;

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
    Directory(Tree),
}

/// A directory and those in it, each before what it has: a path may have thousands of parts, which are too many
/// for calls within calls.
#[derive(Debug)]
pub(super) struct Tree(pub(super) Vec<Directory>);

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Of the directory itself: another one has other names in it.
    pub(super) signature: FileSignature,
    /// Sorted by the bytes of their names.
    pub(super) entries: Vec<(Vec<u8>, Entry)>,
}

#[derive(Debug)]
pub(super) enum Entry {
    File(FoundFile),
    /// Its position in the tree.
    Directory(usize),
    /// A link that is not followed, and its target.
    Link(Vec<u8>),
}

impl Tree {
    /// Returns what `of` makes of the directory, of each with what it made of those in it, by their positions.
    pub(super) fn fold<T: Clone, E>(
        &self,
        nothing: T,
        mut of: impl FnMut(&Directory, &[T]) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut made = vec![nothing; self.0.len()];
        for (position, directory) in self.0.iter().enumerate().rev() {
            made[position] = of(directory, &made)?;
        }
        Ok(made.swap_remove(0))
    }
}

impl Node {
    /// Adds the files in it.
    pub(super) fn files<'a>(&'a self, found: &mut Vec<&'a FoundFile>) {
        let tree = match self {
            Self::File(file) => return found.push(file),
            Self::Directory(tree) => tree,
        };
        for directory in &tree.0 {
            for (_, entry) in &directory.entries {
                if let Entry::File(file) = entry {
                    found.push(file);
                }
            }
        }
    }
}
