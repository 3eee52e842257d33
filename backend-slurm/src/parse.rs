//! Reads what `squeue` and `sacct` print. Pure, and lenient: what is not understood is not known.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use reflow_core::scheduler::{EndReason, ExitStatus, JobState, Memory};

/// The fields asked of `squeue`.
pub(crate) const QUEUE_FIELDS: &str =
    "JobArrayID:|,State:|,Reason:|,exit_code:|,StartTime:|,EndTime:|,NodeList:|";

/// The fields asked of `sacct`.
pub(crate) const ACCOUNTING_FIELDS: &str =
    "jobid,state,exitcode,start,end,elapsedraw,maxrss,nodelist";

/// Which part of a job a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The job, or all of an array that is not told apart.
    Whole,
    /// One element that has a record of its own.
    Element(u32),
    /// Elements that wait together.
    Elements(Vec<u32>),
}

/// One line about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The number of the job.
    pub(crate) job: String,
    /// Which part of it.
    pub(crate) part: Part,
    /// Its state.
    pub(crate) state: JobState,
}

/// Reads `12`, `12_3`, `12_[3-11%3]`: the job's number and its part. None for anything else.
fn job_and_part(text: &str) -> Option<(&str, Part)> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (job, part) = match text.split_once('_') {
        None => (text, Part::Whole),
        Some((job, list)) => match list.strip_prefix('[') {
            Some(list) => (job, Part::Elements(elements(list))),
            None => (job, Part::Element(list.parse().ok()?)),
        },
    };
    is_number(job).then_some((job, part))
}

/// Reads `1,3-5,10-20:5%3]`. Of a list that was cut short, the last item may be cut too and is left
/// out: its elements are then not known.
fn elements(list: &str) -> Vec<u32> {
    /// More than any array has: a range beyond it is garbage.
    const MOST: u32 = 10_000_000;
    let (list, is_whole) = match list.strip_suffix(']') {
        Some(list) if !list.ends_with("...") => (list, true),
        _ => (list, false),
    };
    let list = list.split_once('%').map_or(list, |(list, _)| list);
    let mut items: Vec<&str> = list.split(',').collect();
    if !is_whole {
        items.pop();
    }
    let mut elements = Vec::new();
    for item in items {
        let (range, step) = match item.split_once(':') {
            Some((range, step)) => (range, step.parse().unwrap_or(1)),
            None => (item, 1),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>())
            && last < MOST
        {
            elements.extend((first..=last).step_by(usize::max(step, 1)));
        }
    }
    elements
}

/// Reads the answer of `squeue` with [`QUEUE_FIELDS`]. The error is a line that does not fit, or one
/// that was cut: what is missing from half an answer may be in the queue all the same.
pub(crate) fn queue(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for line in lines(text)? {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, state, reason, exit_code, start, end, nodes, ..] = fields[..] else {
            return Err(line.to_owned());
        };
        let Some((job, part)) = job_and_part(id) else {
            continue;
        };
        let raw: i64 = exit_code.parse().unwrap_or(0);
        let facts = Facts {
            word: state,
            reason,
            // The status as wait(2) gives it.
            code: (raw >> 8) as i32,
            signal: (raw & 0x7f) as i32,
            start: time(start),
            end: time(end),
            elapsed: None,
            nodes,
            is_queue: true,
        };
        rows.push(Row {
            job: job.to_owned(),
            part,
            state: facts.state(),
        });
    }
    Ok(rows)
}

