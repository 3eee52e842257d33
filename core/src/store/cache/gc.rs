//! Taking out of the cache what is old, too much or of no use any more.

use std::collections::BTreeMap;
use std::time::Duration;

use fs_err as fs;

use serde::Serialize;

use super::{Cache, CacheError, Candidate};
use crate::id::TaskName;
use crate::store::StoreWarning;
use crate::store::files::{self, FilesGarbage};
use crate::store::sweep::{Sweep, remove};
use crate::store::table::BESIDES;

/// What is known of a file is forgotten so long after the file was read, where no age is given: what is still
/// used is read again.
const FILES: Duration = Duration::from_hours(90 * 24);

/// What a garbage collection takes away.
#[derive(Clone, Copy)]
pub struct GcOptions<'a> {
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Entries that were made longer ago than this go.
    pub older_than: Option<Duration>,
    /// The oldest entries go until the cache is not larger than this.
    pub max_bytes: Option<u64>,
    /// Entries of which this holds go: those whose run directory or outputs do not exist any more. May be
    /// asked twice for an entry.
    pub unreachable: &'a dyn Fn(&Candidate) -> bool,
    /// Entries of a task of which this holds stay in any case: runs use them that are not over. May be
    /// asked many times.
    pub in_use: &'a dyn Fn(&TaskName, &Candidate) -> bool,
}

impl std::fmt::Debug for GcOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GcOptions")
            .field("now_ms", &self.now_ms)
            .field("older_than", &self.older_than)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// Why an entry goes; the first that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GcReason {
    /// Its run directory or its outputs do not exist any more.
    Unreachable,
    /// It is old.
    Age,
    /// The cache is too large, and it is among the oldest.
    Size,
}

/// Entries, and the bytes that they take in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub entries: u64,
    /// About how many bytes: what several of them share counts for none.
    pub bytes: u64,
}

impl Amount {
    pub(in crate::store) fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes += bytes;
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |sum, amount| Self {
            entries: sum.entries + amount.entries,
            bytes: sum.bytes + amount.bytes,
        })
    }
}

/// What goes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskGarbage {
    /// The task.
    pub task: TaskName,
    /// The entries that stay.
    pub kept: Amount,
    /// How many of those would go, but runs use them.
    pub in_use: u64,
    /// The entries that go, by reason.
    pub removed: BTreeMap<GcReason, Amount>,
    /// The size of its files.
    pub bytes_before: u64,
    /// The size of its files afterwards: without `apply`, what is expected.
    pub bytes_after: u64,
    /// Damaged files that go.
    pub damaged: Vec<StoreWarning>,
}

/// What a garbage collection took away, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// The tasks that something is remembered of, by name.
    pub tasks: Vec<TaskGarbage>,
    /// What goes of the digests of files that were read.
    pub files: FilesGarbage,
    /// Files that somebody began to write long ago and left behind.
    pub drafts: u64,
    /// Whether it was done, or only found out.
    pub applied: bool,
    /// What could not be done or understood, and stays.
    pub warnings: Vec<StoreWarning>,
}

impl GcReport {
    /// Returns the size of all files of the cache before.
    pub fn bytes_before(&self) -> u64 {
        self.tasks.iter().map(|task| task.bytes_before).sum()
    }

    /// Returns the damaged files that go.
    pub fn damaged(&self) -> impl Iterator<Item = &StoreWarning> {
        let of_tasks = self.tasks.iter().flat_map(|task| &task.damaged);
        of_tasks.chain(&self.files.damaged)
    }

    /// Returns how many entries would go, but runs use them.
    pub fn in_use(&self) -> u64 {
        self.tasks.iter().map(|task| task.in_use).sum()
    }

    /// Returns the size of all files of the cache afterwards: without `apply`, what is expected.
    pub fn bytes_after(&self) -> u64 {
        self.tasks.iter().map(|task| task.bytes_after).sum()
    }
}

/// The rules, with the time of the oldest entries that may stay for want of space.
struct Rules<'a> {
    options: &'a GcOptions<'a>,
    made_before: u64,
    full_before: u64,
}

impl Rules<'_> {
    fn reason(&self, candidate: &Candidate) -> Option<GcReason> {
        let made = candidate.entry.made_ms;
        if (self.options.unreachable)(candidate) {
            Some(GcReason::Unreachable)
        } else if made < self.made_before {
            Some(GcReason::Age)
        } else {
            (made < self.full_before).then_some(GcReason::Size)
        }
    }

    fn goes(&self, task: &TaskName, candidate: &Candidate) -> bool {
        self.reason(candidate).is_some() && !(self.options.in_use)(task, candidate)
    }
}

