//! A workflow, runs of it, and what is said of them.

use reflow_tests::{Outcome, Program};
use serde_json::Value;

/// A list of words, one element for each, and their sum.
pub(crate) const WORKFLOW: &str = r#"
[workflow]
name = "words"

[tasks.split]
shell = "cat {source}"
params.source = { type = "file" }
returns = "list[str]"
output = "lines"

[tasks.count]
array = true
version = "1"
setup = ["true"]
env = { STYLE = "plain" }
shell = "printf %s {word} | wc -c"
params.word = { type = "str", result = "split" }
params.extra = { type = "int", default = 0 }
returns = "int"

[tasks.total]
shell = "printf '%s\n' {counts} | awk '{ n += $1 } END { print n }'"
params.counts = { type = "list[int]", result = "count" }
returns = "int"
"#;

/// The program with a workflow in `w/reflow.toml` and words in `words.txt`.
pub(crate) struct Setting {
    pub(crate) program: Program,
    runs: std::cell::Cell<u32>,
}

impl Setting {
    pub(crate) fn new(workflow: &str) -> Self {
        let program = Program::local();
        program.write("w/reflow.toml", workflow);
        program.write("words.txt", "a\nbb\nccc\n");
        Self {
            program,
            runs: std::cell::Cell::new(0),
        }
    }

    /// Writes the workflow with some of its text replaced.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.program.home().join("w/reflow.toml");
        let text = fs_err::read_to_string(path).expect("the workflow");
        assert!(text.contains(from), "{from}");
        self.program
            .write("w/reflow.toml", &text.replacen(from, to, 1));
    }

    pub(crate) fn words(&self, words: &str) {
        self.program.write("words.txt", words);
    }

    /// Runs the workflow to its end, and returns the name of its directory.
    pub(crate) fn run(&self, flags: &[&str]) -> String {
        self.try_run(flags, 0)
    }

    pub(crate) fn try_run(&self, flags: &[&str], code: i32) -> String {
        self.runs.set(self.runs.get() + 1);
        let dir = format!("run{}", self.runs.get());
        let mut arguments = vec!["run", "-w", "w", "--run-dir", &dir];
        arguments.extend(flags);
        self.program.run(&arguments).expect(code);
        dir
    }

    pub(crate) fn explain(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["explain"];
        all.extend(arguments);
        self.program.run(&all).expect(0)
    }

    /// Returns the id of the run in a directory.
    pub(crate) fn id(&self, dir: &str) -> String {
        let status = self.program.json(&["status", dir]);
        status["run_id"].as_str().expect("an id").to_owned()
    }

    /// Returns the explanation of a task.
    pub(crate) fn task(&self, dir: &str, task: &str) -> Value {
        let document = self.program.json(&["explain", dir, task]);
        document["tasks"][0].clone()
    }

    /// Returns the kinds of the reasons of a task and of one of its elements.
    pub(crate) fn reasons(&self, dir: &str, task: &str, element: usize) -> Vec<String> {
        let task = self.task(dir, task);
        let own = task["elements"][element]["reasons"].as_array().cloned();
        let all = task["reasons"].as_array().expect("a list").clone();
        let kinds = all.iter().chain(own.iter().flatten());
        kinds
            .map(|reason| reason["reason"].as_str().expect("a word").to_owned())
            .collect()
    }

    /// Returns how many elements of a task were taken from earlier runs, and how many were not.
    pub(crate) fn counts(&self, dir: &str, task: &str) -> (usize, usize) {
        let task = self.task(dir, task);
        let elements = task["elements"].as_array().expect("elements");
        let taken = elements.iter().filter(|it| it["state"] == "cached").count();
        (taken, elements.len() - taken)
    }
}
