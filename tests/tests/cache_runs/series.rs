//! Runs one after another over one store, and which bodies ran in each.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use reflow_tests::{Outcome, Program};
use serde_json::Value;

/// A program whose runs share a store. Every body of its workflows appends one line to `$BODIES`.
#[derive(Debug)]
pub(crate) struct Series {
    /// The program, for all that is special.
    pub(crate) program: Program,
    runs: Cell<u32>,
    lines: Cell<usize>,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its directory, as the program takes it.
    pub(crate) directory: String,
    /// The lines that its bodies wrote, sorted.
    pub(crate) bodies: Vec<String>,
    /// What `status --json` says.
    pub(crate) status: Value,
    /// What was said by the call that made it.
    pub(crate) said: Outcome,
}

impl Series {
    /// Returns a new one, on this machine.
    pub(crate) fn new() -> Self {
        Self::of(Program::local())
    }

    /// Returns one of a program.
    pub(crate) fn of(program: Program) -> Self {
        let bodies = program.write("bodies", "").display().to_string();
        Self {
            program: program.with_variable("BODIES", &bodies),
            runs: Cell::new(0),
            lines: Cell::new(0),
        }
    }

    /// Writes the workflow that the next runs take.
    pub(crate) fn workflow(&self, tasks: &str) {
        let text = format!("[workflow]\nname = \"series\"\n{tasks}");
        self.program.write("reflow.toml", &text);
    }

    /// Returns the path of a file of the series.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.program.home().join(name)
    }

    /// Returns the directory of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.path(".local/share/reflow")
    }

    /// Returns a directory for the next run.
    pub(crate) fn next_directory(&self) -> String {
        self.runs.set(self.runs.get() + 1);
        format!("run-{}", self.runs.get())
    }

    /// Runs the workflow to its end, with success expected.
    #[track_caller]
    pub(crate) fn run(&self, flags: &[&str]) -> Run {
        let directory = self.next_directory();
        let said = self.start("run", &directory, flags);
        self.ended(&directory, said)
    }

    /// Submits the workflow, and returns the run's directory.
    #[track_caller]
    pub(crate) fn submit(&self, flags: &[&str]) -> String {
        let directory = self.next_directory();
        self.start("submit", &directory, flags);
        directory
    }

    /// Waits for a run to succeed.
    #[track_caller]
    pub(crate) fn wait(&self, directory: &str) -> Run {
        let said = self.program.run(&["wait", "-q", directory]).expect(0);
        self.ended(directory, said)
    }

    #[track_caller]
    fn start(&self, verb: &str, directory: &str, flags: &[&str]) -> Outcome {
        let mut arguments = vec![verb, "-w", "reflow.toml", "--run-dir", directory];
        arguments.extend(flags);
        self.program.run(&arguments).expect(0)
    }

    /// Returns what a run that has succeeded did. Bodies and states must tell the same.
    #[track_caller]
    pub(crate) fn ended(&self, directory: &str, said: Outcome) -> Run {
        let run = Run {
            directory: directory.to_owned(),
            bodies: self.new_bodies(),
            status: self.program.json(&["status", directory]),
            said,
        };
        assert_eq!(run.status["state"], "succeeded", "{}", run.status);
        let succeeded: u64 = tasks(&run.status)
            .map(|task| count(task, "succeeded"))
            .sum();
        assert_eq!(
            succeeded,
            run.bodies.len() as u64,
            "what ran is told as succeeded, and nothing else is: {:?}\n{}",
            run.bodies,
            run.status
        );
        for task in tasks(&run.status) {
            let width = task["width"].as_u64().expect("it has ended");
            let with_value = count(task, "succeeded") + count(task, "cached");
            assert_eq!(width, with_value, "{task}");
        }
        run
    }

    /// Returns the lines that bodies have written since the last call, sorted.
    pub(crate) fn new_bodies(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("bodies")).expect("it was made at the start");
        let mut lines: Vec<String> = text
            .lines()
            .skip(self.lines.get())
            .map(str::to_owned)
            .collect();
        self.lines.set(self.lines.get() + lines.len());
        lines.sort();
        lines
    }

    /// Returns a result of a run.
    #[track_caller]
    pub(crate) fn value(&self, run: &Run, what: &str) -> Value {
        self.program.json(&["result", &run.directory, what])["value"].clone()
    }

    /// Returns the content of a file that a task of a run has returned.
    #[track_caller]
    pub(crate) fn content(&self, run: &Run, what: &str) -> String {
        let value = self.value(run, what);
        let path = value.as_str().expect("a path");
        fs_err::read_to_string(path).expect("the file that was returned is there")
    }
}

impl Run {
    /// Checks that exactly these bodies ran.
    #[track_caller]
    pub(crate) fn ran(&self, bodies: &[&str]) -> &Self {
        let mut bodies = bodies.to_vec();
        bodies.sort_unstable();
        assert_eq!(self.bodies, bodies, "{}", self.status);
        self
    }

    /// Checks that nothing ran, and that no job was sent for it.
    #[track_caller]
    pub(crate) fn is_cached(&self) -> &Self {
        self.ran(&[]);
        for task in tasks(&self.status) {
            let jobs = task["jobs"].as_array().map_or(0, Vec::len);
            assert_eq!(jobs, 0, "a hit costs no job: {task}");
        }
        self
    }

    /// Returns how many elements of a task ran, and how many were taken from earlier runs.
    #[track_caller]
    pub(crate) fn counts(&self, name: &str) -> (u64, u64) {
        let task = tasks(&self.status)
            .find(|task| task["name"] == name)
            .unwrap_or_else(|| panic!("no task {name} in {}", self.status));
        (count(task, "succeeded"), count(task, "cached"))
    }

    /// Returns a path in the run's directory.
    pub(crate) fn path(&self, series: &Series, name: &str) -> PathBuf {
        series.path(&self.directory).join(name)
    }
}

fn tasks(status: &Value) -> impl Iterator<Item = &Value> {
    status["tasks"].as_array().expect("a list").iter()
}

fn count(task: &Value, state: &str) -> u64 {
    task["elements"][state].as_u64().expect("a number")
}

/// Runs one of the system's programs, with success expected.
#[track_caller]
pub(crate) fn system(program: &str, arguments: &[&str]) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test does what a user or an administrator does"
    )]
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns a path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// Returns the files below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs_err::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}
