use super::plan::Fault;

/// What the clients of a batch system say when it cannot be reached: a failure that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Slurm 22.05.
    Slurm,
    /// OpenPBS and PBS Professional.
    Pbs,
    /// LSF and openlava.
    Lsf,
}

impl Words {
    /// Returns what `program` says when the daemon is not there.
    pub fn away(self, program: &str) -> Fault {
        let (text, code) = match self {
            // Seen on Slurm 22.05 with slurmctld stopped.
            Self::Slurm => (
                format!("{program}: error: Unable to contact slurm controller (connect failure)"),
                1,
            ),
            // OpenPBS's own tests (PTL) expect the second line; 111 is ECONNREFUSED, and the exit code.
            Self::Pbs => (
                format!("Connection refused\n{program}: cannot connect to server pbs (errno=111)"),
                111,
            ),
            // IBM's "Troubleshooting LSF problems", and users' reports of bsub.
            Self::Lsf => {
                let then = if program == "bsub" {
                    ". Job not submitted."
                } else {
                    ""
                };
                let text = format!("Failed in an LSF library call: LIM is down; try later{then}");
                (text, 255)
            }
        };
        Fault::Fails { text, code }
    }
}