/// Reads the answer of `sacct` with [`ACCOUNTING_FIELDS`]. The lines of steps give their job its peak
/// memory. The error is a line that does not fit, or one that was cut.
pub(crate) fn accounting(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut peaks: HashMap<&str, Memory> = HashMap::new();
    let mut ids = Vec::new();
    let mut over_memory: HashSet<&str> = HashSet::new();
    for line in lines(text)? {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [id, state, exit_code, start, end, elapsed, peak, nodes, ..] = fields[..] else {
            return Err(line.to_owned());
        };
        if let Some((job, _step)) = id.split_once('.') {
            if let Ok(peak) = peak.parse::<Memory>() {
                let entry = peaks.entry(job).or_insert(peak);
                *entry = peak.max(*entry);
            }
            if state == "OUT_OF_MEMORY" {
                over_memory.insert(job);
            }
            continue;
        }
        let Some((job, part)) = job_and_part(id) else {
            continue;
        };
        let (code, signal) = exit_code.split_once(':').unwrap_or((exit_code, "0"));
        let facts = Facts {
            word: state,
            reason: "",
            code: code.parse().unwrap_or(0),
            signal: signal.parse().unwrap_or(0),
            start: time(start),
            end: time(end),
            elapsed: elapsed.parse().ok().map(Duration::from_secs),
            nodes,
            is_queue: false,
        };
        ids.push(id);
        rows.push(Row {
            job: job.to_owned(),
            part,
            state: facts.state(),
        });
    }
    for (id, row) in ids.iter().zip(&mut rows) {
        if let JobState::Ended(end) = &mut row.state {
            end.peak_memory = peaks.get(id).copied();
            // The line of the job has the exit status of the script, which fails because of the kill.
            if end.reason == EndReason::Failed && over_memory.contains(id) {
                end.reason = EndReason::Memory;
            }
        }
    }
    Ok(rows)
}

/// Lines with content; `CLUSTER: name` stands above the answer of a named cluster. The error is a last
/// line without its end.
pub(crate) fn lines(text: &str) -> Result<impl Iterator<Item = &str>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(text.lines().next_back().unwrap_or_default().to_owned());
    }
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("CLUSTER:")))
}

/// Reads seconds since 1970; `N/A`, `None` and `Unknown` are no time.
fn time(text: &str) -> Option<SystemTime> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// What a line says.
struct Facts<'a> {
    word: &'a str,
    reason: &'a str,
    code: i32,
    signal: i32,
    start: Option<SystemTime>,
    end: Option<SystemTime>,
    elapsed: Option<Duration>,
    nodes: &'a str,
    /// Whether the line is from the queue: what has not ended there is a fact, in the accounting it
    /// may be out of date.
    is_queue: bool,
}

/// Reasons for which a job can never start as it is: a person must change the job or the site.
///
/// Not here, since they pass by themselves: `PartitionNodeLimit` and `ReqNodeNotAvail` (also said while
/// nodes are down), `PartitionDown`, limits on what runs at the same time (`QOSMaxCpuPerUserLimit`,
/// `QOSGrpCpuLimit`, `AssocGrp...`), and holds, which somebody has set on purpose.
const NEVER: &[&str] = &[
    "AccountNotAllowed",
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "JobHoldMaxRequeue",
    "MaxMemPerLimit",
    // Slurm 22.05 says it of too many cores, and of an account or QOS that the partition does not take.
    "PartitionConfig",
    "PartitionTimeLimit",
    "QOSNotAllowed",
    "ReservationDeleted",
];

/// Whether the reason is that one job may never have so much (`QOSMaxWallDurationPerJobLimit`,
/// `AssocMaxCpuPerJobLimit`) or must have more (`QOSMinCpuNotSatisfied`).
fn is_limit_of_one_job(reason: &str) -> bool {
    let of = |prefix| reason.strip_prefix(prefix).map_or("", |rest| rest);
    of("AssocMax").contains("PerJob")
        || of("QOSMax").contains("PerJob")
        || matches!(reason, "QOSMinGRES" | "QOSMinMemory")
        || of("QOSMin").ends_with("NotSatisfied")
}

/// Whether a job with this reason can never start. Several reasons are those of several partitions, or
/// of several elements.
fn is_never(reason: &str) -> bool {
    reason
        .split(',')
        .all(|reason| NEVER.contains(&reason) || is_limit_of_one_job(reason))
}

/// The "signal" of a job whose output could not be opened or whose start failed on the node.
const START_FAILURE: i32 = 53;

