use std::collections::BTreeMap;

use crate::scheduler::JOB_ID_VARIABLE;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// Variables that never pass from the environment of `submit` to a job.
///
/// A name that ends with `_` stands for every variable that starts with it. These describe the
/// session or the job that `submit` was called from; in another job they are wrong.
pub const SCRUBBED: &[&str] = &[
    "SLURM_",
    "SBATCH_",
    "PBS_",
    "LSB_",
    "SGE_",
    "XDG_",
    "DBUS_",
    "SSH_",
    "DISPLAY",
    "TMPDIR",
    "HOSTNAME",
    JOB_ID_VARIABLE,
];

/// Returns whether `name` is in `list`, where an entry that ends with `_` is a prefix.
pub fn is_named(name: &str, list: &[&str]) -> bool {
    list.iter()
        .any(|entry| name == *entry || (entry.ends_with('_') && name.starts_with(entry)))
}

/// Returns the environment of a job: `environment` without [`SCRUBBED`].
pub fn scrub(environment: &Environment) -> Environment {
    client_environment(environment, &[], &[])
}

/// Returns the environment for the client programs of a batch system: `environment` without
/// [`SCRUBBED`] and without `drop`, but with `keep`, which wins.
///
/// A client needs the variables that say where its batch system is (`SLURM_CONF`, `PBS_CONF_FILE`),
/// and must not see those that change its defaults (`SQUEUE_FORMAT`).
pub fn client_environment(environment: &Environment, keep: &[&str], drop: &[&str]) -> Environment {
    environment
        .iter()
        .filter(|(name, _)| {
            is_named(name, keep) || !(is_named(name, SCRUBBED) || is_named(name, drop))
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(names: &[&str]) -> Environment {
        names
            .iter()
            .map(|name| ((*name).to_owned(), "x".to_owned()))
            .collect()
    }

    #[test]
    fn a_job_sees_nothing_of_the_job_or_session_that_submitted_it() {
        let before = environment(&[
            "SLURM_JOB_ID",
            "SLURM_ARRAY_TASK_ID",
            "SBATCH_PARTITION",
            "XDG_RUNTIME_DIR",
            "TMPDIR",
            "HOSTNAME",
            "REFLOW_JOB_ID",
            "PATH",
            "HOSTNAME_OF_MINE",
            "MY_SLURM_NOTE",
        ]);
        let after: Vec<_> = scrub(&before).into_keys().collect();
        assert_eq!(after, ["HOSTNAME_OF_MINE", "MY_SLURM_NOTE", "PATH"]);
    }

    #[test]
    fn a_client_keeps_what_says_where_its_batch_system_is() {
        let before = environment(&["SLURM_CONF", "SLURM_JOB_ID", "SQUEUE_FORMAT", "PATH"]);
        let after: Vec<_> = client_environment(&before, &["SLURM_CONF"], &["SQUEUE_"])
            .into_keys()
            .collect();
        assert_eq!(after, ["PATH", "SLURM_CONF"]);
    }
}
