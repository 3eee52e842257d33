//! Reads what `bjobs` and `bhist` print. Pure, and lenient: what is not understood is not known.

mod custom;
mod end;
mod long;
mod names;
mod time;

use std::collections::HashSet;

use reflow_core::scheduler::JobState;

pub(crate) use custom::custom;
pub(crate) use long::long;
pub(crate) use names::{Named, history_names, names};

use end::Facts;

/// How `bjobs` is asked for states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `-o`, of IBM's.
    Custom,
    /// `-l`, which every LSF has.
    Long,
}

/// The fields asked of `bjobs -o`: IBM's documentation of that option. The reason comes last, since it alone
/// may have any text.
pub(crate) const FIELDS: &str = "jobid jobindex stat exit_code exit_reason max_mem run_time start_time exec_host pend_reason delimiter='^'";

/// The fields asked for where only names matter.
const NAME_FIELDS: &str = "jobid jobindex job_name delimiter='^'";

impl Format {
    /// The arguments that ask for states.
    pub(crate) fn state_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Custom => &["-a", "-noheader", "-o", FIELDS],
            Self::Long => &["-a", "-l"],
        }
    }

    /// The arguments that ask for names.
    pub(crate) fn name_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Custom => &["-a", "-noheader", "-o", NAME_FIELDS],
            Self::Long => &["-a", "-w"],
        }
    }
}

/// What is said about one job, or one element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The number of the job.
    pub(crate) job: String,
    /// The element's index, from 1; 0 for a job that is no array.
    pub(crate) index: u32,
    /// Its state.
    pub(crate) state: JobState,
    /// Whether it failed, and only the history may tell whether somebody asked for its end.
    pub(crate) is_doubtful: bool,
    /// Whether somebody asked for its end.
    pub(crate) was_killed: bool,
}

/// Reads `43`, or `43[2]`: the number and the index, which is 0 for a job that is no array.
fn job_and_index(text: &str) -> Option<(&str, u32)> {
    let (job, index) = match text.split_once('[') {
        None => (text, 0),
        Some((job, index)) => (job, index.strip_suffix(']')?.parse().ok()?),
    };
    let is_number = !job.is_empty() && job.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some((job, index))
}

/// The numbers in lines `Job <99999> is not found`.
pub(crate) fn not_found(text: &str) -> HashSet<String> {
    text.lines()
        .filter(|line| line.contains("is not found") || line.contains("No matching job found"))
        .filter_map(|line| line.split_once("Job <")?.1.split_once('>'))
        .filter_map(|(id, _)| job_and_index(id))
        .map(|(job, _)| job.to_owned())
        .collect()
}

/// Words for a dependency that can no longer hold (openlava 2.2: `Dependency condition invalid or never
/// satisfied: 1 host;`).
const NEVER: &str = "nvalidornever";

/// Returns the state for a word of `bjobs`, with whether it is doubtful.
fn state(word: &str, reason: Option<String>, facts: Facts<'_>) -> (JobState, bool) {
    match word {
        "PEND" | "PSUSP" | "WAIT" => {
            let never = (reason.as_deref()).is_some_and(|reason| squeeze(reason).contains(NEVER));
            (JobState::Pending { reason, never }, false)
        }
        // Of a host that does not answer, UNKWN, nothing says that the job has ended.
        "RUN" | "USUSP" | "SSUSP" | "UNKWN" | "PROV" => (
            JobState::Running {
                since: facts.started,
            },
            false,
        ),
        "DONE" | "EXIT" | "ZOMBI" => {
            let (end, is_doubtful) = facts.exit_status(word);
            (JobState::Ended(end), is_doubtful)
        }
        _ => {
            tracing::warn!(word, "LSF reports a state of a job that is not known here");
            (JobState::Unknown, false)
        }
    }
}

/// Returns the text without white space. Lines are broken at 80 columns, inside words or in place of a
/// blank, so blanks say nothing once the lines are joined.
fn squeeze(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

/// The first host of `4*hostA:hostB` or `hostA`.
fn first_host(text: &str) -> Option<String> {
    let host = text.split([':', ' ']).next()?;
    let host = host.split_once('*').map_or(host, |(_, host)| host);
    (!host.is_empty() && host != "-").then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
