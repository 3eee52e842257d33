use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What LSF installations differ in, beyond what [`FakeOptions`](crate::fake::FakeOptions) has. The
/// default is the installation that was observed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LsfOptions {
    /// Users whose jobs are refused. Observed: root.
    pub refused_users: Vec<String>,
    /// A line that the site's `esub` prints before the answer of `bsub`. "Extra text can precede the
    /// `Job <..>` line at real sites (esub banners)".
    pub banner: Option<String>,
    /// `LSF_UNIT_FOR_LIMITS`: what a bare number means in `-M` (and in `rusage`) on IBM LSF: one of
    /// `KB`, `MB`, `GB`; none: KB in `-M`, MB in `rusage`.
    pub unit_for_limits: Option<String>,
    /// `LSB_BJOBS_CONSISTENT_EXIT_CODE=Y` of IBM LSF: 255 where no job was found.
    pub consistent_exit_code: bool,
    /// `ORPHAN_JOB_TERM_GRACE_PERIOD` of IBM LSF is set: orphans are removed in the whole cluster, and
    /// not only those sent with `-ti`.
    pub removes_orphans: bool,
    /// `LSB_JOB_MEMLIMIT=y` of IBM LSF: a job that uses more memory than `-M` allows is ended.
    pub enforces_memory: bool,
    /// On IBM LSF, between the first signal at the run limit and the end of a job that traps it. About
    /// ten minutes by the manual of LSF 7.3.
    pub run_limit_grace: Duration,
}

impl Default for LsfOptions {
    fn default() -> Self {
        Self {
            refused_users: Vec::new(),
            banner: None,
            unit_for_limits: None,
            consistent_exit_code: false,
            removes_orphans: false,
            enforces_memory: false,
            run_limit_grace: Duration::from_secs(2),
        }
    }
}
