use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use super::ContentError;
use super::tree::FoundFile;
use crate::identity::{Digest, Encoder, digest_of};
use crate::store::files::{self, Known, keep_newest};
use crate::store::shelf::{Opened, Shelf};
use crate::store::table::Place;
use crate::store::{ToldOnce, random};

/// A file that was changed so shortly before it was hashed may be changed again and show the same times:
/// ext3, HFS+ and some servers count them in whole seconds, FAT in two.
const SETTLED_NS: i128 = 2_000_000_000;

/// The contents of files that were hashed before, in a store: by machine, path, device, inode, size and times,
/// so that a file which was not changed is not read again. The path is among them for file systems that give
/// one inode to many files, one after another.
///
/// A store that cannot be read knows nothing, and that is no error but a warning.
pub struct Memory {
    shelf: Option<Shelf>,
    host: String,
    opened: OnceLock<Opened>,
    new: Mutex<New>,
    told: Mutex<ToldOnce>,
    clock: Box<dyn Fn() -> i128 + Send + Sync>,
}

/// What was hashed since the memory was opened.
#[derive(Debug, Default)]
struct New {
    known: HashMap<Digest, Digest>,
    /// Those of them that are not in the store yet.
    unpublished: BTreeSet<Digest>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

/// The time by this machine's clock, in nanoseconds since 1970.
///
/// It is compared with times that the file system gives, which on a shared one may come from the clock of a
/// server. Where that is behind ours by more than [`SETTLED_NS`], a file that has just been changed looks
/// settled; it is then missed only if it is changed once more within one tick of the server's clock, to the
/// same size. Where it is ahead, files are hashed once more than needed.
fn system_clock() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

impl Memory {
    /// Returns the memory in a store, which need not exist yet. Nothing is read before it is asked for.
    /// Without a store, only what this process has hashed is known.
    pub fn new(store: Option<&Path>) -> Self {
        Self::with_clock(store, system_clock)
    }

    pub(super) fn with_clock(
        store: Option<&Path>,
        clock: impl Fn() -> i128 + Send + Sync + 'static,
    ) -> Self {
        Self {
            shelf: store.map(files::shelf),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            opened: OnceLock::new(),
            new: Mutex::default(),
            told: Mutex::default(),
            clock: Box::new(clock),
        }
    }

    pub(super) fn now(&self) -> i128 {
        (self.clock)()
    }

    fn key(&self, file: &FoundFile) -> Digest {
        let path = std::path::absolute(&file.path);
        let path = path.as_deref().unwrap_or(&file.path);
        let mut encoder = Encoder::tagged(5, "reflow/memory/2");
        encoder
            .text(&self.host)
            .byte_string(path.as_os_str().as_bytes())
            .byte_string(&file.device.to_be_bytes())
            .text(&super::Signature::File(file.signature).to_string());
        digest_of(&encoder)
    }

    /// Returns the digests of files, where they are known.
    pub(super) fn recall(&self, files: &[&FoundFile]) -> Vec<Option<Digest>> {
        let mut keys: Vec<(Digest, usize)> = files
            .iter()
            .enumerate()
            .map(|(at, file)| (self.key(file), at))
            .collect();
        keys.sort_unstable();
        let mut known = vec![None; files.len()];
        {
            let new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, at) in &keys {
                known[*at] = new.known.get(key).copied();
            }
        }
        let opened = self.opened.get_or_init(|| {
            let opened = self.shelf.as_ref().map(Shelf::open).transpose();
            opened
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "what is known of files in the store is not used; they are read again");
                    None
                })
                .unwrap_or_default()
        });
        let sorted: Vec<Digest> = keys.iter().map(|(key, _)| *key).collect();
        for table in &opened.tables {
            // What cannot be read is noted by the table, and read from the files.
            let _ = table.find(&sorted, &mut |found| {
                if let Some(of_file) = Known::of(found.payload) {
                    known[keys[found.asked].1] = Some(of_file.digest);
                }
                Ok(())
            });
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.tell(&opened.warnings());
        known
    }

    /// Remembers what was hashed after `now`, unless it might still be changed unnoticed.
    pub(super) fn remember(&self, file: &FoundFile, digest: &Digest, now: i128) {
        let signature = file.signature;
        // Only the machine sets the ctime: one that is ahead of the clock is not settled. An mtime is also
        // set by people, to any time.
        let settled = now - signature.ctime_ns >= SETTLED_NS
            && (now - signature.mtime_ns).abs() >= SETTLED_NS;
        if settled {
            let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
            let key = self.key(file);
            new.known.insert(key, *digest);
            new.unpublished.insert(key);
        }
    }

    /// Publishes what was hashed since the last time, for later runs; nothing where there is nothing new.
    ///
    /// # Errors
    ///
    /// [`ContentError::Memory`] where the store cannot be written: callers warn and go on.
    pub fn publish(&self) -> Result<(), ContentError> {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shelf) = self.shelf.as_ref().filter(|_| !new.unpublished.is_empty()) else {
            return Ok(());
        };
        let made_ms = (self.now() / 1_000_000) as u64;
        // A name of its own: one that says what is in it would never be written again where it is damaged.
        let published = random().and_then(|name| {
            shelf.publish(&name, &|table| {
                new.unpublished.iter().try_for_each(|key| {
                    let digest = new.known[key];
                    let known = Known { digest, made_ms };
                    table.push(key, Place::NONE, &known.payload())
                })
            })
        });
        published.map_err(|source| ContentError::Memory {
            path: shelf.directory.clone(),
            source: Arc::new(source),
        })?;
        new.unpublished.clear();
        if let Err(error) = shelf.merge(&keep_newest) {
            tracing::debug!(%error, "could not merge what is known of files; it stays as it is");
        }
        Ok(())
    }
}
