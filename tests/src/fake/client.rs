//! The clients: what they share.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::harness::start_server;
use super::options::{Dialect, FakeOptions};
use super::server::{Setup, serve};
use super::wire::{Answer, Request, call};

/// A client that was called.
#[derive(Debug)]
pub struct Client {
    /// The fake's directory.
    pub directory: PathBuf,
    /// Under which name.
    pub name: String,
    /// With which arguments, its name not among them.
    pub arguments: Vec<OsString>,
    /// Which batch system it belongs to.
    pub dialect: Dialect,
    /// What the cluster is like.
    pub options: FakeOptions,
    /// Who calls it.
    pub user: String,
}

impl Client {
    /// Asks the server, which is started where there is none.
    ///
    /// # Errors
    /// When it cannot be reached.
    #[expect(
        clippy::zombie_processes,
        reason = "the server outlives the client that has started it"
    )]
    pub fn ask(&self, request: &Request) -> io::Result<Answer> {
        let first = call(&self.directory, request);
        let Err(error) = first else { return first };
        if !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        ) || !self.directory.join("setup").exists()
        {
            return Err(error);
        }
        start_server(&std::env::current_exe()?, &self.directory);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match call(&self.directory, request) {
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                answer => return answer,
            }
        }
    }

    /// Returns the arguments as text, what is not UTF-8 replaced.
    pub fn words(&self) -> Vec<String> {
        self.arguments
            .iter()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect()
    }

    /// Prints on standard output.
    pub fn print(&self, text: &str) {
        // A reader that has gone needs nothing.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    /// Prints on standard error, with a line end.
    pub fn complain(&self, text: &str) {
        let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
    }
}

/// Runs `reflow-fake-scheduler --dir DIR (--serve | [--user USER] --as NAME -- ARGUMENTS)`.
pub fn entry(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match enter(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = io::stderr().write_all(format!("reflow-fake-scheduler: {error}\n").as_bytes());
            ExitCode::from(125)
        }
    }
}

fn enter(arguments: impl IntoIterator<Item = OsString>) -> io::Result<u8> {
    let wrong = || io::Error::other("usage: --dir DIR (--serve | [--user USER] --as NAME -- ...)");
    let mut arguments = arguments.into_iter().skip(1);
    let mut directory = None;
    let mut name = None;
    let mut user = None;
    loop {
        let argument = arguments.next().ok_or_else(wrong)?;
        match argument.to_str() {
            Some("--dir") => directory = arguments.next().map(PathBuf::from),
            Some("--as") => name = arguments.next().and_then(|name| name.into_string().ok()),
            Some("--user") => user = arguments.next().and_then(|user| user.into_string().ok()),
            Some("--serve") => {
                serve(&directory.ok_or_else(wrong)?)?;
                return Ok(0);
            }
            Some("--") => break,
            _ => return Err(wrong()),
        }
    }
    let directory = directory.ok_or_else(wrong)?;
    let setup = Setup::read(&directory)?;
    let user = user
        .or_else(|| setup.options.user.clone())
        .unwrap_or_else(own_name);
    let client = Client {
        directory,
        name: name.ok_or_else(wrong)?,
        arguments: arguments.collect(),
        dialect: setup.dialect,
        options: setup.options,
        user,
    };
    Ok(match client.dialect {
        Dialect::OpenPbs | Dialect::Torque => super::pbs::run(&client),
        Dialect::Lsf | Dialect::OpenLava => super::lsf::run(&client),
    })
}

/// Returns the name of the user that runs this process.
pub fn own_name() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    fs_err::read_to_string("/etc/passwd")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        })
        .unwrap_or(id)
}
