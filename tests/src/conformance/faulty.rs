use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reflow_conformance::{Call, Fault, FaultyClients, FaultyConnection};
use reflow_core::scheduler::{ConnectOptions, Registry, Scheduler};

use crate::faulty::{self, FaultPlan, Faulty, Words};

/// How long a late program waits.
const LATE: Duration = Duration::from_mins(2);

/// The programs of a kind of batch system, and what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Slurm.
    Slurm,
    /// PBS and Torque.
    Pbs,
    /// LSF and openlava.
    Lsf,
}

impl Family {
    fn programs(self, call: Call) -> &'static [&'static str] {
        match (self, call) {
            (Self::Slurm, Call::Submit) => &["sbatch"],
            (Self::Slurm, Call::Query) => &["squeue", "sacct", "scontrol", "sinfo"],
            (Self::Slurm, Call::Cancel) => &["scancel"],
            (Self::Pbs, Call::Submit) => &["qsub"],
            (Self::Pbs, Call::Query) => &["qstat", "qselect", "qmgr", "pbsnodes"],
            (Self::Pbs, Call::Cancel) => &["qdel"],
            (Self::Lsf, Call::Submit) => &["bsub"],
            (Self::Lsf, Call::Query) => {
                &["bjobs", "bhist", "bqueues", "lsid", "bparams", "lshosts"]
            }
            (Self::Lsf, Call::Cancel) => &["bkill"],
        }
    }

    fn words(self) -> Words {
        match self {
            Self::Slurm => Words::Slurm,
            Self::Pbs => Words::Pbs,
            Self::Lsf => Words::Lsf,
        }
    }

    /// What `program` says to a request that is not taken. Seen on Slurm 22.05.8, OpenPBS 23.06.06 and
    /// openlava 2.2.
    fn refusal(self, program: &str) -> faulty::Fault {
        let (text, code) = match (self, program) {
            (Self::Slurm, "sbatch") => (
                "sbatch: error: Batch job submission failed: Invalid partition name specified"
                    .into(),
                1,
            ),
            (Self::Slurm, _) => ("slurm_load_jobs error: Access/permission denied".into(), 1),
            (Self::Pbs, "qsub") => ("qsub: Unknown queue".into(), 170),
            (Self::Pbs, _) => (format!("{program}: Unauthorized Request "), 159),
            (Self::Lsf, "bsub") => ("nosuch: No such queue. Job not submitted.".into(), 255),
            (Self::Lsf, _) => ("User permission denied".into(), 255),
        };
        faulty::Fault::Fails { text, code }
    }
}

/// Makes connections through programs in front of a batch system's own.
#[derive(Debug)]
pub struct Clients {
    /// Has the backend.
    pub registry: Registry,
    /// The backend's name.
    pub backend: &'static str,
    /// What it is connected with, but for the programs.
    pub options: ConnectOptions,
    /// What the programs are called.
    pub family: Family,
    /// Where they are: a list of directories as in `PATH`.
    pub searched: String,
}

#[async_trait]
impl FaultyClients for Clients {
    async fn connect(&self, directory: &Path) -> Result<Box<dyn FaultyConnection>, String> {
        let programs: Vec<&str> = [Call::Submit, Call::Query, Call::Cancel]
            .iter()
            .flat_map(|call| self.family.programs(*call))
            .copied()
            .collect();
        let faulty = Faulty::before_searched(&self.searched, &programs, directory);
        let mut options = ConnectOptions {
            bin_dir: Some(faulty.bin()),
            ..self.options.clone()
        };
        options
            .settings
            .insert("command_timeout".to_owned(), 6.into());
        let scheduler = self.registry.connect(self.backend, options).await;
        Ok(Box::new(Connection {
            scheduler: scheduler.map_err(|error| error.to_string())?,
            faulty,
            family: self.family,
        }))
    }
}

#[derive(Debug)]
struct Connection {
    scheduler: Arc<dyn Scheduler>,
    faulty: Faulty,
    family: Family,
}

impl FaultyConnection for Connection {
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        self.scheduler.clone()
    }

    fn set(&self, call: Call, fault: Fault) {
        for program in self.family.programs(call) {
            let always = FaultPlan::always;
            let away = || self.family.words().away(program);
            let plan = match fault {
                Fault::Empty => always(faulty::Fault::Empty),
                Fault::Garbage => always(faulty::Fault::Garbage),
                Fault::NotUtf8 => always(faulty::Fault::NotUtf8).arriving(),
                Fault::CutInHalf => always(faulty::Fault::CutInHalf),
                Fault::Late => always(faulty::Fault::Late(LATE)),
                Fault::Dead => always(faulty::Fault::Dead),
                Fault::AnswerLost => always(faulty::Fault::Dead).arriving(),
                Fault::Transient => always(away()),
                Fault::TransientOnce => FaultPlan::times(1, away()),
                Fault::Refused => always(self.family.refusal(program)),
            };
            self.faulty.set(program, plan);
        }
    }

    fn clear(&self) {
        for call in [Call::Submit, Call::Query, Call::Cancel] {
            for program in self.family.programs(call) {
                self.faulty.clear(program);
            }
        }
    }

    fn calls(&self, call: Call) -> usize {
        let count = self.faulty.count();
        let programs = self.family.programs(call).iter();
        programs.map(|program| count.get(program)).sum()
    }
}
