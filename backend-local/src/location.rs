//! Where a supervisor lives: its directory, its socket, and what its name is made of.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Set for each job: the directory of the supervisor that runs it.
///
/// A job that submits further jobs reaches the same supervisor by it, although the variables of an
/// enclosing batch job are not passed on.
pub const DIRECTORY_VARIABLE: &str = "REFLOW_LOCAL_DIR";

/// What batch systems call the job that a process runs in.
const ENCLOSING: [&str; 5] = [
    "SLURM_JOB_ID",
    "PBS_JOBID",
    "LSB_JOBID",
    "COBALT_JOBID",
    "OAR_JOB_ID",
];

/// Longest path of a Unix socket, less its final NUL and some room.
const SOCKET_PATH: usize = 100;

/// Whom a supervisor serves: written beside its socket, and hashed to its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) host: String,
    pub(crate) boot: String,
    /// The batch job around it, such as `SLURM_JOB_ID=7`.
    pub(crate) enclosing: Option<String>,
}

impl Owner {
    /// Returns the owner for this user, machine, and environment.
    pub(crate) fn here(environment: &BTreeMap<String, String>) -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            host: host_name(),
            boot: boot_id(),
            enclosing: enclosing(environment),
        }
    }

    /// Returns the name of its directory, which is also the first part of its job ids.
    pub(crate) fn key(&self) -> String {
        let text = format!(
            "{}\0{}\0{}\0{}",
            self.user,
            self.host,
            self.boot,
            self.enclosing.as_deref().unwrap_or_default()
        );
        short_hash(text.as_bytes(), 10)
    }

    /// Returns whether `other` is of the same life of the same machine.
    pub(crate) fn is_same_boot(&self, other: &Self) -> bool {
        self.user == other.user && self.host == other.host && self.boot == other.boot
    }
}

/// Returns the batch job that the environment tells of, as `NAME=VALUE`.
pub(crate) fn enclosing(environment: &BTreeMap<String, String>) -> Option<String> {
    ENCLOSING.iter().find_map(|name| {
        let value = environment.get(*name)?;
        (!value.is_empty()).then(|| format!("{name}={value}"))
    })
}

fn short_hash(bytes: &[u8], length: usize) -> String {
    let hash = blake3::hash(bytes);
    let mut text = data_encoding::BASE32_NOPAD
        .encode(&hash.as_bytes()[..20])
        .to_ascii_lowercase();
    text.truncate(length);
    text
}

/// Returns the name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Returns what tells this life of the machine from others; where the kernel has no boot id, the time
/// of its start.
pub(crate) fn boot_id() -> String {
    if let Ok(id) = fs_err::read_to_string("/proc/sys/kernel/random/boot_id") {
        return id.trim().to_owned();
    }
    fs_err::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| {
            stat.lines()
                .find_map(|line| line.strip_prefix("btime "))
                .map(|time| time.trim().to_owned())
        })
        .unwrap_or_default()
}

/// The files of one supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// Its directory, mode 0700.
    pub(crate) directory: PathBuf,
}

/// What a client writes down for the supervisor that it starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plate {
    pub(crate) owner: Owner,
    pub(crate) settings: Settings,
}

impl Location {
    /// Returns the place of the supervisor for this owner below `runtime`.
    pub(crate) fn of(runtime: &Path, owner: &Owner) -> Self {
        Self {
            directory: runtime.join("local").join(owner.key()),
        }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// Held by the process that watches over the supervisor.
    pub(crate) fn watch(&self) -> PathBuf {
        self.directory.join("watch")
    }

    /// How processes ended that outlived their supervisor.
    pub(crate) fn exits(&self) -> PathBuf {
        self.directory.join("exits")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("jobs")
    }

    pub(crate) fn plate(&self) -> PathBuf {
        self.directory.join("supervisor.json")
    }

    /// What the supervisor itself has to say.
    pub(crate) fn messages(&self) -> PathBuf {
        self.directory.join("messages")
    }

    /// Returns the path of the socket. Paths of sockets are short: below a long directory, it is in
    /// one under `/tmp` named after the user, where the name of the socket stands for the directory.
    pub(crate) fn socket(&self) -> PathBuf {
        let beside = self.directory.join("socket");
        if beside.as_os_str().len() <= SOCKET_PATH {
            return beside;
        }
        let user = rustix::process::geteuid().as_raw();
        let name = short_hash(self.directory.as_os_str().as_encoded_bytes(), 16);
        PathBuf::from(format!("/tmp/reflow-{user}/{name}"))
    }

    /// Makes the directories where they are missing, and checks that nobody else can enter them.
    pub(crate) fn create(&self) -> Result<(), SchedulerError> {
        if let Some(parent) = self.directory.parent() {
            make(parent)?;
        }
        private(&self.directory)?;
        match self.socket().parent() {
            Some(parent) if parent != self.directory => private(parent),
            _ => Ok(()),
        }
    }

    /// Checks, where the directories are there, that nobody else can enter them. Returns whether they
    /// are.
    pub(crate) fn check(&self) -> Result<bool, SchedulerError> {
        for directory in [Some(self.directory.as_path()), self.socket().parent()]
            .into_iter()
            .flatten()
        {
            match fs_err::symlink_metadata(directory) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                _ => check_private(directory)?,
            }
        }
        Ok(true)
    }

