use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reflow_core::id::{JobId, Tag};
use reflow_core::rundir::Selection;
use reflow_core::scheduler::{
    Capabilities, DependencyKind, EndReason, ExitStatus, FailedParent, JobRequest, JobState,
};
use tokio::time::Instant;

use super::random::{Random, mix};

/// How often things go wrong, each out of a thousand.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// A submit arrives, but its answer does not.
    pub(super) answer_lost: u64,
    /// A submit does not arrive, and nobody knows.
    pub(super) request_lost: u64,
    /// A submit is refused for now.
    pub(super) busy: u64,
    /// A read-only question fails.
    pub(super) no_answer: u64,
    /// An element is not known at a look, although it is there.
    pub(super) not_known: u64,
    /// The end of an element is seen only later.
    pub(super) late_end: u64,
    /// A job of elements is cancelled while pending.
    pub(super) lost_pending: u64,
    /// A worker is killed in the middle of a body.
    pub(super) killed: u64,
    /// A dispatch is killed at a step of its I/O.
    pub(super) dispatch_killed: u64,
    /// A dispatch freezes at a step of its I/O.
    pub(super) dispatch_frozen: u64,
    /// A dispatch job is cancelled before it starts.
    pub(super) dispatch_cancelled: u64,
    /// A second dispatch is made at some moment.
    pub(super) doubled: u64,
    /// A look-up says `Absent` for a job that is still on its way.
    pub(super) find_early: u64,
    /// Most jobs in the queue, each index of an array counted as one.
    pub(super) limit: Option<u32>,
}

impl Faults {
    /// Returns whether nothing happens to dispatches and to what they ask of the batch system. Where it holds
    /// the children of cancelled jobs, what happens to their parents happens to them.
    pub(super) fn spares_dispatch(&self, capabilities: &Capabilities) -> bool {
        (capabilities.releases_cancelled || self.lost_pending == 0)
            && self.answer_lost + self.request_lost + self.busy + self.no_answer == 0
            && self.dispatch_killed + self.dispatch_frozen + self.dispatch_cancelled == 0
    }
}

/// The model of a batch system.
#[derive(Debug)]
pub(super) struct World {
    pub(super) random: Random,
    pub(super) capabilities: Capabilities,
    pub(super) faults: Faults,
    pub(super) jobs: Vec<Job>,
    /// How often the body of an element was started in each of its tries.
    pub(super) starts: BTreeMap<(String, u32, u32), u32>,
    /// Elements whose body was killed, with the try.
    pub(super) killed: Vec<(String, u32, u32)>,
    /// What was cancelled on request, as far as whoever asked was told so.
    pub(super) cancelled: Vec<Vec<Selection>>,
    /// Bodies that were started after their cancellation was reported.
    pub(super) disobeyed: Vec<String>,
    /// When the run began.
    pub(super) started: Instant,
    /// Array indices that were cancelled or whose worker was killed.
    pub(super) died: BTreeSet<(Tag, u32)>,
    /// Bodies running now, by task, and the most there ever were.
    pub(super) most_running: BTreeMap<String, u32>,
    pub(super) submits: u32,
}

/// One job of the model.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) request: JobRequest,
    /// When it arrives: a request may be on its way for some time.
    pub(super) arrives: Instant,
    pub(super) indices: Vec<Index>,
}

/// One array index, or the job itself.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) state: IndexState,
    /// When its end can be seen.
    pub(super) visible: Instant,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum IndexState {
    Pending,
    Running {
        ends: Instant,
        exit: Option<ExitStatus>,
        late: bool,
    },
    /// A dispatch, which ends when it ends.
    Dispatching,
    Ended {
        exit: ExitStatus,
        at: Instant,
        /// Whether it had started.
        ran: bool,
    },
}

/// Returns what the clock of the batch system says so long after a run began.
pub(super) fn right_time(elapsed: Duration) -> SystemTime {
    // Late enough that clocks may be hours behind.
    UNIX_EPOCH + Duration::from_hours(48) + elapsed
}

