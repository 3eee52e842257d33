//! The check that a task makes of a remembered value before it is used.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use fs_err as fs;
use serde_json::Value;

use super::environment::{self, Variables};
use super::launch::Launcher;
use crate::host::{CHECKED_VALUE, CompiledCommand};
use crate::id::ParameterName;
use crate::rundir::{JobEnvironment, RunDir};
use crate::workflow::TaskDescription;

/// The check of a command task, ready to be made of any number of values.
#[derive(Debug)]
pub(crate) struct ValueCheck {
    dir: RunDir,
    command: CompiledCommand,
    variables: Variables,
}

impl ValueCheck {
    /// Returns the check of a task, where it has one; `setup` are the lines that are run before its bodies.
    ///
    /// # Errors
    /// When it cannot be made: its script is wrong, or the task's setup lines fail.
    pub(crate) fn of(
        dir: &RunDir,
        task: &TaskDescription,
        setup: &[String],
    ) -> io::Result<Option<Self>> {
        let command = CompiledCommand::compile_check(task)
            .map_err(|errors| io::Error::other(errors.to_string()))?;
        let Some(command) = command else {
            return Ok(None);
        };
        let saved = JobEnvironment::of(dir)?;
        let variables = environment::variables([], &saved, &task.environment);
        let variables =
            environment::set_up(setup, dir.path(), variables)?.map_err(io::Error::other)?;
        Ok(Some(Self {
            dir: dir.clone(),
            command,
            variables,
        }))
    }

    /// Returns whether the task accepts a value.
    pub(crate) fn accepts(&self, value: &Value) -> io::Result<bool> {
        let name = ParameterName::new(CHECKED_VALUE).expect("a name");
        let inputs = BTreeMap::from([(name, value.clone())]);
        let scratch = Scratch(self.dir.inside("scratch").join(super::run::random_name()?));
        let invocation = self
            .command
            .prepare(&inputs, self.dir.path(), &scratch.0)
            .map_err(io::Error::other)?;
        crate::fault::reach("worker/check");
        fs::create_dir_all(&scratch.0)?;
        for (path, content) in &invocation.files {
            fs::write(path, content)?;
        }
        let mut started =
            Launcher::default().start(&invocation.argv, self.dir.path(), &self.variables)?;
        // What it prints is of no interest; without a reader it would be killed by its own output.
        let drain = |pipe: io::PipeReader| {
            rustix::io::ioctl_fionbio(&pipe, false)?;
            io::copy(&mut &pipe, &mut io::sink())
        };
        let both = std::thread::scope(|scope| {
            let err = scope.spawn(|| drain(started.err));
            let out = drain(started.out);
            (out, err.join())
        });
        both.0?;
        Ok(started.child.wait()?.success())
    }
}

/// A directory that goes with what needed it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-over scratch files are no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
