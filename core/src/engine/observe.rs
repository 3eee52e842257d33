//! What the batch system says about elements whose workers are silent.
//!
//! The worker's result comes first, the batch system second; an element is given up only when both have
//! been looked at, the results again after a grace period.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::ingest::Spooled;
use super::{ElementState, State};
use crate::elements::ElementSet;
use crate::journal::{SubmissionKind, SubmissionRecord};
use crate::results::{IndexClaim, Spool, WorkerRecord};
use crate::rundir::{Owner, RunDir};
use crate::scheduler::{EndReason, ExitStatus, JobState, JobStatus};
use crate::workflow::TaskIndex;

/// How long a job that nobody knows is believed to be there: histories lag behind queues by seconds.
const UNKNOWN_GRACE: Duration = Duration::from_secs(30);
/// How soon the batch system is asked again about a job that it does not know.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How often an element may come back unstarted before it is given up.
pub(super) const MOST_RETURNS: u32 = 5;

/// How long to wait for a result after the batch system said that the job has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    ended: Duration,
    unknown: Duration,
}

impl Grace {
    /// Returns the grace for a file system on which a file is seen elsewhere after `latency`.
    pub(super) fn new(latency: Duration) -> Self {
        Self {
            ended: latency,
            unknown: UNKNOWN_GRACE.max(latency),
        }
    }
}

/// Elements under suspicion, by submission and element: since when, and whether their end is known.
pub(super) type Suspects = BTreeMap<(u32, u32), (Instant, bool)>;

/// What is decided.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A dispatch job is over.
    Closed(u32),
    /// Elements have ended.
    Ended {
        position: u32,
        task: TaskIndex,
        elements: ElementSet,
        state: ElementState,
        reason: Option<EndReason>,
        message: String,
        /// What the batch system says of each.
        exits: BTreeMap<u32, ExitStatus>,
    },
    /// Elements will not be run by their job, and their body was never started.
    NeverStarted { position: u32, elements: ElementSet },
    /// A job waits for what will never come, and must be taken out of the queue: with these elements, or,
    /// where it has none, a job that plans.
    Blocked { position: u32, elements: ElementSet },
}

/// What follows from one look at the batch system.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) verdicts: Vec<Verdict>,
    /// How long until the next suspect can be judged.
    pub(super) wait: Option<Duration>,
}

