//! A fake and what its clients say.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reflow_tests::fake::{Dialect, Fake, FakeOptions};
use tempfile::TempDir;

/// Both dialects.
pub(crate) const BOTH: [Dialect; 2] = [Dialect::OpenLava, Dialect::Lsf];

/// A fake, and a directory to send jobs from.
pub(crate) struct Lsf {
    pub(crate) fake: Fake,
    pub(crate) home: TempDir,
}

/// What a client said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Said {
    #[track_caller]
    pub(crate) fn is(&self, out: &str, err: &str, code: i32) {
        let line = |text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!("{text}\n")
            }
        };
        let expected = Self {
            out: line(out),
            err: line(err),
            code,
        };
        assert_eq!(*self, expected);
    }
}

impl Lsf {
    pub(crate) fn start(dialect: Dialect) -> Self {
        Self::with(dialect, |_| {})
    }

    pub(crate) fn with(dialect: Dialect, change: impl FnOnce(&mut FakeOptions)) -> Self {
        let mut options = FakeOptions::of(dialect);
        options.user = Some("reflowt".to_owned());
        options.kill_delay = Duration::from_millis(300);
        change(&mut options);
        Self {
            fake: Fake::start(dialect, options),
            home: tempfile::tempdir().expect("a directory can be made"),
        }
    }

    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.fake.client(name);
        command
            .args(arguments)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Said {
        said(&self.command(name, arguments).output().expect("it runs"))
    }

    /// Runs `bsub ARGUMENT... < SCRIPT`.
    pub(crate) fn pipe(&self, arguments: &[&str], script: &str) -> Said {
        let mut child = self
            .command("bsub", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(script.as_bytes()).expect("it reads");
        drop(input);
        said(&child.wait_with_output().expect("it ends"))
    }

    /// Sends a job and returns its number.
    #[track_caller]
    pub(crate) fn bsub(&self, arguments: &[&str]) -> String {
        number(&self.run("bsub", arguments))
    }

    #[track_caller]
    pub(crate) fn bsub_script(&self, arguments: &[&str], script: &str) -> String {
        number(&self.pipe(arguments, script))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// The states of a job's elements, by the listing.
    pub(crate) fn states(&self, id: &str) -> Vec<String> {
        let said = self.run("bjobs", &["-a", "-w", id]);
        let lines = said.out.lines().skip(1);
        lines
            .map(|line| line.split_whitespace().nth(2).expect("a state").to_owned())
            .collect()
    }

    #[track_caller]
    pub(crate) fn wait(&self, id: &str, wanted: &[&str]) {
        self.until(&format!("{id} to be {wanted:?}"), || {
            self.states(id) == wanted
        });
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "gave up waiting for {what}: {}",
                self.run("bjobs", &["-a", "-p"]).out
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The long form with its lines joined.
    pub(crate) fn long(&self, client: &str, id: &str) -> String {
        let said = self.run(client, &["-l", id]);
        said.out.replace(&format!("\n{}", " ".repeat(21)), "")
    }

    /// What was mailed.
    pub(crate) fn mail(&self, id: &str) -> String {
        text(&self.fake.directory().join("mail").join(id))
    }
}

fn said(output: &std::process::Output) -> Said {
    Said {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("it ended by itself"),
    }
}

#[track_caller]
fn number(said: &Said) -> String {
    let begin = said.out.find("Job <").map(|at| at + "Job <".len());
    let rest = begin.map(|at| &said.out[at..]);
    let number = rest.and_then(|rest| rest.split('>').next());
    number.unwrap_or_else(|| panic!("{said:?}")).to_owned()
}

fn text(path: &Path) -> String {
    fs_err::read_to_string(path).unwrap_or_default()
}
