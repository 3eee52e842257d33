use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use reflow_core::command::is_named;

use crate::error::CliError;

/// The variables of [`Surroundings::base_environment`]; a name that ends with `_` stands for all that
/// start with it.
const BASE: [&str; 16] = [
    "HOME",
    "LANG",
    "LC_",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "LSB_",
    "LSF_",
    "MUNGE_",
    "PATH",
    "PBS_",
    "REFLOW_",
    "SGE_",
    "SHELL",
    "SLURM_",
    "TZ",
    "USER",
];

/// What the program finds around it, read once: the only place that looks.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    variables: BTreeMap<OsString, OsString>,
    /// The directory that the command was given in.
    pub(crate) directory: PathBuf,
}

impl Surroundings {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line reads the environment here and nowhere else"
    )]
    pub(crate) fn read() -> Result<Self, CliError> {
        let directory = std::env::current_dir().map_err(|error| {
            CliError::from_error(crate::error::Kind::Request, &error)
                .doing("the current directory cannot be read")
        })?;
        Ok(Self {
            variables: std::env::vars_os().collect(),
            directory,
        })
    }

    /// Returns a variable, if it is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns a variable that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variable(name).and_then(OsStr::to_str)
    }

    /// Returns every variable that is text. Others cannot be carried in JSON and are left out.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        self.variables
            .iter()
            .filter_map(|(name, value)| {
                Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
            })
            .collect()
    }

    /// Returns the variables that programs need to work at all, and those that say where a batch system
    /// is: what a process starts with that serves more than one run.
    pub(crate) fn base_environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.environment();
        environment.retain(|name, _| is_named(name, &BASE));
        environment
    }

    /// Returns `path`, taken from the current directory where it is relative, without
    /// `.` and doubled slashes.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path).components().collect()
    }

    /// Returns the user's directory of that kind, as XDG has it.
    fn user_directory(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        // The base directory specification has relative paths ignored.
        let named = self.variable(variable).map(PathBuf::from);
        named.filter(|path| path.is_absolute()).or_else(|| {
            let home = self.variable("HOME")?;
            Some(Path::new(home).join(below_home))
        })
    }

    /// Returns where the user's configuration is.
    pub(crate) fn user_configuration(&self) -> Option<PathBuf> {
        self.user_directory("XDG_CONFIG_HOME", ".config")
            .map(|directory| directory.join("reflow/config.toml"))
    }

    /// Returns where the configuration for everybody is.
    pub(crate) fn system_configuration(&self) -> PathBuf {
        self.variable("REFLOW_SYSTEM_CONFIG")
            .map_or_else(|| PathBuf::from("/etc/reflow/config.toml"), PathBuf::from)
    }

    /// Returns where the store is when none is named.
    pub(crate) fn default_store(&self) -> Option<PathBuf> {
        self.user_directory("XDG_DATA_HOME", ".local/share")
            .map(|directory| directory.join("reflow"))
    }

    /// Returns the directory for sockets of this user on this machine.
    ///
    /// Not below `XDG_RUNTIME_DIR`: that is emptied when the user logs out, and jobs do not have it,
    /// while the supervisor of local runs must be found by both.
    pub(crate) fn runtime_directory(&self) -> PathBuf {
        self.variable("REFLOW_RUNTIME_DIR").map_or_else(
            || {
                let user = rustix::process::getuid().as_raw();
                PathBuf::from(format!("/tmp/reflow-{user}"))
            },
            PathBuf::from,
        )
    }
}
