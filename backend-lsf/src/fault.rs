use reflow_core::scheduler::SchedulerErrorKind;
use reflow_core::scheduler::client::Complaints;

use SchedulerErrorKind::{Busy, LimitReached, Permission, TimedOut, Unreachable};

/// LSF's words and what they mean; the first that is found counts.
///
/// Most texts are those of openlava 2.2 (`lsb.err.c`, `lsb.comm.c`), which IBM's programs share; `LSF is down`
/// and the pending job threshold are IBM's.
pub(crate) const WORDS: Complaints = Complaints(&[
    // Nobody was reached.
    ("LSF is down", Unreachable, false),
    ("LIM is down", Unreachable, false),
    ("LIM) not responding", Unreachable, false),
    ("Master LIM", Unreachable, false),
    ("Connection refused by server", Unreachable, false),
    ("Timeout on connect call to server", Unreachable, false),
    ("Unable to open file", Unreachable, false),
    // The request may have arrived: the answer is what is missing.
    ("Communication timeout", TimedOut, true),
    ("Failed in an LSF library call", Unreachable, true),
    ("System call failed", Unreachable, true),
    ("XDR encode/decode error", TimedOut, true),
    ("Batch protocol error", TimedOut, true),
    ("Server is not connected", TimedOut, true),
    ("Master batch daemon internal error", Busy, true),
    ("daemon not responding", Unreachable, true),
    // Limits on jobs in the queue, which pass as jobs end. IBM's documentation of MAX_PEND_JOBS: the
    // submission is refused, and the client tries again by itself, for ever where LSB_NTRIES is not set.
    ("ending job threshold", LimitReached, false),
    ("has reached its job limit", LimitReached, false),
    ("No job Id can be used now", LimitReached, false),
    // An administrator has closed the queue, and will open it again.
    ("Queue has been closed", Busy, false),
    ("User permission denied", Permission, false),
    ("Root job submission is disabled", Permission, false),
    ("User cannot use the queue", Permission, false),
    ("Request from non-LSF host rejected", Permission, false),
]);

/// What LSF says where a job, or any job, is not known.
const NOTHING: &[&str] = &[
    "is not found",
    "No matching job found",
    "No unfinished job found",
    "No job found",
    "No DONE/EXIT job found",
];

/// Returns whether every line of `text` says that something is not known; not so when there is none.
pub(crate) fn says_nothing_there(text: &str) -> bool {
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    lines.peek().is_some() && lines.all(is_nothing)
}

/// Returns whether a line says that something is not known.
pub(crate) fn is_nothing(line: &str) -> bool {
    NOTHING.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use SchedulerErrorKind::Rejected;

    /// Those with `Job not submitted.` are of openlava 2.2 as observed; the others are built from its
    /// messages and from IBM's documentation.
    #[test]
    fn lsfs_words_say_whether_to_ask_again_and_whether_a_job_may_exist() {
        for (words, expected) in [
            (
                "nosuch: No such queue. Job not submitted.",
                (Rejected, false),
            ),
            (
                "Too many processors requested. Job not submitted.",
                (Rejected, false),
            ),
            (
                "RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.",
                (Rejected, false),
            ),
            (
                "User permission denied. Job not submitted.",
                (Permission, false),
            ),
            ("LSF is down. Please wait ...", (Unreachable, false)),
            (
                "Failed in an LSF library call: LIM is down; try later. Job not submitted.",
                (Unreachable, false),
            ),
            (
                "batch system daemon not responding ... still trying\nConnection refused by server. Job not submitted.",
                (Unreachable, false),
            ),
            (
                "Contacting batch daemon: Communication timeout. Job not submitted.",
                (TimedOut, true),
            ),
            (
                "Pending job threshold reached. Retrying in 60 seconds...",
                (LimitReached, false),
            ),
        ] {
            assert_eq!(WORDS.classify(words), expected, "{words}");
        }
    }

    #[test]
    fn only_words_about_unknown_jobs_say_that_nothing_is_there() {
        assert!(says_nothing_there("Job <99999> is not found\n"));
        assert!(says_nothing_there("No unfinished job found\n"));
        assert!(!says_nothing_there(""));
        assert!(!says_nothing_there(
            "Job <99999> is not found\nLSF is down. Please wait ...\n"
        ));
    }
}
