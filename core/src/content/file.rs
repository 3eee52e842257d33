use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use fs_err as fs;

use super::tree::FoundFile;
use super::walk::open;
use super::work::Work;
use super::{ContentError, FileSignature};
use crate::identity::Digest;

/// How much is read and hashed in one go: small enough to stay in the cache of a core between the two, and
/// a power of two, so that it is a subtree of BLAKE3.
const PIECE: u64 = 256 << 10;
/// Within so much, all threads read at once; what follows waits, so that a disk is read from front to end.
const SPAN: u64 = 64 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives `use_it` a part of a file, which is in memory no longer than that.
fn with_piece<T>(
    file: &File,
    offset: u64,
    length: u64,
    use_it: impl FnOnce(&[u8]) -> T,
) -> io::Result<T> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(PIECE as usize, 0);
        let piece = &mut buffer[..length as usize];
        file.read_exact_at(piece, offset)?;
        Ok(use_it(piece))
    })
}

/// Hashes a part of a file that is a subtree.
fn subtree(file: &File, offset: u64, length: u64, work: Work) -> io::Result<ChainingValue> {
    if length <= PIECE {
        return with_piece(file, offset, length, |piece| {
            blake3::Hasher::new()
                .set_input_offset(offset)
                .update(piece)
                .finalize_non_root()
        });
    }
    let (left, right) = halves(file, offset, length, work)?;
    Ok(merge_subtrees_non_root(&left, &right, Mode::Hash))
}

fn halves(
    file: &File,
    offset: u64,
    length: u64,
    work: Work,
) -> io::Result<(ChainingValue, ChainingValue)> {
    let middle = left_subtree_len(length);
    let left = || subtree(file, offset, middle, work);
    let right = || subtree(file, offset + middle, length - middle, work);
    let (left, right) = if length <= SPAN {
        work.both(left, right)
    } else {
        (left(), right())
    };
    Ok((left?, right?))
}

/// Returns the BLAKE3 digest of the first `length` bytes of a file.
fn whole(file: &File, length: u64, work: Work) -> io::Result<Digest> {
    if length <= PIECE {
        return with_piece(file, 0, length, |piece| blake3::hash(piece).into());
    }
    let (left, right) = halves(file, 0, length, work)?;
    Ok(merge_subtrees_root(&left, &right, Mode::Hash).into())
}

/// Hashes a file that was found. It must be the same before and after.
pub(super) fn digest(found: &FoundFile, work: Work) -> Result<Digest, ContentError> {
    let failed = || ContentError::io(&found.path);
    let is_same = |metadata: &std::fs::Metadata| {
        metadata.dev() == found.device && FileSignature::new(metadata) == found.signature
    };
    let changed = || ContentError::Changed {
        path: found.path.clone(),
    };
    let (file, before) = open(&found.path)?;
    if !is_same(&before) {
        return Err(changed());
    }
    let digest = whole(&file, found.signature.size, work).map_err(failed())?;
    let after = file.metadata().map_err(failed())?;
    // Another file may have taken its name, too.
    let named = fs::metadata(&found.path).map_err(failed())?;
    if is_same(&after) && is_same(&named) {
        Ok(digest)
    } else {
        Err(changed())
    }
}