impl Facts<'_> {
    fn state(&self) -> JobState {
        // `CANCELLED by 30065`, and `COMPLETED+` where a column was too narrow.
        let word = self.word.split([' ', '+']).next().unwrap_or_default();
        match word {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
            | "RESV_DEL_HOLD" => JobState::Pending {
                reason: (!matches!(self.reason, "" | "None")).then(|| self.reason.to_owned()),
                never: is_never(self.reason),
            },
            "RUNNING" | "COMPLETING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "SIGNALING"
            | "STAGE_OUT" | "RESIZING" | "POWER_UP_NODE" => JobState::Running { since: self.start },
            _ => match self.end_reason(word) {
                Some(reason) => JobState::Ended(self.exit_status(reason)),
                None => self.unheard_of(word),
            },
        }
    }

    /// A word of a version to come, or one that says nothing of the job's fate (`REVOKED`: it is on
    /// another cluster). A job in the queue is there, so it is neither unknown nor ended.
    fn unheard_of(&self, word: &str) -> JobState {
        tracing::warn!(
            word,
            "Slurm reports a state of a job that is not known here"
        );
        match self.node() {
            _ if !self.is_queue => JobState::Unknown,
            Some(_) => JobState::Running { since: self.start },
            None => JobState::Pending {
                reason: Some(self.word.to_owned()),
                never: false,
            },
        }
    }

    fn end_reason(&self, word: &str) -> Option<EndReason> {
        Some(match word {
            "COMPLETED" => EndReason::Completed,
            "FAILED" if self.signal == START_FAILURE => EndReason::StartFailure,
            "FAILED" => EndReason::Failed,
            "TIMEOUT" => EndReason::Walltime,
            "OUT_OF_MEMORY" => EndReason::Memory,
            "NODE_FAIL" | "BOOT_FAIL" => EndReason::NodeFailure,
            "PREEMPTED" => EndReason::Preempted,
            "LAUNCH_FAILED" | "RECONFIG_FAIL" => EndReason::StartFailure,
            "CANCELLED" if self.is_dependency_failure() => EndReason::DependencyFailed,
            "CANCELLED" | "DEADLINE" => EndReason::Cancelled,
            _ => return None,
        })
    }

    /// Slurm itself cancels the children of failed parents: nobody is named, and none had a node. The
    /// start is then missing, or the time of the cancellation.
    fn is_dependency_failure(&self) -> bool {
        let by_slurm = if self.is_queue {
            self.reason == "DependencyNeverSatisfied"
        } else {
            self.word == "CANCELLED" && (self.code, self.signal) == (0, 0)
        };
        by_slurm && self.node().is_none()
    }

    /// The first node; none for what never started.
    fn node(&self) -> Option<String> {
        if matches!(self.nodes, "" | "None assigned" | "(null)") {
            None
        } else {
            Some(first_node(self.nodes))
        }
    }

    fn exit_status(&self, reason: EndReason) -> ExitStatus {
        let by_itself = matches!(reason, EndReason::Completed | EndReason::Failed);
        let node = self.node();
        let started = self.start.filter(|_| node.is_some());
        ExitStatus {
            reason,
            code: (by_itself && self.signal == 0).then_some(self.code),
            // 53 and 125 stand for a failed start and too much memory: no process had that signal.
            signal: (self.signal != 0
                && !matches!(reason, EndReason::StartFailure | EndReason::Memory))
            .then_some(self.signal),
            native: Some(self.word.to_owned()),
            started,
            ended: self.end,
            elapsed: (self.elapsed.filter(|_| node.is_some()))
                .or_else(|| self.end?.duration_since(started?).ok()),
            peak_memory: None,
            node,
        }
    }
}

/// Returns the first of `c[1-4],d2` or `a,b`.
fn first_node(nodes: &str) -> String {
    let end = nodes.find(',').unwrap_or(nodes.len());
    match nodes.split_once('[') {
        Some((prefix, list)) if prefix.len() < end => {
            let end = list.find([',', '-', ']']).unwrap_or(list.len());
            format!("{prefix}{}", &list[..end])
        }
        _ => nodes[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests;