/// Returns what the clock of the process `pid` says then. In every other run one process of two has a
/// clock that jumps, forwards or backwards.
pub(super) fn process_time(seed: u64, pid: u32, elapsed: Duration) -> SystemTime {
    let time = right_time(elapsed);
    let bits = mix(seed ^ (u64::from(pid) << 40));
    let jumps_at = Duration::from_secs((bits >> 8) % 60);
    if seed.is_multiple_of(2) || bits.is_multiple_of(2) || elapsed < jumps_at {
        return time;
    }
    let jump = Duration::from_secs((bits >> 16) % 7200);
    if bits & 2 == 0 {
        time + jump
    } else {
        time - jump
    }
}

/// How long the model remembers ended jobs.
const HISTORY: Duration = Duration::from_secs(90);

impl Job {
    pub(super) fn is_over(&self) -> bool {
        self.indices
            .iter()
            .all(|index| matches!(index.state, IndexState::Ended { .. }))
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.indices.iter().all(
            |index| matches!(index.state, IndexState::Ended { at, .. } if at.elapsed() > HISTORY),
        )
    }

    /// Returns whether it was cancelled as a whole before it started.
    fn never_ran(&self) -> bool {
        self.indices.iter().all(|index| {
            matches!(&index.state, IndexState::Ended { exit, ran: false, .. } if exit.reason == EndReason::Cancelled)
        })
    }

    /// Returns whether the batch system removed it for the failure of a parent.
    fn was_deleted(&self) -> bool {
        let is_deleted = |index: &Index| matches!(&index.state, IndexState::Ended { exit, .. } if exit.reason == EndReason::DependencyFailed);
        self.indices.iter().any(is_deleted)
    }

    pub(super) fn is_driver(&self) -> bool {
        self.request
            .command
            .argv
            .iter()
            .any(|word| word == "dispatch")
    }

    /// Returns whether it looks from time to time, and drives nothing.
    pub(super) fn is_watch(&self) -> bool {
        self.is_driver() && self.task() == "watch"
    }

    /// Returns how many of its indices count against a limit.
    pub(super) fn queued(&self) -> usize {
        let is_over = |it: &&Index| matches!(it.state, IndexState::Ended { .. });
        self.indices.len() - self.indices.iter().filter(is_over).count()
    }

    pub(super) fn task(&self) -> String {
        self.request
            .comment
            .as_deref()
            .and_then(|comment| comment.split(' ').next_back())
            .unwrap_or_default()
            .to_owned()
    }
}

/// What a dependency says.
enum Held {
    Free,
    Waits,
    /// The parent ended in another way.
    Never,
    /// The parent was cancelled before it started, and nothing is released by that.
    Blocked,
}

