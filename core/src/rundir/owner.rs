use std::io;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::create_exclusive;
use crate::id::JobId;

/// Who may run a submission: the first worker to say so, or nobody any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// This job; every worker of another job leaves the submission alone.
    Job(JobId),
    /// Dispatch has given the submission up; no worker runs it.
    Void,
    /// Somebody claimed it, and something else has overwritten the file since: nobody knows who. No
    /// worker that reads this runs it; one that claimed it before may still be running.
    #[serde(skip)]
    Unreadable,
}

impl Owner {
    /// Returns the owner, if there is one. Foreign content is no error: see [`Owner::Unreadable`].
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "a file of reflow was overwritten");
                Self::Unreadable
            }))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `wanted` the owner, unless there is one already, which is returned.
    pub fn claim(path: &Path, wanted: &Self) -> io::Result<Option<Self>> {
        if let Some(owner) = Self::read(path)? {
            return Ok(Some(owner));
        }
        crate::fault::reach("owner/claim");
        if create_exclusive(path, &serde_json::to_vec(wanted)?)? {
            Ok(None)
        } else {
            Self::read(path)
        }
    }

    /// Returns whether a worker of `job` may run. Inside a Slurm job, the `;cluster` that `sbatch
    /// --parsable` adds to the id is not known.
    pub fn is_job(&self, job: &JobId) -> bool {
        let short = |id: &JobId| id.as_str().split(';').next().unwrap_or_default().to_owned();
        matches!(self, Self::Job(owner) if owner == job || short(owner) == short(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_stands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("S.owner");
        let job = Owner::Job(JobId::new("7;here").unwrap());
        assert_eq!(Owner::claim(&path, &job).unwrap(), None);
        assert_eq!(
            Owner::claim(&path, &Owner::Void).unwrap(),
            Some(job.clone())
        );
        assert!(job.is_job(&JobId::new("7").unwrap()));
        assert!(!job.is_job(&JobId::new("8").unwrap()));
    }

    #[test]
    fn an_overwritten_claim_belongs_to_nobody_and_stands() {
        for foreign in ["", "somebody", "\"unreadable\"", "{\"job\":7}"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("S.owner");
            fs::write(&path, foreign).unwrap();
            let found = Owner::claim(&path, &Owner::Void).unwrap();
            assert_eq!(found, Some(Owner::Unreadable), "{foreign}");
            assert!(!Owner::Unreadable.is_job(&JobId::new("7").unwrap()));
            assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
        }
    }
}
