//! The program `reflow` as a user starts it, in surroundings of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What one call of the program gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The arguments, for messages.
    pub arguments: Vec<String>,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "an outcome that is as expected has said all that a test wants"
)]
impl Outcome {
    /// Checks the exit code, with everything shown where it is another.
    ///
    /// # Panics
    /// When the exit code is another one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "`reflow {}` ended with {:?} instead of {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments.join(" "),
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns standard output as one JSON document.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "`reflow {}` printed no JSON ({error}):\n{}\n--- stderr\n{}",
                self.arguments.join(" "),
                self.stdout,
                self.stderr
            )
        })
    }

    /// Checks that standard error has each of `parts`.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`reflow {}` does not say `{part}`:\n{}",
                self.arguments.join(" "),
                self.stderr
            );
        }
        self
    }
}

/// The program, with a home, a store and a supervisor of its own, all gone when this is dropped.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
    backend: &'static str,
    keeps: bool,
}

impl Program {
    /// Returns the program in fresh surroundings, running on the local backend.
    pub fn local() -> Self {
        Self::on("local")
    }

    /// Returns the program in fresh surroundings, running on Slurm.
    pub fn slurm() -> Self {
        Self::on("slurm")
    }

    /// Returns the program in fresh surroundings, running on a backend whose programs are in `bin_dir`, with
    /// other lines of `[backend.NAME]`.
    pub fn over(backend: &'static str, bin_dir: &Path, settings: &str) -> Self {
        let program = Self::on(backend);
        let text = format!(
            "[backend.{backend}]\nbin_dir = \"{}\"\n{settings}\n",
            bin_dir.display()
        );
        let path = program.write("configuration/reflow.toml", &text);
        program.with_variable("REFLOW_CONFIG", &path.display().to_string())
    }

    fn on(backend: &'static str) -> Self {
        Self {
            binary: binary().to_owned(),
            home: fresh_directory(),
            variables: Vec::new(),
            backend,
            keeps: false,
        }
    }

    /// Runs another program than the one that was built: a copy of it, or one made for tests. `make`
    /// is told [`home`](Self::home) and returns its path.
    #[must_use]
    pub fn with_binary(mut self, make: impl FnOnce(&Path) -> PathBuf) -> Self {
        self.binary = make(&self.home);
        self
    }

    /// Leaves everything where it is, for a look at what has gone wrong.
    pub fn keep(mut self) {
        self.keeps = true;
    }

    /// Sets a variable for every call.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the name of the backend that it runs on.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Returns a directory of this program's own, for files and runs.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Writes a file into [`home`](Self::home), with the folders above it, and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.join(name);
        let folder = path.parent().expect("the path is below home");
        fs_err::create_dir_all(folder).expect("the folder can be made");
        fs_err::write(&path, text).expect("the file can be written");
        path
    }

    /// Returns a command that starts the program, for tests that need the process itself.
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = command(&self.binary);
        #[expect(
            clippy::disallowed_methods,
            reason = "what the person who runs the tests has set must not reach the program"
        )]
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("REFLOW_") || text.starts_with("XDG_") || text.starts_with("SLURM_")
            {
                command.env_remove(&name);
            }
        }
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(&self.home)
            .env("HOME", &self.home)
            .env("REFLOW_BACKEND", self.backend)
            .env("REFLOW_RUNTIME_DIR", self.home.join("runtime"))
            .env("REFLOW_SYSTEM_CONFIG", self.home.join("no-system-file"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it cannot be started, or does not end within five minutes.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Outcome {
        let mut command = self.command(arguments);
        let stdout = self.home.join(format!(".stdout-{}", unique()));
        let stderr = self.home.join(format!(".stderr-{}", unique()));
        // To files: a supervisor that is started on the way must not keep the test waiting on a pipe.
        let file = |path: &Path| {
            fs_err::File::create(path)
                .expect("home is writable")
                .into_parts()
                .0
        };
        let mut child = command
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("the program can be started");
        let deadline = Instant::now() + Duration::from_mins(5);
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child is ours") {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().expect("the child is ours");
                child.wait().expect("the child is ours");
                panic!(
                    "`reflow {}` did not end within five minutes; it said:\n{}",
                    text(arguments).join(" "),
                    lossy(&stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let outcome = Outcome {
            arguments: text(arguments),
            code: status.code(),
            stdout: lossy(&stdout),
            stderr: lossy(&stderr),
        };
        for path in [stdout, stderr] {
            fs_err::remove_file(path).expect("home is writable");
        }
        outcome
    }

    /// Runs the program with `--json`, expects the exit code 0, and returns what it printed.
    #[track_caller]
    pub fn json<S: AsRef<str>>(&self, arguments: &[S]) -> Value {
        let mut all = vec!["--json".to_owned()];
        all.extend(text(arguments));
        self.run(&all).expect(0).json()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.backend == "local" {
            // Best effort: where no supervisor was started, there is nothing to stop.
            let _ = self
                .command(&["backend", "stop", "local", "--force"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        if self.keeps || std::thread::panicking() {
            // What a failed test has left is wanted.
            return;
        }
        let _ = fs_err::remove_dir_all(&self.home);
    }
}

fn text<S: AsRef<str>>(arguments: &[S]) -> Vec<String> {
    arguments.iter().map(|a| a.as_ref().to_owned()).collect()
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs_err::read(path).unwrap_or_default()).into_owned()
}

fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A new directory under the temporary directory. Its name is short, for sockets below it.
fn fresh_directory() -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("reflow-e2e-{}-{}", std::process::id(), unique()));
    fs_err::create_dir_all(&directory).expect("the temporary directory is writable");
    directory
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts the program as a user does, without the runner that it tests"
)]
pub(crate) fn command(program: &Path) -> Command {
    Command::new(program)
}

/// Returns the path of the program, built from this source.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let status = command(Path::new(env!("CARGO")))
            .args(["build", "--quiet", "--package", "reflow", "--bin", "reflow"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs, since it has built this test");
        assert!(status.success(), "the program does not build");
        // This test is `target/PROFILE/deps/NAME`, the program `target/PROFILE/reflow`.
        let test = std::env::current_exe().expect("a test knows its own file");
        test.ancestors()
            .nth(2)
            .expect("a test lies below the target directory")
            .join("reflow")
    })
}

/// The example of the README, as `-w` takes it.
pub const WORDCOUNT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wordcount");

/// Returns a text of several hundred words for counting.
pub fn reference_text() -> String {
    let line = "the quick brown fox jumps over the lazy dog; it costs $5 and 'no' more\n";
    line.repeat(60)
}

/// Returns what `wc -w FILE` says.
///
/// # Panics
/// When `wc` cannot be run.
pub fn word_count(file: &Path) -> u64 {
    let output = command(Path::new("wc"))
        .arg("-w")
        .arg(file)
        .output()
        .expect("wc is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .expect("wc prints a number first")
}
