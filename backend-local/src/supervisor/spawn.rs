use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reflow_core::scheduler::{JOB_ID_VARIABLE, JobRequest, script};

use super::watcher::WATCHER_VARIABLE;
use crate::location::DIRECTORY_VARIABLE;
use crate::tree::MARK_VARIABLE;

/// Which part of a job a process is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The job, or one element of it.
    Element(u32),
    /// Many elements, one after another.
    Worker,
}

/// What a process is told of where it belongs.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    pub(super) directory: &'a Path,
    pub(super) job: &'a str,
    pub(super) mark: &'a str,
}

/// Starts a process in a group of its own. An error says what could not be done.
pub(super) fn spawn(request: &JobRequest, part: Part, marks: &Marks<'_>) -> Result<Child, String> {
    let mut arguments: Vec<String> = Vec::new();
    match part {
        Part::Worker => arguments.push("--serve".to_owned()),
        Part::Element(index) if request.array.is_some() => {
            arguments.push("--index".to_owned());
            arguments.push(index.to_string());
        }
        Part::Element(_) => {}
    }
    let mut command = if request.command.setup.is_empty() {
        direct(request, &arguments)?
    } else {
        scripted(request, &arguments)?
    };
    command
        .env(DIRECTORY_VARIABLE, marks.directory)
        .env(JOB_ID_VARIABLE, marks.job)
        .env(MARK_VARIABLE, marks.mark)
        .env_remove(WATCHER_VARIABLE)
        .process_group(0);
    let stdio = streams(request, part)?;
    command.stdin(stdio.0).stdout(stdio.1).stderr(stdio.2);
    command.spawn().map_err(|error| {
        let directory = &request.command.directory;
        if !request.command.setup.is_empty() || directory.is_dir() {
            let program = command.get_program().to_string_lossy().into_owned();
            format!("could not start `{program}`: {error}")
        } else {
            format!(
                "could not start in the directory `{}`: {error}",
                directory.display()
            )
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor starts processes that outlive the call, with files of their own"
)]
fn direct(request: &JobRequest, arguments: &[String]) -> Result<Command, String> {
    let (program, own) = request
        .command
        .argv
        .split_first()
        .ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command
        .args(own)
        .args(arguments)
        .current_dir(&request.command.directory)
        .envs(&request.command.environment);
    Ok(command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor starts processes that outlive the call, with files of their own"
)]
fn scripted(request: &JobRequest, arguments: &[String]) -> Result<Command, String> {
    let mut told = request.command.clone();
    told.argv.extend_from_slice(arguments);
    let script = script::body(&told, None, &[]).map_err(|error| error.to_string())?;
    let mut command = Command::new("/bin/bash");
    command.arg("-c").arg(script).arg("reflow-job");
    command.current_dir("/");
    Ok(command)
}

/// Opens what a process reads and writes.
fn streams(request: &JobRequest, part: Part) -> Result<(Stdio, Stdio, Stdio), String> {
    let output = &request.output;
    match part {
        Part::Worker => {
            // Standard output is for answers. What else workers say goes to one file, all of it.
            let stderr = open(&output.stderr, false)?;
            Ok((Stdio::piped(), Stdio::piped(), stderr.into()))
        }
        Part::Element(index) => {
            let suffix = request.array.map(|_| index);
            let stdout = open(&with_index(&output.stdout, suffix), true)?;
            let stderr = if output.stderr == output.stdout {
                let copy = stdout.try_clone();
                copy.map_err(|error| error.to_string())?
            } else {
                open(&with_index(&output.stderr, suffix), true)?
            };
            Ok((Stdio::null(), stdout.into(), stderr.into()))
        }
    }
}

fn with_index(path: &Path, index: Option<u32>) -> PathBuf {
    match index {
        Some(index) => {
            let mut text = path.as_os_str().to_owned();
            text.push(format!(".{index}"));
            text.into()
        }
        None => path.to_owned(),
    }
}

fn open(path: &Path, anew: bool) -> Result<File, String> {
    let open = || -> io::Result<File> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        if anew && file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        Ok(file.into_parts().0)
    };
    open().map_err(|error| format!("could not open the output file: {error}"))
}

/// Returns the two ends of the pipes to a worker.
pub(super) fn pipes(child: &mut Child) -> Option<(OwnedFd, OwnedFd)> {
    let stdin = child.stdin.take()?;
    let stdout = child.stdout.take()?;
    Some((stdin.into(), stdout.into()))
}
