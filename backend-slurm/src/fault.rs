use reflow_core::scheduler::SchedulerErrorKind;
use reflow_core::scheduler::client::Complaints;

use SchedulerErrorKind::{Busy, LimitReached, Permission, TimedOut, Unreachable};

/// Slurm's words and what they mean; the first that is found counts.
///
/// The texts are those of `src/common/slurm_errno.c`, the same since Slurm 17.
pub(crate) const WORDS: Complaints = Complaints(&[
    // The request may have arrived: the answer is what is missing.
    ("Socket timed out", TimedOut, true),
    ("Zero Bytes were transmitted", TimedOut, true),
    ("Transport endpoint is not connected", TimedOut, true),
    ("Connection reset by peer", TimedOut, true),
    ("No response to persist_init", TimedOut, true),
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
    // Limits on jobs in the queue, which pass as jobs end. `sbatch` names the limit on a line of its own
    // above "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    // which it says of final refusals too (`QOSMaxWallDurationPerJobLimit`, `AssocMaxCpuPerJobLimit`);
    // that line alone, without a name, is taken as final. Seen: `AssocMaxSubmitJobLimit`,
    // `AssocGrpSubmitJobsLimit`, `QOSMaxSubmitJobPerUserLimit`, `QOSGrpSubmitJobsLimit`,
    // `MaxSubmitJobsPerAccount`. Each element of an array counts, and an array above the limit is
    // refused in these words even where nothing is queued.
    ("MaxSubmitJob", LimitReached, false),
    ("GrpSubmitJob", LimitReached, false),
    // `MaxJobCount`: the controller's table of jobs is full, for this many. `sbatch` has slept and tried
    // again for two minutes before it says so.
    ("Resource temporarily unavailable", LimitReached, false),
    (
        "Slurm temporarily unable to accept job",
        LimitReached,
        false,
    ),
    ("Slurm job queue full", LimitReached, false),
    ("Job creation temporarily disabled", Busy, false),
    ("Job submission is disabled", Busy, false),
    ("Access/permission denied", Permission, false),
    ("User's group not permitted", Permission, false),
    ("Access denied", Permission, false),
]);

#[cfg(test)]
mod tests {
    use SchedulerErrorKind::Rejected;

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
            ("Job creation temporarily disabled, retrying", (Busy, false)),
            ("Access/permission denied", (Permission, false)),
        ] {
            assert_eq!(
                WORDS.classify(&format!("{failed}{words}\n")),
                expected,
                "{words}"
            );
        }
    }

    /// Captured from Slurm 22.05, each with a limit of that kind set.
    #[test]
    fn limits_on_jobs_in_the_queue_are_told_from_those_that_never_pass() {
        for limit in [
            "AssocMaxSubmitJobLimit",
            "AssocGrpSubmitJobsLimit",
            "QOSMaxSubmitJobPerUserLimit",
            "QOSGrpSubmitJobsLimit",
            "MaxSubmitJobsPerAccount",
        ] {
            assert_eq!(
                WORDS.classify(&violates(limit)),
                (LimitReached, false),
                "{limit}"
            );
        }
        for limit in [
            "QOSMaxWallDurationPerJobLimit",
            "QOSMaxCpuPerJobLimit",
            "QOSMaxMemoryPerJob",
            "QOSMinCpuNotSatisfied",
            "AssocMaxWallDurationPerJobLimit",
            "AssocMaxCpuPerJobLimit",
            "AssocMaxNodePerJobLimit",
            "AssocGrpCPUMinutesLimit",
        ] {
            assert_eq!(
                WORDS.classify(&violates(limit)),
                (Rejected, false),
                "{limit}"
            );
        }
        let full = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\nsbatch: error: Batch job submission failed: Resource temporarily unavailable\n";
        assert_eq!(WORDS.classify(full), (LimitReached, false));
    }

    fn violates(limit: &str) -> String {
        format!(
            "sbatch: error: {limit}\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n"
        )
    }

    /// Captured from Slurm 22.05 with the controller or the database stopped, and frozen.
    #[test]
    fn what_slurms_programs_say_while_the_controller_is_away_is_temporary() {
        for (words, kind) in [
            (
                "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)",
                Unreachable,
            ),
            (
                "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
                Unreachable,
            ),
            (
                "slurm_load_partitions: Unable to contact slurm controller (connect failure)",
                Unreachable,
            ),
            (
                "scancel: error: Kill job error on job id 14: Unable to contact slurm controller (connect failure)",
                Unreachable,
            ),
            (
                "slurm_load_ctl_conf error: Socket timed out on send/recv operation",
                TimedOut,
            ),
            (
                "slurm_load_jobs error: Socket timed out on send/recv operation",
                TimedOut,
            ),
            (
                "scancel: error: Kill job error on job id 14: Socket timed out on send/recv operation",
                TimedOut,
            ),
            (
                "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:127.0.0.1:26819: Connection refused\nsacct: error: Sending PersistInit msg: Connection refused\nsacct: error: Problem talking to the database: Connection refused",
                Unreachable,
            ),
            (
                "sacct: error: slurm_persist_conn_open: No response to persist_init\nsacct: error: Sending PersistInit msg: Resource temporarily unavailable\nsacct: error: Problem talking to the database: Resource temporarily unavailable",
                TimedOut,
            ),
        ] {
            let found = WORDS.classify(&format!("{words}\n")).0;
            assert_eq!(found, kind, "{words}");
            assert!(found.is_temporary());
        }
    }
}
