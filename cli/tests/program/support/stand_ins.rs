//! Stand-ins for the programs of batch systems: they answer the first questions, and send nothing.

use std::os::unix::fs::PermissionsExt;

use super::Sandbox;

/// A batch system and its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Slurm,
    OpenPbs,
    Torque,
    Lsf,
    OpenLava,
}

/// What a Slurm 22.05 answered to `scontrol show config`.
pub(crate) const SLURM_CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../backend-slurm/tests/fixtures/scontrol-config-22.05.txt"
);

/// Where the backend for PBS keeps what servers answered.
const PBS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../backend-pbs/tests/fixtures");

const NO_JOBS: &str = "echo 'No unfinished job found' >&2; exit 255";
const PARAMETERS: &str =
    "printf 'DEFAULT_QUEUE = normal\\nCLEAN_PERIOD = 3600\\nMAX_JOB_ARRAY_SIZE = 1000\\n'";
const QUEUES: &str =
    "printf '\\nQUEUE: normal\\n  -- For normal jobs.  This is the default queue.\\n\\n'";

impl System {
    pub(crate) const ALL: [Self; 5] = [
        Self::Slurm,
        Self::OpenPbs,
        Self::Torque,
        Self::Lsf,
        Self::OpenLava,
    ];

    /// Returns the name of its backend.
    pub(crate) fn backend(self) -> &'static str {
        match self {
            Self::Slurm => "slurm",
            Self::OpenPbs | Self::Torque => "pbs",
            Self::Lsf | Self::OpenLava => "lsf",
        }
    }

    fn submitter(self) -> &'static str {
        match self {
            Self::Slurm => "sbatch",
            Self::OpenPbs | Self::Torque => "qsub",
            Self::Lsf | Self::OpenLava => "bsub",
        }
    }

    /// Returns whether a call of its programs does no more than ask.
    pub(crate) fn is_question(self, call: &str) -> bool {
        match call.strip_prefix(self.submitter()) {
            Some(arguments) => matches!(arguments.trim(), "--version" | "-V"),
            None => true,
        }
    }

    fn programs(self) -> Vec<(&'static str, String)> {
        let texts: Vec<(&str, &str)> = match self {
            Self::Slurm => {
                let config = format!("case \"$*\" in *'show config'*) cat '{SLURM_CONFIG}';; esac");
                return vec![
                    ("sbatch", "echo slurm 22.05.8".to_owned()),
                    ("scontrol", config),
                    ("sinfo", String::new()),
                    ("squeue", String::new()),
                    ("sacct", String::new()),
                    ("scancel", String::new()),
                ];
            }
            Self::OpenPbs | Self::Torque => {
                let (version, ending) = match self {
                    Self::OpenPbs => ("pbs_version = 23.06.06", ".json"),
                    _ => ("Version: 6.1.2", "-torque-6.1.txt"),
                };
                let answers = format!(
                    "case \"$*\" in\n*--version*) echo '{version}';;\n*-B*) cat '{PBS}/server{ending}';;\n\
                     *-Q*) cat '{PBS}/queues{ending}';;\nesac"
                );
                return vec![
                    (
                        "qsub",
                        "echo 'qsub: Unknown queue' >&2; exit 170".to_owned(),
                    ),
                    ("qselect", String::new()),
                    ("qstat", answers),
                    ("qdel", String::new()),
                ];
            }
            Self::Lsf => vec![
                (
                    "bsub",
                    "echo 'IBM Spectrum LSF Standard 10.1.0.11, Jul 16 2021' >&2",
                ),
                ("bjobs", NO_JOBS),
                ("bparams", PARAMETERS),
                ("bqueues", QUEUES),
            ],
            Self::OpenLava => vec![
                ("bsub", "echo 'openlava project 2.2, Jan 1 2015' >&2"),
                ("bjobs", NO_JOBS),
                ("bparams", PARAMETERS),
                ("bqueues", QUEUES),
            ],
        };
        let owned = texts
            .into_iter()
            .map(|(name, text)| (name, text.to_owned()));
        owned.collect()
    }
}

impl Sandbox {
    /// Puts stand-ins for the programs of a batch system into `bin/`. They note what they are asked in
    /// `asked`.
    pub(crate) fn with_programs(self, system: System) -> Self {
        for (name, text) in system.programs() {
            self.program(name, &text);
        }
        self
    }

    /// Puts a program of bash lines into `bin/`, which notes what it is asked in `asked`.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let asked = self.path().join("asked");
        let path = self.write(
            &format!("bin/{name}"),
            &format!(
                "#!/bin/bash\necho {name} \"$@\" >> '{}'\n{text}\n",
                asked.display()
            ),
        );
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("a program can be made");
    }

    /// Writes the user's configuration of a backend whose programs are in `bin/`: `rest` follows in its
    /// table.
    pub(crate) fn configure(&self, backend: &str, rest: &str) {
        self.write(
            "home/.config/reflow/config.toml",
            &format!(
                "[backend.{backend}]\nbin_dir = '{}'\n{rest}\n",
                self.path().join("bin").display()
            ),
        );
    }
}
