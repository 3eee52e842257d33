use reflow_core::command::Output;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};

use SchedulerErrorKind::{Busy, LimitReached, Permission, Rejected, TimedOut, Unreachable};

/// Slurm's words and what they mean; the first that is found counts.
///
/// The texts are those of `src/common/slurm_errno.c`, the same since Slurm 17.
const WORDS: &[(&str, SchedulerErrorKind, bool)] = &[
    // The request may have arrived: the answer is what is missing.
    ("Socket timed out", TimedOut, true),
    ("Zero Bytes were transmitted", TimedOut, true),
    ("Transport endpoint is not connected", TimedOut, true),
    ("Connection reset by peer", TimedOut, true),
    ("Unexpected message received", TimedOut, true),
    ("Message receive failure", TimedOut, true),
    // Nobody was reached.
    ("Unable to contact slurm controller", Unreachable, false),
    ("Unable to contact Slurm controller", Unreachable, false),
    ("Connection refused", Unreachable, false),
    ("Unable to resolve", Unreachable, false),
    (
        "Could not establish a configuration source",
        Unreachable,
        false,
    ),
    ("Protocol authentication error", Unreachable, false),
    ("Slurm controller in standby mode", Unreachable, false),
    (
        "Slurm backup controller in standby mode",
        Unreachable,
        false,
    ),
    // Limits that pass by themselves.
    ("AssocMaxSubmitJobLimit", LimitReached, false),
    ("AssocGrpSubmitJobsLimit", LimitReached, false),
    ("QOSMaxSubmitJobPerUserLimit", LimitReached, false),
    ("QOSMaxSubmitJobPerAccountLimit", LimitReached, false),
    ("QOSGrpSubmitJobsLimit", LimitReached, false),
    ("MaxSubmitJob", LimitReached, false),
    ("Resource temporarily unavailable", Busy, false),
    ("Slurm temporarily unable to accept job", Busy, false),
    ("Job submission is disabled", Busy, false),
    ("Access/permission denied", Permission, false),
    ("User's group not permitted", Permission, false),
    ("Access denied", Permission, false),
];

/// Returns what a failed program's words mean: the kind, and whether a request may have arrived.
pub(crate) fn classify(text: &str) -> (SchedulerErrorKind, bool) {
    WORDS
        .iter()
        .find(|(words, ..)| text.contains(words))
        .map_or((Rejected, false), |(_, kind, arrived)| (*kind, *arrived))
}

/// Returns whether asking again may be answered.
pub(crate) fn is_temporary(output: &Output) -> bool {
    !output.success() && classify(&output.stderr_text()).0.is_temporary()
}

/// Returns the error for a failed program.
pub(crate) fn error(output: &Output, message: &str) -> SchedulerError {
    output.error(classify(&output.stderr_text()).0, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurms_words_say_whether_to_ask_again_and_whether_a_job_may_exist() {
        let failed = "sbatch: error: Batch job submission failed: ";
        for (words, expected) in [
            ("Invalid partition name specified", (Rejected, false)),
            ("Socket timed out on send/recv operation", (TimedOut, true)),
            (
                "Unable to contact slurm controller (connect failure)",
                (Unreachable, false),
            ),
            (
                "Slurm temporarily unable to accept job, sleeping and retrying",
                (Busy, false),
            ),
            ("Access/permission denied", (Permission, false)),
        ] {
            assert_eq!(classify(&format!("{failed}{words}\n")), expected, "{words}");
        }
        let limit = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n";
        assert_eq!(classify(limit), (LimitReached, false));
    }
}
