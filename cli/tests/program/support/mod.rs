//! A place of its own for each test: no file, variable or process of the user is seen.

mod stand_ins;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

pub(crate) use stand_ins::{SLURM_CONFIG, System};

/// The workflow that most tests use.
pub(crate) const WORDCOUNT: &str = r#"
[workflow]
name = "wordcount"

[tasks.split]
command = ["split", "-n", "l/{parts}", "--additional-suffix=.txt", "{text}", "{run_dir}/part-"]
params.text = { type = "file", help = "Text to count", short = "t" }
params.parts = { type = "int", default = 8, help = "Number of parts" }
returns = "list[file]"
output = { glob = "{run_dir}/part-*.txt" }

[tasks.count]
array = true
array_parallelism = 4
shell = "wc -w < {part}"
params.part = { type = "file", result = "split" }
returns = "int"

[tasks.total]
shell = "printf '%s\n' {counts} | awk '{ n += $1 } END { print n }'"
params.counts = { type = "list[int]", result = "count" }
returns = "int"
"#;

/// A directory with a home in it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    directory: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Sandbox {
    /// Returns an empty place.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("reflow-")
            .tempdir()
            .expect("a temporary directory can be made");
        Self { directory }
    }

    /// Returns a place with the usual workflow in `wordcount/`.
    pub(crate) fn with_workflow(text: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("wordcount/reflow.toml", text);
        sandbox
    }

    /// Returns the directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file below it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        let parent = path.parent().expect("a name below the directory");
        fs_err::create_dir_all(parent).expect("a directory can be made");
        fs_err::write(&path, text).expect("a file can be written");
        path
    }

    /// Returns the program, ready for arguments.
    pub(crate) fn reflow(&self) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("reflow");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path().join("home"))
            .env("REFLOW_SYSTEM_CONFIG", self.path().join("system.toml"))
            .env("REFLOW_RUNTIME_DIR", self.path().join("runtime"))
            .current_dir(self.path());
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.outcome(self.reflow().args(arguments))
    }

    /// Runs a prepared program. Paths below the sandbox are shown as `[DIR]`.
    pub(crate) fn outcome(&self, command: &mut Command) -> Outcome {
        let output = command.output().expect("the program can be started");
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.replace(&self.path().display().to_string(), "[DIR]")
        };
        Outcome {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A supervisor that a test started must not outlive it; there may be none.
        self.reflow()
            .args(["backend", "stop", "local", "--force"])
            .output()
            .ok();
    }
}

impl Outcome {
    /// Returns all of it as text.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("exit {}\n", self.code.unwrap_or(-1));
        for (name, stream) in [
            ("stdout", self.stdout.as_str()),
            ("stderr", self.stderr.as_str()),
        ] {
            if !stream.is_empty() {
                text.extend(["--- ", name, "\n", stream]);
            }
        }
        text
    }

    /// Returns all of it as text, with columns two spaces apart: their width depends on where the
    /// sandbox is.
    pub(crate) fn squeezed(&self) -> String {
        let mut text = self.shown();
        while text.contains("   ") {
            text = text.replace("   ", "  ");
        }
        text
    }

    /// Returns standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {}", self.shown()))
    }
}
