//! What a record means.

use reflow_core::scheduler::{EndReason, ExitStatus, JobState};

use crate::config::Dialect;
use crate::parse::Record;

/// The substate of a job that somebody deleted, running or not.
const DELETED: i32 = 91;

/// Returns the state of a job or element.
///
/// `held_for_ever` says that it waits for what cannot come; `whole` is the record of the array of an
/// element, which has the comment and the dependency of all.
pub(crate) fn state(
    dialect: Dialect,
    record: &Record,
    whole: Option<&Record>,
    held_for_ever: bool,
) -> JobState {
    match record.state {
        Some('Q' | 'W' | 'T' | 'H') => {
            let comment = record
                .comment
                .as_deref()
                .or_else(|| whole?.comment.as_deref());
            JobState::Pending {
                reason: comment.map(str::to_owned).or_else(|| waiting(record)),
                never: held_for_ever
                    || comment.is_some_and(|comment| comment.starts_with("Can Never Run")),
            }
        }
        // `B` is an array of which elements may run.
        Some('R' | 'E' | 'S' | 'U' | 'B') => JobState::Running {
            since: record.started,
        },
        Some('F' | 'X' | 'C') => JobState::Ended(end(dialect, record, whole)),
        // `M` was moved to another server, which alone knows more.
        Some('M') | None => JobState::Unknown,
        Some(letter) => {
            tracing::warn!(%letter, "PBS reports a state of a job that is not known here");
            JobState::Unknown
        }
    }
}

/// A reason for a job that has no comment.
fn waiting(record: &Record) -> Option<String> {
    let depend = record.depend.as_ref()?;
    Some(format!("held: {depend}"))
}

fn end(dialect: Dialect, record: &Record, whole: Option<&Record>) -> ExitStatus {
    let reason = reason(dialect, record, whole);
    let exit = record
        .exit
        .filter(|_| record.has_run() || !is_unrun(reason));
    let by_itself = matches!(reason, EndReason::Completed | EndReason::Failed);
    let signal = exit.and_then(signal);
    ExitStatus {
        reason,
        code: exit
            .filter(|code| by_itself && signal.is_none() && *code >= 0)
            .and_then(|code| i32::try_from(code).ok()),
        signal,
        native: Some(native(dialect, record)),
        started: record.started,
        ended: record.ended(),
        elapsed: record.elapsed.filter(|_| !is_unrun(reason)),
        peak_memory: record.memory.filter(|memory| memory.bytes() > 0),
        node: record.node.clone(),
    }
}

/// Whether a job that ended so may not have started.
fn is_unrun(reason: EndReason) -> bool {
    matches!(
        reason,
        EndReason::Cancelled | EndReason::DependencyFailed | EndReason::Lost
    )
}

/// The signal in an exit status: 256 and the signal where it ended the job's shell, 128 and the signal
/// where the shell tells of its command's end.
fn signal(exit: i64) -> Option<i32> {
    let number = match exit {
        256.. => exit & 0x7f,
        129..=192 => exit - 128,
        _ => return None,
    };
    i32::try_from(number).ok().filter(|signal| *signal > 0)
}

fn reason(dialect: Dialect, record: &Record, whole: Option<&Record>) -> EndReason {
    let comment = record.comment.as_deref().unwrap_or_default();
    match record.exit {
        Some(code @ ..=-1) => by_pbs(dialect, code),
        _ if comment.contains("exceeded resource walltime") => EndReason::Walltime,
        _ if comment.contains("exceeded resource mem")
            || comment.contains("exceeded resource vmem") =>
        {
            EndReason::Memory
        }
        // An element that never ran has an exit status of 0 or 1 when it was deleted.
        _ if record.substate == Some(DELETED) || comment.contains(" and terminated") => {
            EndReason::Cancelled
        }
        _ if !record.has_run() && waits_for_failed(record, whole) => EndReason::DependencyFailed,
        Some(0) => EndReason::Completed,
        Some(_) => EndReason::Failed,
        // Torque keeps a deleted job as completed, without an exit status where it had not started.
        None if !record.has_run() && record.state != Some('X') => EndReason::Cancelled,
        None => EndReason::Lost,
    }
}

/// Whether the server deleted the job because its dependency can no longer hold: it then has ended
/// without an exit status, held by the system, and not as deleted by a user (OpenPBS 23.06.06).
fn waits_for_failed(record: &Record, whole: Option<&Record>) -> bool {
    let is_deleted = |record: &Record| {
        matches!(record.state, Some('F' | 'C'))
            && record.exit.is_none()
            && record.substate != Some(DELETED)
            && (record.depend.is_some() || record.is_held_by_system)
    };
    is_deleted(record) || whole.is_some_and(is_deleted)
}

