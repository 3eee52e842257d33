use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::Value;

use super::body;
use super::environment::Variables;
use super::launch::Launcher;
use super::logs::{Logs, Which};
use super::memory::OutOfMemory;
use crate::host::CompiledCommand;
use crate::id::ParameterName;
use crate::results::{Outcome, ResultRecord, SpoolWriter, room};
use crate::rundir::RunDir;
use crate::scheduler::EndReason;

/// Knows the bodies of tasks: the part of a worker that differs between task hosts.
pub trait TaskHost {
    /// Runs one element and tells how it ended.
    ///
    /// [`Call::start`] is called right before the body starts, and not at all where it does not come to
    /// that: a body that was announced is never started again in the same try.
    ///
    /// # Errors
    ///
    /// Only for what keeps the worker itself from going on; the failure of a body is a result.
    fn call(&mut self, call: Call<'_>) -> io::Result<ResultRecord>;
}

/// One element to be run.
#[derive(Debug)]
pub struct Call<'a> {
    /// The element.
    pub element: u32,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// The values of all parameters.
    pub inputs: &'a BTreeMap<ParameterName, Value>,
    /// The run.
    pub dir: &'a RunDir,
    /// A directory for files of this element alone; not made yet.
    pub scratch: PathBuf,
    /// The variables of the body.
    pub variables: &'a Variables,
    /// Becomes readable when a termination signal has come.
    pub stop: Option<&'a OwnedFd>,
    pub(super) logs: &'a mut Logs,
    pub(super) spool: &'a mut SpoolWriter,
}

impl Call<'_> {
    /// Records that the body is about to start.
    pub fn start(&mut self) -> io::Result<()> {
        self.spool.start_element(self.element)
    }

    /// Keeps the value of an element that succeeded.
    pub fn succeed(&self, mut result: ResultRecord, value: &Value) -> ResultRecord {
        match room::when_there_is_room(|| self.dir.values().put(value.to_string())) {
            Ok(value) => {
                result.outcome = Outcome::Succeeded;
                result.value = Some(value);
            }
            Err(error) => result.message = Some(format!("its result could not be kept: {error}")),
        }
        result
    }
}

/// The host of command tasks.
#[derive(Debug)]
pub(super) struct CommandHost {
    command: CompiledCommand,
    launcher: Launcher,
    out_of_memory: OutOfMemory,
}

impl TaskHost for CommandHost {
    fn call(&mut self, mut call: Call<'_>) -> io::Result<ResultRecord> {
        let element = call.element;
        let failed =
            |message: String| ResultRecord::new(element, Outcome::Failed).with_message(message);
        let invocation = match self
            .command
            .prepare(call.inputs, call.dir.path(), &call.scratch)
        {
            Ok(invocation) => invocation,
            Err(error) => return Ok(failed(error.to_string())),
        };
        if !invocation.files.is_empty() {
            crate::fault::reach("worker/scratch");
            room::when_there_is_room(|| fs::create_dir_all(&call.scratch))?;
            for (path, content) in &invocation.files {
                room::when_there_is_room(|| fs::write(path, content))?;
            }
        }
        call.start()?;
        let position = call.logs.position();
        let ran = body::run(
            &mut self.launcher,
            &invocation.argv,
            call.dir.path(),
            call.variables,
            call.logs,
            call.stop,
        );
        if !invocation.files.is_empty() {
            crate::fault::reach("worker/unscratch");
            // Left-over scratch files are no harm.
            let _ = fs::remove_dir_all(&call.scratch);
        }
        let mut result = match ran {
            Ok(ended) => self.judge(&call, &ended),
            Err(error) => {
                let program = invocation.argv.first().map_or("", String::as_str);
                let message = format!("`{program}` could not be run: {error}");
                call.logs
                    .write(Which::Err, format!("reflow: {message}\n").as_bytes())?;
                failed(message)
            }
        };
        result.log = call.logs.span_since(position);
        Ok(result)
    }
}

impl CommandHost {
    pub(super) fn new(command: CompiledCommand) -> Self {
        Self {
            command,
            launcher: Launcher::default(),
            out_of_memory: OutOfMemory::watch(),
        }
    }

    fn judge(&mut self, call: &Call<'_>, ended: &body::Ended) -> ResultRecord {
        let mut result = ResultRecord::new(call.element, Outcome::Failed);
        result.exit_status = ended.code;
        result.signal = ended.signal;
        result.wall_ms = ended.wall.as_millis() as u64;
        result.cpu_ms = ended.cpu.as_millis() as u64;
        result.peak_kib = ended.peak_kib;
        match (ended.code, ended.signal) {
            (Some(0), _) if ended.is_cut => {
                result.message = Some(
                    "its standard output is longer than 256 MiB: let it write a file".to_owned(),
                );
            }
            (Some(0), _) => match self
                .command
                .collect(&ended.stdout, call.inputs, call.dir.path())
            {
                Ok(value) => result = call.succeed(result, &value),
                Err(error) => result.message = Some(error.to_string()),
            },
            (Some(code), _) => result.message = Some(format!("exit status {code}")),
            (None, Some(signal)) => result.message = Some(format!("ended by signal {signal}")),
            (None, None) => result.message = Some("it ended, and nobody knows how".to_owned()),
        }
        // Asked each time, so that a later body is not blamed for it.
        let has_killed = self.out_of_memory.has_killed();
        if result.outcome == Outcome::Succeeded {
            return result;
        }
        // A body that was killed outright says nothing; the batch system may know more.
        let is_killed = ended.signal == Some(Signal::KILL.as_raw());
        if has_killed {
            result.cause = Some(EndReason::Memory);
            let how = result.message.take().unwrap_or_default();
            result.message = Some(format!("it used more memory than it asked for ({how})"));
        } else if ended.interrupted || is_killed {
            result.outcome = Outcome::Interrupted;
        }
        result
    }
}

impl<T: TaskHost + ?Sized> TaskHost for &mut T {
    fn call(&mut self, call: Call<'_>) -> io::Result<ResultRecord> {
        (**self).call(call)
    }
}
