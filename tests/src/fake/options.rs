//! Which batch system is faked, and what its cluster is like.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lsf::LsfOptions;

/// The batch systems that can be faked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// OpenPBS 23.06.06, as observed.
    OpenPbs,
    /// Torque, by its documentation.
    Torque,
    /// IBM Spectrum LSF 10.1: openlava as observed, and what IBM documents beyond it.
    Lsf,
    /// openlava 2.2, as observed.
    OpenLava,
}

impl Dialect {
    /// Returns the names of the clients.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::OpenPbs => &[
                "qsub", "qstat", "qdel", "qselect", "qsig", "qhold", "qrls", "qmgr", "pbsnodes",
            ],
            Self::Torque => &[
                "qsub", "qstat", "qdel", "qselect", "qsig", "qhold", "qrls", "qmgr",
            ],
            Self::Lsf | Self::OpenLava => &[
                "bsub", "bjobs", "bkill", "bhist", "bqueues", "bhosts", "bparams", "bstop",
                "bresume", "lsid",
            ],
        }
    }
}

/// A queue of the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queue {
    /// The name.
    pub name: String,
    /// Whether jobs can be sent to it.
    pub enabled: bool,
    /// The longest time limit of a job, in seconds.
    pub max_seconds: Option<u64>,
    /// The most cpus of a job.
    pub max_cpus: Option<u32>,
}

impl Queue {
    /// Returns a queue without limits.
    pub fn open(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            enabled: true,
            max_seconds: None,
            max_cpus: None,
        }
    }
}

/// What the faked cluster is like. [`FakeOptions::of`] gives the installation that was observed, with
/// shorter delays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FakeOptions {
    /// The name of the server, as it stands in the ids of PBS, and of the only node.
    pub server: String,
    /// The cpus of the only node.
    pub slots: u32,
    /// The memory of the node in bytes.
    pub memory: u64,
    /// The gpus of the node; none: the administrator has made no such resource.
    pub gpus: Option<u32>,
    /// The queues, the default one first.
    pub queues: Vec<Queue>,
    /// How long a job is known after its end; none: it is unknown at once.
    pub history: Option<Duration>,
    /// The most elements of an array (PBS), or the largest index (LSF).
    pub array_limit: u32,
    /// How many times faster the limits that jobs ask for run out: 60 makes a minute a second.
    pub time_scale: f64,
    /// How often time limits are looked at. Observed: every 10 s on PBS.
    pub limit_poll: Duration,
    /// Between the signals of a cancelled job. Observed: 10 s on PBS and on LSF.
    pub kill_delay: Duration,
    /// For how long the copy of an output file is tried again. Observed: tens of seconds on PBS.
    pub deliver_for: Duration,
    /// How long a job is pending at least before it starts.
    pub start_delay: Duration,
    /// How long what is carried out in the background takes (a kill of a whole array on LSF).
    pub background_delay: Duration,
    /// The home directory of jobs; none: `home` in the fake's own directory.
    pub home: Option<std::path::PathBuf>,
    /// The user that the clients run as; none: the one that runs the test.
    pub user: Option<String>,
    /// After what time without a client, and with nothing queued, the server ends.
    pub idle: Duration,
    /// What only LSF has.
    pub lsf: LsfOptions,
}

impl FakeOptions {
    /// Returns the installation that was observed, with delays shortened for tests.
    pub fn of(dialect: Dialect) -> Self {
        let short = Queue {
            max_seconds: Some(120),
            max_cpus: Some(4),
            ..Queue::open("short")
        };
        let closed = Queue {
            enabled: false,
            ..Queue::open("closed")
        };
        let (server, queues) = match dialect {
            // "Observed live on Debian 12: one host, server name `localhost`, 16 fake cpus, [...] queues
            // `workq` (default), `short` (max walltime 2 min, max ncpus 4), `closed` (enabled=false)."
            Dialect::OpenPbs => ("localhost", vec![Queue::open("workq"), short, closed]),
            // `batch` is the queue of Torque's documentation.
            Dialect::Torque => ("localhost", vec![Queue::open("batch"), short, closed]),
            // "One host `vm`, 16 slots, queues `normal` (default) and `short` (RUNLIMIT 2 min, PROCLIMIT 4)."
            Dialect::Lsf | Dialect::OpenLava => ("vm", vec![Queue::open("normal"), short]),
        };
        Self {
            server: server.to_owned(),
            slots: 16,
            memory: 64 << 30,
            gpus: Some(4),
            queues,
            history: Some(match dialect {
                // `job_history_duration`: two weeks by default.
                Dialect::OpenPbs => Duration::from_hours(14 * 24),
                // `keep_completed`: 300 s in the documentation's example.
                Dialect::Torque => Duration::from_mins(5),
                // `CLEAN_PERIOD`: one hour by default.
                Dialect::Lsf | Dialect::OpenLava => Duration::from_hours(1),
            }),
            array_limit: match dialect {
                // "10000 elements = default `max_array_size = 10000`".
                Dialect::OpenPbs | Dialect::Torque => 10_000,
                // "default MAX_JOB_ARRAY_SIZE 1000".
                Dialect::Lsf | Dialect::OpenLava => 1_000,
            },
            time_scale: 1.0,
            limit_poll: Duration::from_millis(300),
            kill_delay: Duration::from_secs(2),
            deliver_for: Duration::from_secs(2),
            start_delay: Duration::ZERO,
            background_delay: Duration::from_millis(300),
            home: None,
            user: None,
            idle: Duration::from_mins(5),
            lsf: LsfOptions::default(),
        }
    }

    /// Returns the queue of this name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// Returns how long a limit of so many seconds lasts here.
    pub fn scaled(&self, seconds: u64) -> Duration {
        Duration::from_secs_f64(seconds as f64 / self.time_scale.max(0.001))
    }
}