/// Judges what the batch system said about submissions.
pub(super) fn judge(
    dir: &RunDir,
    state: &State,
    spooled: &Spooled,
    watched: &[(u32, JobStatus)],
    suspects: &mut Suspects,
    grace: Grace,
) -> Judged {
    let mut judged = Judged::default();
    let mut suspected = Suspects::new();
    for (position, status) in watched {
        let record = &state.submission(*position).record;
        let mut ripe = |element: u32, is_known: bool, judged: &mut Judged| {
            // Never at the first look: what its worker wrote since the results were read is read before
            // the second.
            let before = suspects
                .get(&(*position, element))
                .filter(|(_, known)| *known == is_known);
            let since = before.map_or_else(Instant::now, |(since, _)| *since);
            suspected.insert((*position, element), (since, is_known));
            let left =
                if is_known { grace.ended } else { grace.unknown }.saturating_sub(since.elapsed());
            if before.is_some() && left.is_zero() {
                return true;
            }
            // What is not known now may be known soon.
            let next = if is_known { left } else { left.min(ASK_AGAIN) };
            judged.wait = Some(judged.wait.map_or(next, |wait| wait.min(next)));
            false
        };
        let SubmissionKind::Elements {
            task,
            elements,
            batch,
            ..
        } = &record.kind
        else {
            if is_blocked(record, &status.state) {
                if ripe(0, true, &mut judged) {
                    let elements = ElementSet::new();
                    let position = *position;
                    judged
                        .verdicts
                        .push(Verdict::Blocked { position, elements });
                }
                continue;
            }
            let is_over = match status.state {
                JobState::Ended(_) => true,
                // A watch is there for what nobody thought of; nothing waits for it.
                JobState::Unknown if matches!(record.kind, SubmissionKind::Watch { .. }) => false,
                JobState::Unknown => ripe(0, false, &mut judged),
                _ => false,
            };
            if is_over {
                judged.verdicts.push(Verdict::Closed(*position));
            }
            continue;
        };
        let by_index: BTreeMap<u32, &JobState> = status
            .elements
            .iter()
            .map(|element| (element.index, &element.state))
            .collect();
        let is_array = record.indices().is_some_and(|count| count > 1);
        let is_void = matches!(Owner::read(&dir.owner(&record.tag)), Ok(Some(Owner::Void)));
        let started = spooled.started.get(position);
        let mut groups: BTreeMap<String, (Ruling, ElementSet)> = BTreeMap::new();
        let mut blocked = ElementSet::new();
        let mut exits: BTreeMap<u32, ExitStatus> = BTreeMap::new();
        let started_indices: BTreeSet<u32> = started
            .into_iter()
            .flatten()
            .map(|element| elements.rank(*element) / batch)
            .collect();
        for (rank, element) in (0u32..).zip(elements.iter()) {
            let entry = state.task(*task).elements.get(element as usize);
            if !entry.is_some_and(|entry| {
                entry.state == ElementState::Queued && entry.submission == *position
            }) {
                continue;
            }
            let index = rank / batch;
            let of_index = if is_array {
                by_index.get(&index).copied().unwrap_or(&JobState::Unknown)
            } else {
                &status.state
            };
            let returns = state.returns.get(&(*task, element)).copied().unwrap_or(0);
            let exit = match of_index {
                pending if returns < MOST_RETURNS && is_blocked(record, pending) => {
                    if ripe(element, true, &mut judged) {
                        blocked.insert(element);
                    }
                    continue;
                }
                JobState::Pending { .. } | JobState::Running { .. } => continue,
                JobState::Ended(exit) => Some(exit),
                JobState::Unknown => None,
            };
            if !ripe(element, exit.is_some(), &mut judged) {
                continue;
            }
            // What may have been started is not started again in the same try.
            let is_unsure = [Some(index), None]
                .iter()
                .any(|of| spooled.damaged.contains(&(*position, *of)));
            let evidence = Evidence {
                exit,
                is_void,
                started: is_unsure || started.is_some_and(|started| started.contains(&element)),
                index_started: started_indices.contains(&index),
                interrupted: spooled
                    .interrupted
                    .get(&(*position, element))
                    .and_then(|result| result.signal),
                returns,
            };
            let ruling = evidence.rule();
            exits.extend(exit.map(|exit| (element, exit.clone())));
            groups
                .entry(format!("{ruling:?}"))
                .or_insert_with(|| (ruling, ElementSet::new()))
                .1
                .insert(element);
        }
        if !blocked.is_empty() {
            judged.verdicts.push(Verdict::Blocked {
                position: *position,
                elements: blocked,
            });
        }
        for (ruling, elements) in groups.into_values() {
            judged.verdicts.push(match ruling {
                Ruling::HandBack => Verdict::NeverStarted {
                    position: *position,
                    elements,
                },
                Ruling::End {
                    state,
                    reason,
                    message,
                } => Verdict::Ended {
                    exits: elements
                        .iter()
                        .filter_map(|element| Some((element, exits.get(&element)?.clone())))
                        .collect(),
                    position: *position,
                    task: *task,
                    elements,
                    state,
                    reason,
                    message,
                },
            });
        }
    }
    *suspects = suspected;
    judged
}

/// Returns whether a job waits for others that will never let it start: one whose parent failed where the
/// batch system leaves it pending, or was cancelled before it ran where that holds it for ever. What waits
/// for nothing and can never start asks for more than there is, and to send it again would not help.
fn is_blocked(record: &SubmissionRecord, state: &JobState) -> bool {
    matches!(state, JobState::Pending { never: true, .. }) && !record.after.is_empty()
}

struct Evidence<'a> {
    /// How the batch system says that it ended, if it does.
    exit: Option<&'a ExitStatus>,
    /// Whether its submission was given up, so that no worker runs it.
    is_void: bool,
    /// Whether its body was started.
    started: bool,
    /// Whether the body of an element of the same array index was.
    index_started: bool,
    /// The signal that its worker was told to end by.
    interrupted: Option<i32>,
    /// How often it came back unstarted.
    returns: u32,
}

#[derive(Debug, Clone)]
enum Ruling {
    HandBack,
    End {
        state: ElementState,
        reason: Option<EndReason>,
        message: String,
    },
}

