//! A run as a reader sees it: the journal, and on top of it what workers have written since.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ingest::state_of;
use super::{ElementState, EngineError, State};
use crate::id::Tag;
use crate::journal::SubmissionKind;
use crate::results::{Outcome, ResultFinder, ResultRecord, Spool, SpoolContent, read_spool};
use crate::rundir::RunDir;
use crate::scheduler::EndReason;
use crate::workflow::{Graph, TaskIndex};

/// A run at one moment. Needs no lease, and asks nothing of the batch system.
#[derive(Debug)]
pub(super) struct View {
    pub(super) dir: RunDir,
    pub(super) graph: Graph,
    pub(super) state: State,
    /// Results that are not in the journal yet, but for those that tell no more than success: of very
    /// many, these would be most of what is kept.
    pub(super) fresh: HashMap<(TaskIndex, u32), ResultRecord>,
    finder: ResultFinder,
}

impl View {
    /// Reads the run, its running elements included.
    pub(super) fn read(dir: &RunDir) -> Result<Self, EngineError> {
        let graph = Graph::check(dir.record().description.clone())?;
        let state = State::read(dir, &graph)?;
        let mut view = Self {
            dir: dir.clone(),
            graph,
            state,
            fresh: HashMap::new(),
            finder: ResultFinder::new(dir.clone()),
        };
        view.read_spools()?;
        Ok(view)
    }

    fn read_spools(&mut self) -> io::Result<()> {
        let mut live: Vec<(u32, TaskIndex, Vec<PathBuf>)> = Vec::new();
        for (position, submission) in self.state.live() {
            let SubmissionKind::Elements {
                task,
                elements,
                batch,
                ..
            } = &submission.record.kind
            else {
                continue;
            };
            let mut files = Spool::new(self.dir.spool(&submission.record.tag)).files()?;
            let entries = &self.state.task(*task).elements;
            let mut is_awaited = vec![false; elements.len().div_ceil(*batch.max(&1)) as usize];
            for (rank, element) in (0u32..).zip(elements.iter()) {
                is_awaited[(rank / batch.max(&1)) as usize] |= entries
                    .get(element as usize)
                    .is_some_and(|entry| entry.submission == position && !entry.state.is_ended());
            }
            // What was taken in stays in the spool until all of it is: it is not read again.
            files.retain(|file| {
                Spool::index_of(file)
                    .and_then(|index| is_awaited.get(index as usize))
                    .is_none_or(|is_awaited| *is_awaited)
            });
            live.push((position, *task, files));
        }
        for (position, task, files) in live {
            for seen in read_all(&files)? {
                self.take(position, task, seen);
            }
        }
        Ok(())
    }

    fn take(&mut self, position: u32, task: TaskIndex, seen: Seen) {
        let entries = &mut self.state.tasks[task.get()];
        for element in seen.started {
            if let Some(entry) = entries.elements.get_mut(element as usize)
                && entry.submission == position
                && entry.state == ElementState::Queued
            {
                entry.state = ElementState::Running;
                entries
                    .counts
                    .move_one(ElementState::Queued, ElementState::Running);
            }
        }
        for (element, outcome, result) in seen.ended {
            let Some(entry) = entries.elements.get_mut(element as usize) else {
                continue;
            };
            let is_under_way = matches!(entry.state, ElementState::Queued | ElementState::Running);
            if entry.submission != position || !is_under_way || entry.attempt == 0 {
                continue;
            }
            let to = match outcome {
                Outcome::HandedBack => ElementState::Waiting,
                Outcome::Interrupted => ElementState::Failed,
                outcome => state_of(outcome).unwrap_or(ElementState::Lost),
            };
            entries.counts.move_one(entry.state, to);
            entry.state = to;
            if let Some(result) = result {
                self.fresh.insert((task, element), *result);
            }
        }
    }

    /// Returns the tries at an element that were sent, the oldest first; the last is the newest.
    pub(super) fn tries(&self, task: TaskIndex, element: u32) -> Vec<Try> {
        let key = (task, element);
        let past = self.state.attempts.get(&key).into_iter();
        let mut tries: Vec<Try> = past
            .flat_map(|attempts| &attempts.past)
            .map(|past| Try {
                attempt: past.attempt,
                submission: Some(past.submission),
                state: past.state,
                reason: past.reason,
                message: past.message.clone(),
            })
            .collect();
        let entry = self.state.task(task).elements.get(element as usize);
        let is_next = |attempt: u16| tries.last().is_none_or(|last| last.attempt < attempt);
        match entry {
            Some(entry) if is_next(entry.attempt) => {
                let verdict = self.state.verdicts.get(&key);
                tries.push(Try {
                    attempt: entry.attempt,
                    submission: (entry.attempt > 0).then_some(entry.submission),
                    state: entry.state,
                    reason: self.state.reason(task, element),
                    message: verdict.map(|verdict| verdict.message.clone()),
                });
            }
            // It waits for its next try.
            Some(entry) => tries.push(Try {
                attempt: entry.attempt + 1,
                submission: None,
                state: entry.state,
                reason: None,
                message: None,
            }),
            None => {}
        }
        tries
    }

