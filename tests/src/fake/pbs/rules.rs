//! The rules of PBS in the server.

use std::time::Duration;

use crate::fake::{
    Cause, Cluster, Delivered, Dialect, How, Job, Launch, Refusal, Rules, Step, Submission, Verdict,
};

/// The rules of PBS.
#[derive(Debug)]
pub(in crate::fake) struct PbsRules {
    dialect: Dialect,
}

impl PbsRules {
    /// Returns those of a dialect.
    pub(in crate::fake) fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }
}

impl Rules for PbsRules {
    /// "Ids start at 0: `0.localhost` is valid."
    fn first_number(&self) -> u64 {
        0
    }

    fn admit(
        &self,
        cluster: &Cluster,
        number: u64,
        submission: &mut Submission,
    ) -> Result<(), Refusal> {
        let _ = (cluster, number, submission, self.dialect);
        Ok(())
    }

    fn verdict(&self, cluster: &Cluster, job: &Job) -> Verdict {
        let _ = (cluster, job);
        Verdict::Release
    }

    fn launch(&self, cluster: &Cluster, job: &Job, position: usize) -> Result<Launch, How> {
        let _ = (cluster, job, position);
        Err(How::NotStarted)
    }

    /// "Kill = SIGTERM to all processes, then SIGKILL after `kill_delay` (10 s; here about 11 s)."
    fn stop(&self, cluster: &Cluster, cause: &Cause) -> Vec<Step> {
        let _ = cause;
        vec![
            Step {
                after: Duration::ZERO,
                signal: 15,
            },
            Step {
                after: cluster.options.kill_delay,
                signal: 9,
            },
        ]
    }

    fn deliver(&self, cluster: &Cluster, job: &Job, position: usize, given_up: bool) -> Delivered {
        let _ = (cluster, job, position, given_up);
        Delivered::Done
    }
}