impl Evidence<'_> {
    fn rule(&self) -> Ruling {
        let end = |state, reason, message: String| Ruling::End {
            state,
            reason,
            message,
        };
        let Some(exit) = self.exit else {
            return match () {
                () if let Some(signal) = self.interrupted => end(
                    ElementState::Failed,
                    Some(EndReason::Failed),
                    format!("ended by signal {signal}, and the batch system does not know why"),
                ),
                () if self.started => end(
                    ElementState::Lost,
                    Some(EndReason::Lost),
                    "its worker stopped without a result, and the batch system does not know its job any more".to_owned(),
                ),
                () if self.returns < MOST_RETURNS => Ruling::HandBack,
                () => end(
                    ElementState::Lost,
                    Some(EndReason::Lost),
                    format!("the batch system forgot its job {} times before it started", self.returns + 1),
                ),
            };
        };
        let may_return = !self.started && self.returns < MOST_RETURNS;
        let is_no_fault_of_its = matches!(
            exit.reason,
            EndReason::DependencyFailed
                | EndReason::Lost
                | EndReason::NodeFailure
                | EndReason::Preempted
        );
        if may_return && (self.is_void || self.index_started || is_no_fault_of_its) {
            return Ruling::HandBack;
        }
        let native = exit
            .native
            .as_ref()
            .map_or_else(String::new, |word| format!(" ({word})"));
        let how = match (exit.signal, exit.code) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("exit status {code}"),
            (None, None) => "an unknown exit status".to_owned(),
        };
        let reason = Some(exit.reason);
        match exit.reason {
            EndReason::Walltime => end(
                ElementState::Failed,
                reason,
                format!("it ran longer than its walltime{native}"),
            ),
            EndReason::Memory => end(
                ElementState::Failed,
                reason,
                format!("it used more memory than it asked for{native}"),
            ),
            EndReason::NodeFailure => end(
                ElementState::Failed,
                reason,
                format!("its node failed{native}"),
            ),
            EndReason::Preempted => end(
                ElementState::Failed,
                reason,
                format!("its job was preempted{native}"),
            ),
            EndReason::StartFailure => end(
                ElementState::Failed,
                reason,
                format!("its job could not be started{native}"),
            ),
            EndReason::Cancelled => end(
                ElementState::Cancelled,
                reason,
                format!("its job was cancelled in the batch system{native}"),
            ),
            EndReason::Completed if !self.started => end(
                ElementState::Lost,
                Some(EndReason::Lost),
                format!(
                    "its job ended in order{native}, and its result is not there: the file of results was damaged or removed"
                ),
            ),
            EndReason::Failed if !self.started => end(
                ElementState::Failed,
                Some(EndReason::StartFailure),
                format!(
                    "its job ended with {how} before the body started{native}; the output of the job says why"
                ),
            ),
            EndReason::Completed | EndReason::Failed if self.interrupted.is_some() => {
                let signal = self.interrupted.unwrap_or_default();
                end(
                    ElementState::Failed,
                    Some(EndReason::Failed),
                    format!("ended by signal {signal}"),
                )
            }
            _ => end(
                ElementState::Lost,
                reason,
                format!("its worker ended with {how}, without a result{native}"),
            ),
        }
    }
}

/// Returns who claims indices so that no worker does.
pub(super) fn nobody() -> WorkerRecord {
    WorkerRecord {
        job: None,
        node: String::new(),
        log: String::new(),
    }
}

/// Takes elements back from a submission whose job did not start them, so that it cannot start them
/// later either. Returns those that could be taken back.
pub(super) fn take_back(
    dir: &RunDir,
    state: &State,
    position: u32,
    elements: ElementSet,
) -> io::Result<ElementSet> {
    let record = &state.submission(position).record;
    let SubmissionKind::Elements {
        elements: all,
        batch,
        ..
    } = &record.kind
    else {
        return Ok(ElementSet::new());
    };
    match Owner::claim(&dir.owner(&record.tag), &Owner::Void)? {
        None | Some(Owner::Void) => return Ok(elements),
        Some(Owner::Job(_) | Owner::Unreadable) => {}
    }
    // Some index of it has run: single indices are claimed as their workers would.
    let spool = Spool::new(dir.spool(&record.tag));
    let nobody = nobody();
    let mut claimed: BTreeMap<u32, bool> = BTreeMap::new();
    let mut taken = ElementSet::new();
    for element in elements.iter() {
        let index = all.rank(element) / batch;
        let is_ours = if let Some(is_ours) = claimed.get(&index) {
            *is_ours
        } else {
            let is_ours = match spool.claim(index, &nobody)? {
                IndexClaim::Claimed(_) => true,
                // Where the file of a worker was set aside, one had claimed the index before us.
                IndexClaim::Taken(content) => {
                    content.worker.as_ref() == Some(&nobody)
                        && !spool.late_file(index).try_exists()?
                }
            };
            claimed.insert(index, is_ours);
            is_ours
        };
        if is_ours {
            taken.insert(element);
        }
    }
    Ok(taken)
}
