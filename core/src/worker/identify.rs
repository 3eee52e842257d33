//! The identity of an element at its worker: looked up before the body, kept with the result after it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::check::ValueCheck;
use super::inputs::{Prepared, Told};
use crate::cache::{Contents, Homes, Taker, is_as_noted};
use crate::content::Signature;
use crate::identity::{Digest, ElementHasher, Producer, ValueHasher, execution, result_parameters};
use crate::results::{Outcome, ResultRecord, ValueDigests};
use crate::rundir::{CachePlan, RunDir, SubmissionHeader, Verify};
use crate::store::ToldOnce;
use crate::store::cache::{Cache, TaskCache};

/// Computes the identities of the elements of a submission.
#[derive(Debug)]
pub(super) struct Identifier {
    dir: RunDir,
    plan: CachePlan,
    hasher: ElementHasher,
    /// The parameters that take results, in the order in which they count.
    parameters: Vec<String>,
    /// What earlier runs remember of the task.
    stored: Memory,
}

/// What earlier runs remember of a task.
#[derive(Debug)]
enum Memory {
    /// Not looked at yet.
    Unread,
    /// Nothing.
    Empty,
    /// Something.
    Stored(Box<Stored>),
}

/// What earlier runs remember of a task, and the task's own check of it.
#[derive(Debug)]
struct Stored {
    cache: TaskCache,
    homes: Homes,
    check: Option<ValueCheck>,
    told: ToldOnce,
}

/// An element whose body is about to run.
#[derive(Debug)]
pub(super) struct Identified {
    identity: Digest,
    /// Its files, and how they were before the body.
    files: BTreeMap<String, Option<Signature>>,
    /// Why the value is not to be remembered.
    unfit: Option<String>,
}

impl Identifier {
    pub(super) fn new(dir: &RunDir, header: &SubmissionHeader) -> Option<Self> {
        let plan = header.cache.clone()?;
        let parameters = result_parameters(&header.description);
        Some(Self {
            dir: dir.clone(),
            hasher: ElementHasher::new(&plan.task, parameters.len()),
            parameters: parameters.into_iter().map(str::to_owned).collect(),
            plan,
            stored: Memory::Unread,
        })
    }

    /// Returns the identity of an element, where everything that it is given has a digest.
    pub(super) fn identity(&self, prepared: &Prepared) -> Option<Digest> {
        let given = prepared.given.as_ref()?;
        let digests = self.parameters.iter();
        let digests: Option<Vec<Digest>> = digests
            .map(|name| given.get(name.as_str()).copied())
            .collect();
        Some(self.hasher.identity(&digests?))
    }

    /// Returns the result of an element by an earlier run, if one is remembered that can be used.
    pub(super) fn look_up(
        &mut self,
        header: &SubmissionHeader,
        element: u32,
        identity: Digest,
    ) -> Option<ResultRecord> {
        let store = self.plan.store.clone()?;
        if matches!(self.stored, Memory::Unread) {
            self.stored = self.open(&store, header);
        }
        let Memory::Stored(stored) = &mut self.stored else {
            return None;
        };
        let candidates = stored.cache.find(&identity).unwrap_or_default();
        stored.told.tell(&stored.cache.warnings());
        let taker = Taker {
            dir: &self.dir,
            verify: self.plan.verify,
            copies: true,
            homes: &stored.homes,
            check: stored.check.as_ref(),
        };
        let returns = &header.description.returns;
        let (result, _) = taker.take(element, identity, returns, &candidates)?;
        Some(result)
    }

    fn open(&self, store: &Path, header: &SubmissionHeader) -> Memory {
        let task = &header.description;
        let is_checked = self.plan.verify == Verify::Content;
        let opened = Cache::new(store)
            .open(task.own_name())
            .map_err(std::io::Error::other)
            .and_then(|cache| {
                let check = is_checked.then(|| ValueCheck::of(&self.dir, task, &task.setup));
                let check = check.transpose()?.flatten();
                let mut told = ToldOnce::default();
                told.tell(&cache.warnings());
                Ok(Stored {
                    cache,
                    homes: Homes::default(),
                    check,
                    told,
                })
            });
        match opened {
            Ok(stored) if stored.cache.is_empty() => Memory::Empty,
            Ok(stored) => Memory::Stored(Box::new(stored)),
            Err(error) => {
                tracing::warn!(%error, "what earlier runs remember of `{}` is not used", task.name);
                Memory::Empty
            }
        }
    }

    /// Notes how the files of an element are before its body runs.
    pub(super) fn before(&self, identity: Digest, prepared: &Prepared) -> Identified {
        let mut files = BTreeMap::new();
        let mut unfit = None;
        let plain = self.plan.files.iter();
        let plain = plain.map(|(path, note)| (path, Some(note)));
        let given = prepared.files.iter().map(|file| {
            let note = match &file.told {
                Told::Note(note) => Some(note),
                Told::Unknown => {
                    let path = &file.path;
                    unfit = Some(format!(
                        "how `{path}` was when its content was read is not known"
                    ));
                    None
                }
                Told::Uncounted => None,
            };
            (&file.path, note)
        });
        let (paths, notes): (Vec<_>, Vec<_>) = plain.chain(given).unzip();
        let now = Signature::of_each(&paths).into_iter().map(Result::ok);
        for ((path, note), now) in paths.into_iter().zip(notes).zip(now) {
            if note.is_some_and(|note| !is_as_noted(path, note, now.as_ref())) {
                unfit = Some(format!("`{path}` has changed since its content was read"));
            }
            files.insert(path.clone(), now);
        }
        Identified {
            identity,
            files,
            unfit,
        }
    }

    /// Adds what is known of an element after its body ran.
    pub(super) fn after(
        &self,
        header: &SubmissionHeader,
        identified: Option<Identified>,
        result: &mut ResultRecord,
    ) {
        if result.outcome != Outcome::Succeeded {
            return;
        }
        let Some(mut identified) = identified else {
            return;
        };
        let paths: Vec<&String> = identified.files.keys().collect();
        let now = Signature::of_each(&paths).into_iter().map(Result::ok);
        for ((path, before), now) in identified.files.iter().zip(now) {
            let is_untouched = match (&now, before) {
                // A link to it, or other permissions, change nothing that counts.
                (Some(now), Some(before)) => now.is_alike(before),
                (now, before) => now == before,
            };
            if !is_untouched {
                identified.unfit = Some(format!("`{path}` was changed while the body ran"));
            }
        }
        result.identity = Some(identified.identity);
        match self.digests(header, identified.identity, result) {
            Ok(digests) => result.digests = digests,
            Err(error) => identified.unfit = Some(error.to_string()),
        }
        result.unfit = identified.unfit;
    }

    fn digests(
        &self,
        header: &SubmissionHeader,
        identity: Digest,
        result: &ResultRecord,
    ) -> io::Result<Option<ValueDigests>> {
        let Some(value) = &result.value else {
            return Ok(None);
        };
        let values = self.dir.values();
        let value = serde_json::from_str(&values.read(value)?)?;
        let hasher = ValueHasher {
            run_dir: self.dir.path().to_str().unwrap_or_default(),
            producer: Producer::Execution(execution(&identity, header.tag.as_str())),
        };
        let returns = &header.description.returns;
        let mut contents = Contents::of(returns, &value);
        let content = &mut |path: &str| contents.take(path);
        ValueDigests::compute(&hasher, returns, &value, &values, content).map(Some)
    }
}
