use reflow_core::scheduler::SchedulerErrorKind;
use reflow_core::scheduler::client::Complaints;

use SchedulerErrorKind::{Busy, LimitReached, Permission, TimedOut, Unreachable};

/// PBS's words and what they mean; the first that is found counts.
///
/// The texts are those of OpenPBS's `src/lib/Liblog/pbs_messages.c` and of Torque's
/// `src/include/pbs_error_db.h`.
pub(crate) const WORDS: Complaints = Complaints(&[
    // The connection broke on the way: the request may have arrived.
    ("Batch protocol error", TimedOut, true),
    ("Error (15031)", TimedOut, true),
    ("Error (15033)", TimedOut, true),
    ("End of File", TimedOut, true),
    ("Connection reset by peer", TimedOut, true),
    ("Broken pipe", TimedOut, true),
    ("Time out", TimedOut, true),
    ("Error reading data from socket", TimedOut, true),
    // Nobody was reached. `qsub: cannot connect to server NAME (errno=N)`; before it may stand
    // `Connection refused`, `Connection timed out`, or `No Permission.` of an authentication that fails
    // for a moment when many clients come at once.
    ("cannot connect to server", Unreachable, false),
    ("Cannot connect to", Unreachable, false),
    ("Could not connect to batch server", Unreachable, false),
    ("Can not establish connection", Unreachable, false),
    ("Communication failure", Unreachable, false),
    ("Connection refused", Unreachable, false),
    ("Connection timed out", Unreachable, false),
    ("No route to host", Unreachable, false),
    ("Unknown Host", Unreachable, false),
    ("trqauthd unable to authenticate", Unreachable, false),
    ("No free connections", Busy, false),
    ("Server connection table full", Busy, false),
    ("Server shutting down", Busy, false),
    ("Server busy", Busy, false),
    ("Too many submit retries", Busy, false),
    ("Resource temporarily unavailable", Busy, false),
    ("Resource busy", Busy, false),
    ("Scheduler not called", Busy, false),
    // Limits on jobs and resources in the queue (`max_queued`, `max_queued_res`, `max_queuable`), which
    // pass as jobs end. Each element of an array counts.
    ("Maximum number of jobs", LimitReached, false),
    ("would exceed", LimitReached, false),
    ("Unauthorized Request", Permission, false),
    ("Unauthorized User", Permission, false),
    ("Access to queue is denied", Permission, false),
    ("Access from host not allowed", Permission, false),
    ("Bad UID for job execution", Permission, false),
    ("Bad GID for job execution", Permission, false),
]);

/// Words that only say that PBS does not know a job, or knows that it has ended: `qstat: Unknown Job Id
/// 99999.localhost`, `qdel: Job has finished 0.localhost` (OpenPBS 23.06.06), `Unknown Job Id Error`,
/// `Request invalid for state of job` (Torque).
const NOTHING_LEFT: &[&str] = &[
    "Unknown Job Id",
    "Unknown Array ID",
    "Job has finished",
    "Request invalid for finished array subjob",
    "Request invalid for state of job",
    "Job already in exit state",
    "Job not found",
];

/// Returns whether every line only says that there is nothing left of a job, and there is one.
pub(crate) fn is_only_about_ended(stderr: &str) -> bool {
    let mut lines = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    lines.peek().is_some()
        && lines.all(|line| NOTHING_LEFT.iter().any(|words| line.contains(words)))
}

/// Words of a server that was asked for history and keeps none.
pub(crate) const NO_HISTORY: &str = "not configured to maintain job history";

#[cfg(test)]
mod tests {
    use SchedulerErrorKind::Rejected;

    use super::*;

    #[test]
    fn pbss_words_say_whether_to_ask_again_and_whether_a_job_may_exist() {
        for (words, expected) in [
            // OpenPBS 23.06.06.
            ("qsub: Unknown queue", (Rejected, false)),
            ("qsub: Queue is not enabled", (Rejected, false)),
            (
                "qsub: Job violates queue and/or server resource limits",
                (Rejected, false),
            ),
            (
                "qsub: Array job exceeds server or queue size limit",
                (Rejected, false),
            ),
            ("qsub: Error (15014) submitting job", (Rejected, false)),
            (
                "qdel: Unauthorized Request  134.localhost",
                (Permission, false),
            ),
            // `pbs_messages.c`.
            (
                "qsub: would exceed queue workq's per-user limit",
                (LimitReached, false),
            ),
            (
                "qsub: Maximum number of jobs for user ada already in complex",
                (LimitReached, false),
            ),
            // The client's own.
            (
                "Connection refused\nqsub: cannot connect to server localhost (errno=111)",
                (Unreachable, false),
            ),
            ("qsub: Batch protocol error", (TimedOut, true)),
        ] {
            assert_eq!(WORDS.classify(words), expected, "{words}");
        }
    }

    #[test]
    fn complaints_about_ended_and_unknown_jobs_are_told_from_others() {
        assert!(is_only_about_ended(
            "qstat: Unknown Job Id 99999.localhost\nqstat: 0.localhost Job has finished, use -x or -H to obtain historical job information\n"
        ));
        assert!(!is_only_about_ended(""));
        assert!(!is_only_about_ended(
            "qdel: Unauthorized Request  134.localhost\n"
        ));
    }
}
