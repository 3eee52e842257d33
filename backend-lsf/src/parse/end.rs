use std::time::{Duration, SystemTime};

use reflow_core::scheduler::{EndReason, ExitStatus, Memory};

/// What is said about the end of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts<'a> {
    /// Exit code.
    pub(super) code: Option<i32>,
    /// Signal, where LSF names one.
    pub(super) signal: Option<i32>,
    /// LSF's word for why it ended it: `TERM_RUNLIMIT`.
    pub(super) term: Option<&'a str>,
    pub(super) started: Option<SystemTime>,
    pub(super) ended: Option<SystemTime>,
    pub(super) elapsed: Option<Duration>,
    pub(super) run_limit: Option<Duration>,
    pub(super) node: Option<String>,
    pub(super) peak: Option<Memory>,
    /// Whether somebody asked for its end.
    pub(super) was_killed: bool,
    /// Whether the history may tell more.
    pub(super) has_history: bool,
}

/// Signals that end a job at its run limit: `USR2`, then those of `bkill`, or `KILL` by the guard of reflow's
/// script.
const ENDING: [i32; 4] = [2, 9, 12, 15];

/// LSF's words and what they mean: IBM's documentation of `bacct`, "termination reasons".
fn reason_of(term: &str) -> EndReason {
    match term {
        "TERM_RUNLIMIT" => EndReason::Walltime,
        "TERM_MEMLIMIT" | "TERM_SWAP" => EndReason::Memory,
        "TERM_OWNER" | "TERM_ADMIN" | "TERM_FORCE_OWNER" | "TERM_FORCE_ADMIN"
        | "TERM_REQUEUE_OWNER" | "TERM_REQUEUE_ADMIN" | "TERM_BUCKET_KILL" | "TERM_DEADLINE" => {
            EndReason::Cancelled
        }
        "TERM_ORPHAN_SYSTEM" => EndReason::DependencyFailed,
        // The site wanted the host for something else: as if for another job.
        "TERM_PREEMPT" | "TERM_LOAD" | "TERM_WINDOW" | "TERM_MC_RECALL" | "TERM_RC_RECLAIM" => {
            EndReason::Preempted
        }
        "TERM_ZOMBIE" => EndReason::NodeFailure,
        "TERM_PRE_EXEC_FAIL" | "TERM_CWD_NOTEXIST" | "TERM_CSM_ALLOC" => EndReason::StartFailure,
        _ => EndReason::Failed,
    }
}

impl Facts<'_> {
    /// Returns how the job ended, with whether the history may tell more. `word` is `DONE`, `EXIT` or
    /// `ZOMBI`.
    pub(super) fn exit_status(self, word: &str) -> (ExitStatus, bool) {
        // The shell around the script says 128 more than the signal (openlava 2.2: 137, 139, 140).
        let signal = self
            .signal
            .or_else(|| self.code.map(|code| code - 128))
            .filter(|signal| (1..=31).contains(signal));
        let reason = self.reason(word, signal);
        let by_itself = matches!(reason, EndReason::Completed | EndReason::Failed)
            && self.term.is_none_or(|term| term == "TERM_EXTERNAL_SIGNAL");
        let code = match word {
            "DONE" => Some(0),
            _ => self.code.filter(|_| by_itself && signal.is_none()),
        };
        // A job that takes the signal may end in any way.
        let is_doubtful = self.has_history && reason == EndReason::Failed && self.term.is_none();
        let end = ExitStatus {
            reason,
            code,
            signal: signal.filter(|_| word != "DONE"),
            native: Some(self.term.unwrap_or(word).to_owned()),
            started: self.started,
            ended: self.ended,
            elapsed: self.elapsed.or_else(|| {
                let (started, ended) = (self.started?, self.ended?);
                ended.duration_since(started).ok()
            }),
            peak_memory: self.peak,
            node: self.node,
        };
        (end, is_doubtful)
    }

    fn reason(&self, word: &str, signal: Option<i32>) -> EndReason {
        match (word, self.term) {
            ("DONE", _) => EndReason::Completed,
            (_, Some(term)) => reason_of(term),
            // IBM's documentation of `bjobs`: killed while its host did not answer.
            ("ZOMBI", None) => EndReason::Cancelled,
            // Nothing but a kill ends a job that never started (openlava 2.2: `Exited`, with no code).
            _ if self.never_started() => EndReason::Cancelled,
            _ if self.was_killed => EndReason::Cancelled,
            _ if self.is_over_run_limit()
                && signal.is_some_and(|signal| ENDING.contains(&signal)) =>
            {
                EndReason::Walltime
            }
            _ => EndReason::Failed,
        }
    }

    fn never_started(&self) -> bool {
        self.started.is_none()
            && self.node.is_none()
            && self.code.is_none()
            && self.signal.is_none()
    }

    fn is_over_run_limit(&self) -> bool {
        let elapsed = self
            .elapsed
            .or_else(|| self.ended?.duration_since(self.started?).ok());
        elapsed
            .zip(self.run_limit)
            .is_some_and(|(elapsed, limit)| elapsed >= limit)
    }
}