/// Exit statuses with which PBS tells that it could not run a job, or killed it. OpenPBS:
/// `src/include/job.h` and, for -24 to -30, the PBS Professional administrator's guide; Torque: "Job Exit
/// Status" of its administrator's guide.
fn by_pbs(dialect: Dialect, code: i64) -> EndReason {
    match (dialect, code) {
        // Aborted when the daemon on the node was started again, or contact with a node was lost.
        (_, -6..=-4) | (Dialect::OpenPbs, -14 | -20) => EndReason::NodeFailure,
        (Dialect::OpenPbs, -11 | -12 | -15 | -18) => EndReason::Preempted,
        (Dialect::OpenPbs, -19) => EndReason::Cancelled,
        (Dialect::OpenPbs, -27 | -26) | (Dialect::Torque, -10) => EndReason::Memory,
        (Dialect::OpenPbs, -29) | (Dialect::Torque, -11) => EndReason::Walltime,
        // Too many cores (-24, -25) or too much CPU time (-28, Torque -12), of which reflow asks nothing.
        (Dialect::OpenPbs, -28 | -25 | -24) | (Dialect::Torque, -12) => EndReason::Failed,
        _ => EndReason::StartFailure,
    }
}

/// PBS's own words for an end.
fn native(dialect: Dialect, record: &Record) -> String {
    let exit = record.exit.unwrap_or_default();
    let name = match (dialect, exit) {
        (_, -1) => "JOB_EXEC_FAIL1",
        (_, -2) => "JOB_EXEC_FAIL2",
        (_, -3) => "JOB_EXEC_RETRY",
        (_, -4) => "JOB_EXEC_INITABT",
        (_, -5) => "JOB_EXEC_INITRST",
        (_, -6) => "JOB_EXEC_INITRMG",
        (_, -7) => "JOB_EXEC_BADRESRT",
        (Dialect::Torque, -8) => "JOB_EXEC_CMDFAIL",
        (Dialect::Torque, -9) => "JOB_EXEC_STDOUTFAIL",
        (Dialect::Torque, -10) => "JOB_EXEC_OVERLIMIT_MEM",
        (Dialect::Torque, -11) => "JOB_EXEC_OVERLIMIT_WT",
        (Dialect::Torque, -12) => "JOB_EXEC_OVERLIMIT_CPUT",
        (Dialect::OpenPbs, -10) => "JOB_EXEC_FAILUID",
        (Dialect::OpenPbs, -11) => "JOB_EXEC_RERUN",
        (Dialect::OpenPbs, -12) => "JOB_EXEC_CHKP",
        (Dialect::OpenPbs, -13) => "JOB_EXEC_FAIL_PASSWORD",
        (Dialect::OpenPbs, -16) => "JOB_EXEC_FAILHOOK_RERUN",
        (Dialect::OpenPbs, -17) => "JOB_EXEC_FAILHOOK_DELETE",
        (Dialect::OpenPbs, -21) => "JOB_EXEC_FAIL_SECURITY",
        (Dialect::OpenPbs, -22) => "JOB_EXEC_HOOKERROR",
        (Dialect::OpenPbs, -24) => "JOB_EXEC_KILL_NCPUS_BURST",
        (Dialect::OpenPbs, -25) => "JOB_EXEC_KILL_NCPUS_SUM",
        (Dialect::OpenPbs, -26) => "JOB_EXEC_KILL_VMEM",
        (Dialect::OpenPbs, -27) => "JOB_EXEC_KILL_MEM",
        (Dialect::OpenPbs, -28) => "JOB_EXEC_KILL_CPUT",
        (Dialect::OpenPbs, -29) => "JOB_EXEC_KILL_WALLTIME",
        (Dialect::OpenPbs, -30) => "JOB_EXEC_JOINJOB",
        _ => "",
    };
    if !name.is_empty() {
        return name.to_owned();
    }
    let state = record.state.map(|state| state.to_string());
    let substate = record
        .substate
        .map(|substate| format!("substate {substate}"));
    let exit = record.exit.map(|exit| format!("Exit_status {exit}"));
    let words: Vec<String> = [state, substate, exit].into_iter().flatten().collect();
    words.join(", ")
}