    /// Returns the result of one try at an element, if its worker wrote one.
    pub(super) fn result(
        &mut self,
        task: TaskIndex,
        element: u32,
        of: &Try,
    ) -> io::Result<Option<ResultRecord>> {
        let Some(position) = of.submission else {
            return Ok(None);
        };
        let entry = self.state.task(task).elements.get(element as usize);
        if entry.is_some_and(|entry| entry.submission == position)
            && let Some(result) = self.fresh.get(&(task, element))
        {
            return Ok(Some(result.clone()));
        }
        let Some((tag, index)) = self.place(position, element) else {
            return Ok(None);
        };
        self.finder.find(&tag, index, element)
    }

    /// Returns what the worker of a try that was given up wrote afterwards. It does not count.
    pub(super) fn late_result(&self, element: u32, of: &Try) -> io::Result<Option<ResultRecord>> {
        let is_given_up = matches!(of.state, ElementState::Lost | ElementState::Failed);
        let Some((tag, index)) = of
            .submission
            .filter(|_| is_given_up)
            .and_then(|position| self.place(position, element))
        else {
            return Ok(None);
        };
        let content = match read_spool(&Spool::new(self.dir.spool(&tag)).late_file(index)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content?,
        };
        let mut ended = content.ended.into_iter();
        Ok(ended.find(|it| it.element == element && it.outcome != Outcome::Interrupted))
    }

    /// Returns the submission at a position and the array index of an element in it.
    fn place(&self, position: u32, element: u32) -> Option<(Tag, u32)> {
        let record = &self.state.submission(position).record;
        let SubmissionKind::Elements {
            elements, batch, ..
        } = &record.kind
        else {
            return None;
        };
        Some((record.tag.clone(), elements.rank(element) / batch.max(&1)))
    }

    /// Returns the task of that name.
    pub(super) fn task(&self, name: &str) -> Result<TaskIndex, EngineError> {
        self.graph.find(name).ok_or_else(|| {
            let names = self
                .graph
                .description()
                .tasks
                .iter()
                .map(|task| task.name.as_str());
            let near = crate::nearest::nearest(name, names)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            EngineError::NotFound(format!(
                "the workflow `{}` has no task `{name}`{near}",
                self.graph.description().name
            ))
        })
    }
}

/// One try at an element.
#[derive(Debug, Clone)]
pub(super) struct Try {
    /// Which, from 1; 0 before the first.
    pub(super) attempt: u16,
    /// What carries it, once it was sent.
    pub(super) submission: Option<u32>,
    pub(super) state: ElementState,
    pub(super) reason: Option<EndReason>,
    pub(super) message: Option<String>,
}

/// What spool files say, without what only a look at a single element needs.
#[derive(Debug, Default)]
struct Seen {
    started: Vec<u32>,
    ended: Vec<(u32, Outcome, Option<Box<ResultRecord>>)>,
}

impl Seen {
    fn add(&mut self, content: SpoolContent) {
        self.started.extend(content.started);
        for mut result in content.ended {
            let (element, outcome) = (result.element, result.outcome);
            let kept = (outcome != Outcome::Succeeded).then(|| {
                result.worker.clone_from(&content.worker);
                Box::new(result)
            });
            self.ended.push((element, outcome, kept));
        }
    }
}

/// Reads many spool files, on several threads when there are very many.
fn read_all(files: &[PathBuf]) -> io::Result<Vec<Seen>> {
    const FILES_A_THREAD: usize = 500;
    let threads = (files.len() / FILES_A_THREAD)
        .min(std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Seen> {
        let mut seen = Seen::default();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match read_spool(file) {
                Ok(content) => seen.add(content),
                // Moved into a pack since the directory was listed; the next look sees it there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    };
    if threads == 1 {
        return Ok(vec![work()?]);
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(threads);
        for handle in handles {
            match handle.join() {
                Ok(seen) => all.push(seen?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}
