use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::id::RunId;
use crate::rundir::{RunDir, RunDirError};
use crate::store::cache::Origin;

/// What is found where a run was that made a result.
#[derive(Debug)]
pub(super) enum Home {
    /// The run.
    There(RunDir),
    /// No run.
    Gone,
    /// Another run, which was made in the same directory later.
    Taken,
    /// What cannot be read.
    Unknown,
}

impl Home {
    pub(super) fn of(origin: &Origin) -> Self {
        match RunDir::open(&origin.run_dir) {
            Ok(dir) if dir.record().run_id == origin.run_id => Self::There(dir),
            Ok(_) => Self::Taken,
            Err(RunDirError::NoRun(_)) => Self::Gone,
            Err(_) => Self::Unknown,
        }
    }
}

/// Where runs are whose results may be taken; each is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Homes(Mutex<HashMap<RunId, Kind>>);

/// What a path in the directory of a run is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is what the run made.
    Own,
    /// Nobody can tell.
    Unsure,
    /// It is what another run made.
    Foreign,
}

impl Homes {
    pub(super) fn kind(&self, origin: &Origin) -> Kind {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = lock().get(&origin.run_id) {
            return *kind;
        }
        let kind = match Home::of(origin) {
            Home::There(_) => Kind::Own,
            Home::Taken => Kind::Foreign,
            Home::Gone | Home::Unknown => Kind::Unsure,
        };
        lock().insert(origin.run_id.clone(), kind);
        kind
    }
}
