//! How much of a run is in the batch system at once, and how long it waits for files.

use serde_json::json;

use reflow_tests::{Case, Program};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("max_queued_is_never_exceeded", max_queued),
    case("a_dry_run_leaves_no_trace", dry_run),
    case("the_latency_of_a_run_is_the_one_that_was_set", latency),
    case("wrong_limits_are_refused", wrong),
];

const WIDE: &str = r#"
    [workflow]
    name = "wide"
    [tasks.list]
    shell = "seq 12"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "sleep 0.1; echo {n}"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.sum]
    shell = "printf '%s\n' {all} | awk '{ n += $1 } END { print n }'"
    params.all = { type = "list[int]", result = "work" }
    returns = "int"
"#;

fn max_queued() {
    const MOST: u64 = 8;
    // Of these, five are kept for the jobs that plan.
    const ELEMENTS: u64 = 3;
    let program = Program::local();
    program.write("reflow.toml", WIDE);
    program.write(
        ".config/reflow/config.toml",
        &format!("[backend.local]\nmax_queued = {MOST}\n"),
    );
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    let mut most = 0;
    let status = loop {
        let status = program.json(&["status", "run"]);
        let tasks = status["tasks"].as_array().expect("tasks").clone();
        let queued: u64 = tasks
            .iter()
            .filter_map(|task| {
                let elements = &task["elements"];
                Some(elements["queued"].as_u64()? + elements["running"].as_u64()?)
            })
            .sum();
        assert!(queued <= ELEMENTS, "{status}");
        most = most.max(queued);
        if status["state"] != "running" {
            break status;
        }
    };
    assert_eq!(status["state"], "succeeded", "{status}");
    assert!(most > 1, "several at once were never seen");
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 78);
    let jobs = status["tasks"][1]["jobs"].as_array().map(Vec::len);
    assert!(jobs > Some(1), "the array went in parts: {status}");
}

fn dry_run() {
    let program = Program::local();
    program.write("reflow.toml", WIDE);
    let arguments = [
        "submit",
        "--dry-run",
        "-w",
        "reflow.toml",
        "--run-dir",
        "run",
    ];
    let shown = program.run(&arguments).expect(0).stdout;
    for part in [
        "nothing is submitted, and nothing is written",
        "1. list",
        "later: work[]: its number of elements follows from list",
        "later: sum: it is sent after work",
        "cache: 0 elements would be taken from earlier runs",
    ] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    assert!(!program.home().join("run").exists());
    assert!(!program.home().join("runtime").exists());
    assert_eq!(program.json(&["runs"])["total"], 0);
    // The same without `--dry-run` is a run.
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    program
        .run(&arguments)
        .expect(2)
        .says(&["already holds a run"]);
}

fn latency() {
    let program = Program::local();
    program.write("reflow.toml", WIDE);
    program.write(
        ".config/reflow/config.toml",
        "latency = 40\n[backend.local]\nlatency = '750ms'\n",
    );
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    let record = fs_err::read_to_string(program.home().join("run/.reflow/run.json"));
    let record: serde_json::Value =
        serde_json::from_str(&record.expect("a record")).expect("a record is JSON");
    assert_eq!(record["latency_ms"], json!(750));
}

fn wrong() {
    let program = Program::local();
    program.write("reflow.toml", WIDE);
    for (text, key) in [
        ("latency = 'soon'", "`latency`"),
        ("latency = -1", "`latency`"),
        ("[backend.local]\nlatency = '2h'", "`backend.local.latency`"),
        (
            "[backend.local]\nmax_queued = 0",
            "`backend.local.max_queued`",
        ),
        (
            "[backend.local]\nmax_queued = 'all'",
            "`backend.local.max_queued`",
        ),
        ("max_queued = 3", "`max_queued`"),
    ] {
        program.write(".config/reflow/config.toml", text);
        program
            .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
            .expect(2)
            .says(&[key, "config.toml:"]);
    }
    assert!(!program.home().join("run").exists());
}
