//! A fake as a test holds it.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fs_err as fs;

use super::options::{Dialect, FakeOptions};
use super::server::Setup;
use super::wire::{Request, call};

/// A batch system in a directory of its own. Dropping it ends its server and all jobs.
#[derive(Debug)]
pub struct Fake {
    directory: tempfile::TempDir,
    server: Child,
    dialect: Dialect,
}

impl Fake {
    /// Starts one.
    ///
    /// # Panics
    /// When the directory cannot be made, or its server does not answer within half a minute.
    pub fn start(dialect: Dialect, options: FakeOptions) -> Self {
        // Short: the path of a socket has at most 107 bytes.
        let directory = tempfile::Builder::new()
            .prefix("rf")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let path = directory.path();
        for folder in ["bin", "jobs", "spool", "home", "undelivered", "tmp"] {
            fs::create_dir(path.join(folder)).expect("the directory is ours");
        }
        Setup {
            dialect,
            options,
            owner: std::process::id(),
        }
        .write(path)
        .expect("the directory is ours");
        for name in dialect.programs() {
            write_client(path, name);
        }
        let server = start_server(program(), path);
        let fake = Self {
            directory,
            server,
            dialect,
        };
        fake.wait();
        fake
    }

    /// Returns the directory of the clients.
    pub fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    /// Returns the directory that it keeps everything in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns which batch system it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the command of a client.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests run the clients as they are"
    )]
    pub fn client(&self, name: &str) -> Command {
        Command::new(self.bin().join(name))
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while call(self.directory(), &Request::Cluster).is_err() {
            assert!(
                Instant::now() < deadline,
                "the fake's server does not answer; its log says: {}",
                fs::read_to_string(self.directory().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // One that does not answer is ended without.
        let asked = call(self.directory(), &Request::End).is_ok();
        let deadline = Instant::now() + Duration::from_secs(if asked { 10 } else { 0 });
        while Instant::now() < deadline {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Writes the script that stands under the name of a client. It works from any environment, that of
/// jobs included.
fn write_client(directory: &Path, name: &str) {
    let path = directory.join("bin").join(name);
    let text = format!(
        "#!/bin/sh\nexec '{}' --dir '{}' --as {name} -- \"$@\"\n",
        program().display(),
        directory.display()
    );
    fs::write(&path, text).expect("the directory is ours");
    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

/// Starts the server of a directory, outside of the groups and terminals of whoever asks.
pub(super) fn start_server(program: &Path, directory: &Path) -> Child {
    let log = || {
        File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .map_or_else(|_| Stdio::null(), Stdio::from)
    };
    #[expect(clippy::disallowed_methods, reason = "the fake's server is no client")]
    let mut command = Command::new(program);
    command
        .arg("--dir")
        .arg(directory)
        .arg("--serve")
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log())
        .stderr(log())
        .spawn()
        .expect("the program is there, since it is built with the tests")
}

/// Returns the program of the fakes, which is built with the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own file");
        // target/debug/deps/a-test, or target/debug/an-example.
        test.ancestors()
            .skip(1)
            .map(|folder| folder.join("reflow-fake-scheduler"))
            .find(|path| path.is_file())
            .expect("reflow-fake-scheduler is built with the tests")
    })
}
