use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use reflow_core::command::scrub;
use reflow_core::fault::reach;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};

use crate::location::{Location, Owner, Plate, io_error};
use crate::settings::Settings;
use crate::tree::MARK_VARIABLE;

/// Closes everything but the standard streams, then becomes the supervisor. Descriptors that a shell
/// left open (the lock of a `flock`, the pipe of a `tee`) must not be held for as long as it lives.
const DETACH: &str = r#"for file in /proc/self/fd/*; do
number=${file##*/}
case $number in 0|1|2|255) ;; *) eval "exec $number>&-" ;; esac
done
exec "$@""#;

/// What is needed to start a supervisor.
#[derive(Debug)]
pub(super) struct Starter {
    pub(super) launcher: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) settings: Settings,
    pub(super) owner: Owner,
}

impl Starter {
    pub(super) fn can_start(&self) -> bool {
        !self.launcher.is_empty()
    }

    /// Starts a supervisor, which may find that another one was first.
    pub(super) fn start(&self, location: &Location) -> Result<Child, SchedulerError> {
        if !self.can_start() {
            return Err(SchedulerError::new(
                SchedulerErrorKind::Unreachable,
                "the supervisor of the local backend is not running, and this program does not know how to start it; set `launcher`",
            ));
        }
        reach("local/create-directory");
        location.create()?;
        reach("local/write-plate");
        location.write_plate(&Plate {
            owner: self.owner.clone(),
            settings: self.settings.clone(),
        })?;
        let messages = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(location.messages())
            .map_err(|error| io_error(&error))?;
        let copy = messages.try_clone().map_err(|error| io_error(&error))?;
        let mut command = self.command(location);
        command
            .env_clear()
            .envs(scrub(&self.environment))
            // A job may be the client: what it starts is no part of it.
            .env_remove(MARK_VARIABLE)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(messages)
            .stderr(copy);
        reach("local/start");
        command.spawn().map_err(|error| {
            SchedulerError::new(
                SchedulerErrorKind::Unreachable,
                format!(
                    "could not start the supervisor of the local backend: `{}`: {error}",
                    self.launcher[0]
                ),
            )
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the supervisor outlives the call, so the shared runner has no part in it"
    )]
    fn command(&self, location: &Location) -> Command {
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", DETACH, "reflow-supervisor"])
            .args(&self.launcher)
            .arg("supervisor")
            .arg("--dir")
            .arg(&location.directory);
        command
    }
}

/// Returns the last words of a supervisor that could not start.
pub(super) fn last_words(location: &Location) -> String {
    let text = fs_err::read(location.messages()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    reflow_core::command::last_lines(&text, 5).trim().to_owned()
}