    /// Reads what the client wrote down that started the supervisor here.
    pub(crate) fn read_plate(&self) -> Result<Plate, SchedulerError> {
        let text = fs_err::read(self.plate()).map_err(|error| io_error(&error))?;
        serde_json::from_slice(&text).map_err(|error| {
            SchedulerError::new(
                SchedulerErrorKind::Io,
                format!("could not read `{}`: {error}", self.plate().display()),
            )
        })
    }

    /// Writes it down, whole or not at all.
    pub(crate) fn write_plate(&self, plate: &Plate) -> Result<(), SchedulerError> {
        // Clients in one process and in several may start it at the same time.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let text = serde_json::to_vec(plate).expect("settings and names are plain data");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = self
            .directory
            .join(format!("supervisor.json.{}.{count}", std::process::id()));
        fs_err::write(&new, text)
            .and_then(|()| fs_err::rename(&new, self.plate()))
            .map_err(|error| io_error(&error))
    }
}

/// Returns an error of reading or writing here, whose text names the path.
pub(crate) fn io_error(error: &std::io::Error) -> SchedulerError {
    let kind = if error.kind() == std::io::ErrorKind::PermissionDenied {
        SchedulerErrorKind::Permission
    } else {
        SchedulerErrorKind::Io
    };
    SchedulerError::new(kind, error.to_string())
}

/// Makes a directory and its parents with mode 0700 where they are missing.
fn make(directory: &Path) -> Result<(), SchedulerError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).map_err(|error| {
        SchedulerError::new(
            SchedulerErrorKind::Io,
            format!(
                "could not create the directory `{}`: {error}",
                directory.display()
            ),
        )
    })
}

fn private(directory: &Path) -> Result<(), SchedulerError> {
    make(directory)?;
    check_private(directory)
}

fn check_private(directory: &Path) -> Result<(), SchedulerError> {
    let refuse = |what: String| {
        Err(SchedulerError::new(
            SchedulerErrorKind::Permission,
            format!(
                "the directory `{}` is not private: {what}; remove it, or choose another runtime directory",
                directory.display()
            ),
        ))
    };
    let metadata = fs_err::symlink_metadata(directory).map_err(|error| io_error(&error))?;
    if !metadata.is_dir() {
        return refuse("it is not a directory".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refuse(format!("it belongs to user {}", metadata.uid()));
    }
    if metadata.mode() & 0o077 != 0 {
        return refuse(format!(
            "its mode is {:03o}, not 700",
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn owner(job: Option<&str>) -> Owner {
        let environment = job
            .map(|job| ("SLURM_JOB_ID".to_owned(), job.to_owned()))
            .into_iter()
            .collect();
        Owner::here(&environment)
    }

    #[test]
    fn each_enclosing_job_has_a_supervisor_of_its_own() {
        assert_eq!(owner(None).key(), owner(None).key());
        assert_ne!(owner(None).key(), owner(Some("7")).key());
        assert_ne!(owner(Some("8")).key(), owner(Some("7")).key());
    }

    #[test]
    fn the_socket_of_a_long_directory_has_a_short_path() {
        let deep = PathBuf::from("/scratch").join("x".repeat(200));
        let location = Location::of(&deep, &owner(None));
        assert!(location.socket().as_os_str().len() <= SOCKET_PATH);
        let other = Location::of(&deep.join("y"), &owner(None));
        assert_ne!(location.socket(), other.socket());
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let location = Location::of(base.path(), &owner(None));
        location.create().expect("a fresh directory is private");
        assert!(location.check().expect("still private"));
        let open = std::fs::Permissions::from_mode(0o750);
        fs_err::set_permissions(&location.directory, open).expect("it is ours");
        for error in [
            location.create().unwrap_err(),
            location.check().unwrap_err(),
        ] {
            assert_eq!(error.kind(), SchedulerErrorKind::Permission);
            assert!(error.message().contains("its mode is 750"), "{error}");
        }
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_refused() {
        let base = tempfile::tempdir().expect("a temporary directory");
        let location = Location::of(base.path(), &owner(None));
        make(location.directory.parent().expect("it has one")).expect("made");
        std::os::unix::fs::symlink(base.path(), &location.directory).expect("linked");
        let error = location.create().unwrap_err();
        assert!(error.message().contains("not a directory"), "{error}");
    }
}
