use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Contents;
use super::home::{Homes, Kind};
use crate::identity::{Digest, Producer, ValueHasher};
use crate::results::{Outcome, ResultRecord, Taken, ValueDigests};
use crate::rundir::{RunDir, ValueRef, ValueStore, Verify};
use crate::store::cache::{Candidate, Origin};
use crate::worker::ValueCheck;
use crate::workflow::Type;

/// Makes results of remembered values, after a look at whether they can be used.
#[derive(Debug)]
pub(crate) struct Taker<'a> {
    /// The run that takes them.
    pub(crate) dir: &'a RunDir,
    /// What is asked of a value.
    pub(crate) verify: Verify,
    /// Whether long values are copied into the run; otherwise they stay where they are.
    pub(crate) copies: bool,
    /// Where the runs are that made the values.
    pub(crate) homes: &'a Homes,
    /// The task's own check, where it is to be asked.
    pub(crate) check: Option<&'a ValueCheck>,
}

/// A result by a remembered value, and where that comes from.
pub(crate) type Found = (ResultRecord, Arc<Origin>);

/// Elements looked at by one thread at least: a look takes some microseconds here, and much longer on a
/// file system of the network.
const ELEMENTS_A_THREAD: usize = 64;

impl Taker<'_> {
    /// Does [`Taker::take`] for many elements, on several threads where files are looked at.
    pub(crate) fn take_all(
        &self,
        returns: &Type,
        elements: &[(u32, Digest)],
        candidates: &[Arc<[Candidate]>],
    ) -> Vec<Option<Found>> {
        let is_looked_at = returns.has_paths() && self.verify != Verify::Nothing;
        let is_long =
            |candidate: &Candidate| matches!(candidate.entry.value, ValueRef::Stored { .. });
        let is_copied = self.copies && candidates.iter().any(|all| all.iter().any(is_long));
        let threads = if is_looked_at || is_copied || self.check.is_some() {
            let most = std::thread::available_parallelism().map_or(1, usize::from) * 4;
            (elements.len() / ELEMENTS_A_THREAD).clamp(1, most)
        } else {
            1
        };
        let size = elements.len().div_ceil(threads).max(1);
        let take = |elements: &[(u32, Digest)], candidates: &[Arc<[Candidate]>]| -> Vec<_> {
            let both = elements.iter().zip(candidates);
            both.map(|((element, identity), candidates)| {
                self.take(*element, *identity, returns, candidates)
            })
            .collect()
        };
        if threads == 1 {
            return take(elements, candidates);
        }
        std::thread::scope(|scope| {
            let parts = elements.chunks(size).zip(candidates.chunks(size));
            let threads: Vec<_> = parts
                .map(|(elements, candidates)| {
                    let work = move || take(elements, candidates);
                    let thread = std::thread::Builder::new().spawn_scoped(scope, work);
                    (elements, candidates, thread)
                })
                .collect();
            let mut found = Vec::with_capacity(elements.len());
            for (elements, candidates, thread) in threads {
                match thread.map(std::thread::ScopedJoinHandle::join) {
                    Ok(Ok(part)) => found.extend(part),
                    // What could not be looked at is not used.
                    Ok(Err(_)) => found.extend(elements.iter().map(|_| None)),
                    // A limit on processes makes it slower, and is no reason to fail.
                    Err(_) => found.extend(take(elements, candidates)),
                }
            }
            found
        })
    }

    /// Returns the result of an element by the first candidate that can be used.
    pub(crate) fn take(
        &self,
        element: u32,
        identity: Digest,
        returns: &Type,
        candidates: &[Candidate],
    ) -> Option<Found> {
        candidates.iter().find_map(|candidate| {
            match self.one(element, identity, returns, candidate) {
                Ok(result) => Some((result?, Arc::clone(&candidate.origin))),
                Err(error) => {
                    let run = &candidate.origin.run_id;
                    tracing::debug!(%run, %error, "a remembered value cannot be used");
                    None
                }
            }
        })
    }

    fn one(
        &self,
        element: u32,
        identity: Digest,
        returns: &Type,
        candidate: &Candidate,
    ) -> io::Result<Option<ResultRecord>> {
        let origin = &candidate.origin;
        let there = ValueStore::new(origin.run_dir.join(".reflow/values"));
        let entry = &candidate.entry;
        let run_dir = origin
            .run_dir
            .to_str()
            .ok_or_else(|| io::Error::other("the run directory of its origin is not UTF-8"))?;
        let mut value = entry.value.clone();
        if returns.has_paths() || self.check.is_some() {
            let mut parsed: Value = serde_json::from_str(&there.read(&value)?)?;
            if let ValueRef::Inline { json, .. } = &mut value {
                returns.undo_relative(&mut parsed, run_dir);
                *json = RawValue::from_string(parsed.to_string())?;
            }
            if !self.is_there(returns, &parsed, run_dir, candidate)? {
                return Ok(None);
            }
            if let Some(check) = self.check
                && !check.accepts(&parsed)?
            {
                return Ok(None);
            }
        }
        let value = self.copied(&there, &value)?;
        let copied = |value: &Option<ValueRef>| {
            let value = value.as_ref();
            value.map(|value| self.copied(&there, value)).transpose()
        };
        let mut result = ResultRecord::new(element, Outcome::Cached);
        result.value = Some(value);
        result.identity = Some(identity);
        result.digests = Some(ValueDigests {
            whole: entry.digests.whole,
            entries: copied(&entry.digests.entries)?,
            files: copied(&entry.digests.files)?,
        });
        result.taken = Some(Taken {
            run: origin.run_id.clone(),
            element: entry.element,
        });
        Ok(Some(result))
    }

    /// Returns whether what a value names is there, as far as that is asked. `run_dir` is where it was made.
    fn is_there(
        &self,
        returns: &Type,
        value: &Value,
        run_dir: &str,
        candidate: &Candidate,
    ) -> io::Result<bool> {
        let is_trusted = self.verify == Verify::Nothing;
        let mut is_inside = false;
        returns.paths(value, &mut |_, path| {
            is_inside |= Path::new(path).starts_with(run_dir);
        });
        // Where a later run was made in the same directory, the paths are there and lead to its files.
        let is_own = !is_inside
            || match self.homes.kind(&candidate.origin) {
                Kind::Own => true,
                Kind::Unsure => is_trusted,
                Kind::Foreign => false,
            };
        if is_trusted || !is_own {
            return Ok(is_own);
        }
        let mut is_there = true;
        let mut has_files = false;
        returns.paths(value, &mut |ty, path| {
            has_files |= *ty == Type::File;
            // A link that leads nowhere is no output.
            is_there = is_there && Path::new(path).exists();
        });
        if !is_there || self.verify != Verify::Content || !has_files {
            return Ok(is_there);
        }
        let hasher = ValueHasher {
            run_dir,
            producer: Producer::User,
        };
        let mut contents = Contents::of(returns, value);
        let now = hasher.value(returns, value, &mut |path| Ok(contents.take(path)?.0))?;
        Ok(now == candidate.entry.digests.whole)
    }

    /// Returns a value that this run can read: one in a file of its own is checked against its digest, also
    /// where it stays, and copied.
    fn copied(&self, there: &ValueStore, value: &ValueRef) -> io::Result<ValueRef> {
        match value {
            ValueRef::Stored { .. } => {
                let json = there.read(value)?;
                if self.copies {
                    self.dir.values().put(json)
                } else {
                    Ok(value.clone())
                }
            }
            ValueRef::Inline { .. } => Ok(value.clone()),
        }
    }
}