impl World {
    pub(super) fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == *id)
    }

    pub(super) fn end(&mut self, job: usize, index: usize, exit: ExitStatus) {
        let delay = if self.random.happens(self.faults.late_end) {
            self.random.below(4000)
        } else {
            0
        };
        let now = Instant::now();
        if !matches!(
            exit.reason,
            EndReason::Completed | EndReason::DependencyFailed
        ) && exit.code.is_none()
        {
            self.died
                .insert((self.jobs[job].request.tag.clone(), index as u32));
        }
        let entry = &mut self.jobs[job].indices[index];
        let ran = entry.state != IndexState::Pending;
        entry.state = IndexState::Ended { exit, at: now, ran };
        entry.visible = now + Duration::from_millis(delay);
    }

    /// Cancels what must be cancelled and returns what starts now.
    pub(super) fn advance(&mut self) -> Vec<(usize, usize)> {
        let mut starting = Vec::new();
        for job in 0..self.jobs.len() {
            if self.jobs[job].arrives > Instant::now() || self.jobs[job].is_over() {
                continue;
            }
            let most = self.jobs[job]
                .request
                .array
                .and_then(|array| array.at_most)
                .unwrap_or(u32::MAX);
            let mut running = self.jobs[job]
                .indices
                .iter()
                .filter(|index| {
                    matches!(
                        index.state,
                        IndexState::Running { .. } | IndexState::Dispatching
                    )
                })
                .count();
            for index in 0..self.jobs[job].indices.len() {
                if self.jobs[job].indices[index].state != IndexState::Pending {
                    continue;
                }
                match self.held(job, index) {
                    Held::Never if self.capabilities.failed_parent != FailedParent::PendForever => {
                        let mut exit = ExitStatus::new(EndReason::DependencyFailed);
                        exit.native = Some("CANCELLED".to_owned());
                        self.end(job, index, exit);
                    }
                    Held::Free if running < most as usize && self.random.happens(600) => {
                        running += 1;
                        starting.push((job, index));
                    }
                    _ => {}
                }
            }
        }
        starting
    }

    /// Returns whether nothing of a job will ever start.
    pub(super) fn is_stuck(&self, job: usize) -> bool {
        let mut pending = self.jobs[job].indices.iter().enumerate();
        pending.all(|(index, entry)| match entry.state {
            IndexState::Pending => {
                matches!(self.held(job, index), Held::Never | Held::Blocked)
            }
            IndexState::Ended { .. } => true,
            _ => false,
        })
    }

    fn held(&self, job: usize, index: usize) -> Held {
        let now = right_time(self.started.elapsed());
        let mut waits = self.jobs[job]
            .request
            .not_before
            .is_some_and(|not_before| not_before > now);
        for dependency in &self.jobs[job].request.dependencies {
            // What is not known, or no more, satisfies every dependency, as on Slurm.
            let Some(parent) = self
                .job(&dependency.job)
                .filter(|parent| !parent.is_forgotten())
            else {
                continue;
            };
            let is_ok = |index: &Index| matches!(&index.state, IndexState::Ended { exit, .. } if exit.reason == EndReason::Completed);
            let is_bad =
                |index: &Index| matches!(index.state, IndexState::Ended { .. }) && !is_ok(index);
            let ignores = self.capabilities.failed_parent == FailedParent::Runs;
            if !self.capabilities.releases_cancelled && parent.never_ran() {
                return Held::Blocked;
            }
            if self.capabilities.failed_parent == FailedParent::Deleted && parent.was_deleted() {
                return Held::Never;
            }
            match dependency.kind {
                DependencyKind::Any => waits |= !parent.is_over(),
                DependencyKind::Ok if ignores => waits |= !parent.is_over(),
                DependencyKind::Ok | DependencyKind::NotOk => {
                    let wants_bad = dependency.kind == DependencyKind::NotOk;
                    if !parent.is_over() {
                        waits = true;
                    } else if parent.indices.iter().any(is_bad) != wants_bad {
                        return Held::Never;
                    }
                }
                DependencyKind::ElementWise | DependencyKind::ElementWiseAny => {
                    match parent.indices.get(index) {
                        Some(theirs)
                            if is_bad(theirs)
                                && !ignores
                                && dependency.kind == DependencyKind::ElementWise =>
                        {
                            return Held::Never;
                        }
                        Some(theirs) => waits |= !matches!(theirs.state, IndexState::Ended { .. }),
                        None => return Held::Never,
                    }
                }
            }
        }
        if waits { Held::Waits } else { Held::Free }
    }

    /// Returns the state of an index as the batch system tells it.
    pub(super) fn told(&mut self, job: usize, index: usize) -> JobState {
        if self.random.happens(self.faults.not_known) || self.jobs[job].is_forgotten() {
            return JobState::Unknown;
        }
        let held = self.held(job, index);
        let index = &self.jobs[job].indices[index];
        match &index.state {
            IndexState::Pending => {
                // One that is refused its start is removed at once where batch systems do that.
                let never = matches!(held, Held::Never | Held::Blocked);
                JobState::Pending {
                    reason: None,
                    never,
                }
            }
            IndexState::Ended { exit, .. } if index.visible <= Instant::now() => {
                JobState::Ended(exit.clone())
            }
            _ => JobState::Running { since: None },
        }
    }
}
