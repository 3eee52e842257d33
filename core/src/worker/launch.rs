use std::ffi::OsStr;
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fs_err as fs;
use rustix::fs::{Access, access};

use super::environment::Variables;

/// Starts bodies, many times the same program.
///
/// With the program's path known, the process is made without copying this one, which costs less the
/// more this one holds. With a bare name that is to be looked up in a `PATH` that is not our own, it
/// could not be. So the name is looked up once.
#[derive(Debug, Default)]
pub(super) struct Launcher {
    /// The program that was looked up last, and where it was.
    found: Option<(String, PathBuf)>,
    /// What bodies read.
    null: Option<fs::File>,
}

/// A body that was started, and the ends of its output pipes, which do not block.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) out: PipeReader,
    pub(super) err: PipeReader,
}

impl Launcher {
    /// Starts a body in a process group of its own.
    pub(super) fn start(
        &mut self,
        argv: &[String],
        directory: &Path,
        variables: &Variables,
    ) -> io::Result<Started> {
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| io::Error::other("the command is empty"))?;
        if let Some(path) = self.locate(program, variables) {
            let mut known = command(path.as_os_str(), arguments, directory, variables);
            known.arg0(program);
            if let Ok(started) = self.spawn(known) {
                return Ok(started);
            }
            // It may have gone, or be a script that only a shell can read.
            self.found = None;
        }
        self.spawn(command(
            OsStr::new(program),
            arguments,
            directory,
            variables,
        ))
    }

    fn spawn(&mut self, mut command: Command) -> io::Result<Started> {
        let (out, out_writer) = io::pipe()?;
        let (err, err_writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&out, true)?;
        rustix::io::ioctl_fionbio(&err, true)?;
        crate::fault::reach("worker/body");
        let child = command
            .stdin(self.null()?)
            .stdout(out_writer)
            .stderr(err_writer)
            .spawn()?;
        // The command goes, and with it the writing ends: without that the readers would see no end.
        Ok(Started { child, out, err })
    }

    /// Returns where a program is; none where it must be searched for in another way.
    fn locate(&mut self, program: &str, variables: &Variables) -> Option<PathBuf> {
        if program.contains('/') {
            return None;
        }
        if let Some((name, path)) = &self.found
            && name == program
        {
            return Some(path.clone());
        }
        let path = variables.get(OsStr::new("PATH"))?;
        let found = std::env::split_paths(path)
            // Relative entries depend on the directory, and are searched by the system.
            .take_while(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|path| is_program(path))?;
        self.found = Some((program.to_owned(), found.clone()));
        Some(found)
    }

    fn null(&mut self) -> io::Result<Stdio> {
        let null = match &self.null {
            Some(null) => null,
            None => self.null.insert(fs::File::open("/dev/null")?),
        };
        Ok(null.file().try_clone()?.into())
    }
}

fn is_program(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok() && path.is_file()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a body, not a client of the batch system"
)]
fn command(
    program: &OsStr,
    arguments: &[String],
    directory: &Path,
    variables: &Variables,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(variables)
        .current_dir(directory)
        .process_group(0);
    command
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(directory: &Path, text: &str) {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join("tool");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn output(launcher: &mut Launcher, path: &str, directory: &Path) -> io::Result<String> {
        let variables = Variables::from([("PATH".into(), path.into())]);
        let argv = ["tool".to_owned(), "1".to_owned()];
        let mut started = launcher.start(&argv, directory, &variables)?;
        started.child.wait()?;
        let mut text = String::new();
        started.out.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_program_is_searched_as_a_shell_would() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = (home.path().join("a"), home.path().join("b"));
        let path = format!("{}:{}:/usr/bin:/bin", first.display(), second.display());
        let mut launcher = Launcher::default();
        let none = output(&mut launcher, &path, home.path()).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);

        place(&second, "#!/bin/sh\necho second $1\n");
        assert_eq!(
            output(&mut launcher, &path, home.path()).unwrap(),
            "second 1\n"
        );
        // Without a first line for the kernel.
        fs::remove_dir_all(&second).unwrap();
        place(&first, "echo shell $1\n");
        assert_eq!(
            output(&mut launcher, &path, home.path()).unwrap(),
            "shell 1\n"
        );
        // Below the directory that the body runs in.
        place(&second, "#!/bin/sh\necho relative $1\n");
        let mut launcher = Launcher::default();
        let relative = output(&mut launcher, "b:/usr/bin:/bin", home.path()).unwrap();
        assert_eq!(relative, "relative 1\n");
    }
}