impl Cache {
    /// Finds what may go, and with `apply` takes it away: what is left of a task is written anew before the
    /// files that it was in go, so that a reader or a kill finds all of it at any moment, and what is
    /// published meanwhile stays.
    ///
    /// Damaged files go too, and so do directories with nothing in them and files that somebody began to write
    /// and left behind for a day. Files of later versions, and those that are none of the cache, stay. So does
    /// what cannot be read, written or removed, with a warning.
    ///
    /// The digests of files go that were read longer ago than entries may be, or than 90 days where no age is
    /// given.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] where the cache cannot be listed.
    pub fn collect_garbage(
        &self,
        options: &GcOptions<'_>,
        apply: bool,
    ) -> Result<GcReport, CacheError> {
        let tasks = self.tasks()?;
        let age = |age: Duration| options.now_ms.saturating_sub(age.as_millis() as u64);
        let mut rules = Rules {
            options,
            made_before: options.older_than.map_or(0, age),
            full_before: 0,
        };
        if let Some(most) = options.max_bytes {
            rules.full_before = self.full_before(&tasks, &rules, most);
        }
        let mut report = GcReport {
            applied: apply,
            ..GcReport::default()
        };
        for task in tasks {
            let directory = self.shelf(&task).directory;
            if let Err(error) = self.collect_of(task, &rules, &mut report) {
                report
                    .warnings
                    .push(StoreWarning::failed(directory, &error));
            }
        }
        let before = age(options.older_than.unwrap_or(FILES));
        report.files = files::collect(&self.store, before, apply, &mut report.warnings);
        let mut sweep = Sweep::new(options.now_ms, apply);
        sweep.all(&self.store);
        report.drafts = sweep.drafts;
        report.warnings.append(&mut sweep.warnings);
        Ok(report)
    }

    /// Finds the time before which entries must go for the rest to fit into `most` bytes. Tasks that cannot be
    /// read stay, and count for nothing.
    fn full_before(&self, tasks: &[TaskName], rules: &Rules<'_>, most: u64) -> u64 {
        // By second, so that it stays small however many entries there are.
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        let mut total: u64 = 0;
        for task in tasks {
            let Ok(opened) = self.open(task) else {
                continue;
            };
            let mut gone = 0;
            let of_task = self.each_size(&opened, task, &mut |candidate, bytes| {
                if (rules.options.in_use)(task, candidate) {
                    return;
                }
                if rules.reason(candidate).is_some() {
                    gone += bytes;
                } else {
                    *sizes.entry(candidate.entry.made_ms / 1000).or_default() += bytes;
                }
            });
            if of_task.is_ok() {
                total += opened.sizes().bytes.saturating_sub(gone);
            }
        }
        let mut before: u64 = 0;
        for (second, bytes) in sizes {
            if total <= most {
                break;
            }
            total = total.saturating_sub(bytes);
            before = second.saturating_add(1).saturating_mul(1000);
        }
        before
    }

    /// Calls `each` with every entry of a task and the bytes that it takes.
    fn each_size(
        &self,
        opened: &super::TaskCache,
        task: &TaskName,
        each: &mut dyn FnMut(&Candidate, u64),
    ) -> Result<(), CacheError> {
        opened
            .each(&mut |_, candidates| {
                for candidate in candidates {
                    let json = serde_json::to_vec(&candidate.entry)?;
                    each(&candidate, json.len() as u64 + BESIDES);
                }
                Ok(())
            })
            .map_err(|source| CacheError::io("read", self.shelf(task).directory, source))
    }

    fn collect_of(
        &self,
        task: TaskName,
        rules: &Rules<'_>,
        report: &mut GcReport,
    ) -> Result<(), CacheError> {
        let shelf = self.shelf(&task);
        let cache = self.open(&task)?;
        let mut garbage = TaskGarbage {
            kept: Amount::default(),
            in_use: 0,
            removed: BTreeMap::new(),
            bytes_before: cache.sizes().bytes,
            bytes_after: cache.sizes().bytes,
            damaged: Vec::new(),
            task,
        };
        let mut gone = 0;
        let (kept, removed, in_use) =
            (&mut garbage.kept, &mut garbage.removed, &mut garbage.in_use);
        self.each_size(&cache, &garbage.task, &mut |candidate, bytes| {
            let reason = rules.reason(candidate);
            let is_in_use = reason.is_some() && (rules.options.in_use)(&garbage.task, candidate);
            match reason {
                Some(reason) if !is_in_use => {
                    removed.entry(reason).or_default().add(bytes);
                    gone += bytes;
                }
                _ => {
                    kept.add(bytes);
                    *in_use += u64::from(is_in_use);
                }
            }
        })?;
        let opened = cache.opened();
        report.warnings.extend(opened.others.iter().cloned());
        for file in &opened.damaged {
            garbage.bytes_before += fs::metadata(&file.path).map_or(0, |file| file.len());
            garbage.damaged.push(file.clone());
        }
        garbage.bytes_after = if garbage.kept.entries == 0 {
            0
        } else {
            garbage.bytes_after.saturating_sub(gone)
        };
        if report.applied {
            remove(&garbage.damaged, &mut report.warnings);
            if !garbage.removed.is_empty() {
                let kept = self.retain(&garbage.task, &mut |_, candidate| {
                    !rules.goes(&garbage.task, candidate)
                });
                if let Err(error) = kept {
                    let directory = shelf.directory.clone();
                    report
                        .warnings
                        .push(StoreWarning::failed(directory, &error));
                }
            }
            garbage.bytes_after = self.open(&garbage.task)?.sizes().bytes;
        }
        report.tasks.push(garbage);
        Ok(())
    }
}
