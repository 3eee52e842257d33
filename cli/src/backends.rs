use std::sync::Arc;

use reflow_core::config::EnvironmentPolicy;
use reflow_core::rundir::BackendRecord;
use reflow_core::scheduler::{ConnectOptions, Registry, Scheduler, SchedulerError};

use crate::surroundings::Surroundings;

/// What people are told about a backend.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// The programs of the batch system that it uses.
    pub(crate) programs: &'static [&'static str],
    /// The command that tells the version of the batch system.
    pub(crate) version: &'static [&'static str],
}

/// The backends, by name.
pub(crate) const ABOUT: [About; 4] = [
    About {
        name: "local",
        purpose: "this machine, through a supervisor of your own",
        programs: &[],
        version: &[],
    },
    About {
        name: "lsf",
        purpose: "LSF and openlava, through bsub, bjobs, bhist and bkill",
        programs: &[
            "bsub", "bjobs", "bhist", "bkill", "bparams", "bqueues", "lsid",
        ],
        version: &["bsub", "-V"],
    },
    About {
        name: "pbs",
        purpose: "OpenPBS, PBS Professional and Torque, through qsub, qstat and qdel",
        programs: &["qsub", "qstat", "qdel", "qselect"],
        version: &["qstat", "--version"],
    },
    About {
        name: "slurm",
        purpose: "Slurm, through sbatch, squeue, sacct and scancel",
        programs: &["sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"],
        version: &["sbatch", "--version"],
    },
];

/// Returns the backends that there are.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register("local", reflow_backend_local::connect);
    registry.register("lsf", reflow_backend_lsf::connect);
    registry.register("pbs", reflow_backend_pbs::connect);
    registry.register("slurm", reflow_backend_slurm::connect);
    registry
}

/// Connects to the backend of a run.
pub(crate) async fn connect(
    surroundings: &Surroundings,
    backend: &BackendRecord,
    launcher: &[String],
    policy: &EnvironmentPolicy,
) -> Result<Arc<dyn Scheduler>, SchedulerError> {
    let options = options(surroundings, backend, launcher, policy);
    registry().connect(&backend.name, options).await
}

/// Returns what a backend connects with.
pub(crate) fn options(
    surroundings: &Surroundings,
    backend: &BackendRecord,
    launcher: &[String],
    policy: &EnvironmentPolicy,
) -> ConnectOptions {
    // Slurm and LSF hand the variables of `sbatch` and `bsub` on to the job, and the supervisor of local
    // runs its own: what a job must not have must not be there in the first place. PBS hands on none.
    let whole = backend.name != "local" && *policy == EnvironmentPolicy::Submit;
    let mut environment = if whole {
        surroundings.environment()
    } else {
        surroundings.base_environment()
    };
    if backend.name != "local" {
        // A job elsewhere does not belong to the supervisor that this process may belong to.
        environment.remove(reflow_backend_local::DIRECTORY_VARIABLE);
    }
    ConnectOptions {
        settings: backend.settings.clone(),
        partitions: backend.partitions.clone(),
        extra: backend.extra.clone(),
        environment,
        bin_dir: backend.bin_dir.clone(),
        runtime_dir: surroundings.runtime_directory(),
        launcher: launcher.to_vec(),
    }
}
