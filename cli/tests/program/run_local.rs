//! Whole runs on this machine, as a user makes them.

use crate::support::{Sandbox, WORDCOUNT};
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A workflow of which some elements fail.
const MIXED: &str = r#"
[workflow]
name = "mixed"

[tasks.list]
shell = "seq 1 4"
returns = "list[int]"
output = "lines"

[tasks.work]
array = true
shell = "echo working {n}; if [ {n} = 3 ]; then echo bad {n} >&2; exit 3; fi"
params.n = { type = "int", result = "list" }
returns = "str"

[tasks.sum]
shell = "echo {all}"
params.all = { type = "list[str]", result = "work" }
returns = "str"
"#;

/// Text that a shell, an option parser or a path could stumble over.
const HARD_NAME: &str = "tëxt $HOME; 'q' \"d\" -n *.txt";

fn words(sandbox: &Sandbox) -> String {
    let text = "two words\n".repeat(100);
    sandbox.write(HARD_NAME, &text);
    HARD_NAME.to_owned()
}

/// Compares with what differs from run to run replaced.
fn filtered(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"\d{8}-\d{6}-[a-z2-7]{8}", "[ID]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]"),
        (r"local-[a-z0-9]+-\d+", "[JOB]"),
        (
            r"on \S+, after \d+\.\d s(, peak memory \w+)?",
            "on [NODE], after [USAGE]",
        ),
        (r"logs/[a-z2-7]{15}/[0-9a-f/]+", "logs/[TAG]/[FILE]"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(check);
}

#[test]
fn words_are_counted_whatever_characters_the_paths_have() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let text = words(&sandbox);
    let arguments = [
        "run",
        "-w",
        "wordcount",
        "--run-dir",
        "a $run; 'dir'",
        "--text",
        &text,
    ];
    let outcome = sandbox.run(&arguments);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    let total = sandbox.run(&["result", "./a $run; 'dir'", "total"]);
    assert_eq!(total.stdout, "200\n", "{}", total.shown());
    let one = sandbox.run(&["result", "wordcount", "count[0]"]);
    assert!(one.stdout.trim().parse::<u32>().is_ok(), "{}", one.shown());
}

#[test]
fn submit_status_and_result_have_their_documented_json_forms() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let text = words(&sandbox);
    let submit = [
        "--json",
        "submit",
        "-w",
        "wordcount",
        "--run-dir",
        "run",
        "--text",
        &text,
    ];
    let submitted = sandbox.run(&submit).json();
    let run_id = submitted["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(
        submitted,
        json!({
            "schema": 1, "run_id": run_id, "run_dir": "[DIR]/run", "workflow": "wordcount",
            "backend": "local",
        })
    );
    let waited = sandbox.run(&["--json", "wait", &run_id]);
    assert_eq!(waited.code, Some(0), "{}", waited.shown());
    let mut status = sandbox.run(&["--json", "status", &run_id]).json();
    assert_eq!(status, waited.json());
    for task in status["tasks"].as_array_mut().expect("tasks") {
        assert_eq!(task["jobs"].as_array().map(Vec::len), Some(1));
        task["jobs"] = json!([]);
    }
    assert!(
        status["created"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    status["created"] = json!("");
    let task = |name: &str, array: bool, width: u32| {
        json!({
            "name": name, "array": array, "width": width, "jobs": [],
            "elements": {
                "waiting": 0, "queued": 0, "running": 0, "succeeded": width, "cached": 0,
                "failed": 0, "lost": 0, "cancelled": 0, "skipped": 0,
            },
        })
    };
    assert_eq!(
        status,
        json!({
            "schema": 1, "run_id": run_id, "run_dir": "[DIR]/run", "workflow": "wordcount",
            "backend": "local", "created": "", "state": "succeeded",
            "tasks": [task("split", false, 1), task("count", true, 8), task("total", false, 1)],
            "failures": [],
        })
    );
    let result = |element: &str| sandbox.run(&["--json", "result", &run_id, element]).json();
    assert_eq!(
        result("total"),
        json!({"schema": 1, "run_id": run_id, "task": "total", "index": null, "value": 200})
    );
    let all = result("count")["value"].clone();
    assert_eq!(result("count[7]")["value"], all[7]);
    let sum: Option<u64> = all
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_u64).sum());
    assert_eq!(sum, Some(200));
    let runs = sandbox.run(&["--json", "runs"]).json();
    assert_eq!(runs["total"], 1);
    assert_eq!(runs["runs"][0]["state"], "succeeded");
}

#[test]
fn a_run_that_fails_says_what_why_and_where() {
    let sandbox = Sandbox::with_workflow(MIXED);
    let outcome = sandbox.run(&["run", "-q", "-w", "wordcount", "--run-dir", "run"]);
    filtered(|| {
        assert_snapshot!(outcome.squeezed(), @r"
    exit 1
    --- stdout
    mixed-[ID] failed: 4 succeeded, 1 failed, 1 skipped

    work[2] failed: exit status 3
      job [JOB], on [NODE], after [USAGE]
      | bad 3
      log: [DIR]/run/.reflow/logs/[TAG]/[FILE].err
    ");
    });
    let status = sandbox.run(&["status", "run"]);
    filtered(|| {
        assert_snapshot!(status.squeezed(), @r"
    exit 0
    --- stdout
    mixed-[ID]  failed
      workflow  mixed
      backend  local
      submitted  [TIME]
      directory  [DIR]/run

      list  1 succeeded  job [JOB]
      work[4]  3 succeeded, 1 failed  job [JOB]
      sum  1 skipped  job [JOB]

    work[2] failed: exit status 3
      job [JOB], on [NODE], after [USAGE]
      | bad 3
      log: [DIR]/run/.reflow/logs/[TAG]/[FILE].err
    ");
    });
    filtered(|| {
        assert_snapshot!(sandbox.run(&["result", "run", "work[2]"]).squeezed(), @r"
    exit 2
    --- stderr
    error: `work[2]` has no value: it is failed
    ");
    });
    filtered(|| {
        assert_snapshot!(sandbox.run(&["result", "run", "work[9]"]).squeezed(), @r"
    exit 2
    --- stderr
    error: `work` has 4 elements, so its indices end before 9
    ");
    });
    filtered(|| {
        assert_snapshot!(sandbox.run(&["result", "run", "wrok"]).squeezed(), @r"
    exit 2
    --- stderr
    error: the workflow `mixed` has no task `wrok`; did you mean `work`?
    ");
    });
    filtered(|| {
        assert_snapshot!(sandbox.run(&["logs", "run", "work[2]"]).squeezed(), @r"
    exit 0
    --- stdout
    ==> work[2]: standard output <==
    working 3
    ==> work[2]: standard error <==
    bad 3
    ");
    });
    let wait = sandbox.run(&["wait", "-q", "mixed"]);
    assert_eq!(wait.code, Some(1));
}

#[test]
fn a_run_directory_is_used_once() {
    let sandbox = Sandbox::with_workflow(MIXED);
    sandbox.run(&["run", "-q", "-w", "wordcount", "--run-dir", "run"]);
    let again = sandbox.run(&["submit", "-w", "wordcount", "--run-dir", "run"]);
    filtered(|| {
        assert_snapshot!(again.squeezed(), @r"
    exit 2
    --- stderr
    error: `[DIR]/run` already holds a run; choose another directory, or remove its `.reflow` directory
    ");
    });
    let file = sandbox.run(&[
        "submit",
        "-w",
        "wordcount",
        "--run-dir",
        "wordcount/reflow.toml",
    ]);
    filtered(|| {
        assert_snapshot!(file.squeezed(), @r"
    exit 2
    --- stderr
    error: the run directory cannot be used
      caused by: failed to create directory `[DIR]/wordcount/reflow.toml`: File exists (os error 17)
    ");
    });
}

#[test]
fn runs_of_one_prefix_are_told_apart() {
    let sandbox = Sandbox::with_workflow(MIXED);
    for _ in 0..2 {
        let outcome = sandbox.run(&["run", "-q", "-w", "wordcount"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.shown());
    }
    let runs = sandbox.run(&["--json", "runs"]).json();
    let newest = &runs["runs"][0];
    let run_dir = newest["run_dir"].as_str().expect("a path");
    let run_id = newest["run_id"].as_str().expect("an id");
    assert_eq!(run_dir, format!("[DIR]/runs/{run_id}"));
    let ambiguous = sandbox.run(&["status", "mixed"]);
    assert_eq!(ambiguous.code, Some(2));
    assert!(ambiguous.stderr.contains(run_id), "{}", ambiguous.shown());
    fs_err::remove_dir_all(sandbox.path().join("runs").join(run_id)).expect("removed");
    let runs = sandbox.run(&["--json", "runs", "-n", "1"]).json();
    assert_eq!(runs["runs"][0]["state"], "gone");
    assert_eq!(runs["total"], 2);
}

#[test]
fn a_store_that_cannot_be_written_costs_a_warning() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let text = words(&sandbox);
    sandbox.write("file", "");
    let arguments = [
        "--store",
        "file/store",
        "run",
        "-q",
        "-w",
        "wordcount",
        "--run-dir",
        "run",
        "--text",
        &text,
    ];
    let outcome = sandbox.run(&arguments);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    assert!(
        outcome.stderr.contains("warning: the run is not listed"),
        "{}",
        outcome.shown()
    );
}

#[test]
fn jobs_have_the_variables_that_the_policy_gives_them() {
    let sandbox = Sandbox::with_workflow(
        r#"
[workflow]
name = "variables"
[tasks.show]
shell = "echo ${MINE-none} ${OTHER-none} ${SLURM_JOB_ID-none}"
returns = "str"
"#,
    );
    for (policy, expected) in [
        ("submit", "a b none\n"),
        ("clean", "none none none\n"),
        ("OTHER", "none b none\n"),
    ] {
        let mut command = sandbox.reflow();
        command
            .env("MINE", "a")
            .env("OTHER", "b")
            .env("SLURM_JOB_ID", "7")
            .args([
                "run",
                "-q",
                "-w",
                "wordcount",
                "--run-dir",
                policy,
                "--env",
                policy,
                // What jobs have of the user's variables is no part of what a result is known by.
                "--force",
            ]);
        let outcome = sandbox.outcome(&mut command);
        assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
        let path = format!("./{policy}");
        let shown = sandbox.run(&["result", &path, "show"]);
        assert_eq!(shown.stdout, expected, "{policy}");
    }
    // Inside a batch job, the supervisor is one of that job's own.
    let mut stop = sandbox.reflow();
    stop.env("SLURM_JOB_ID", "7")
        .args(["backend", "stop", "local", "--force"]);
    assert_eq!(sandbox.outcome(&mut stop).code, Some(0));
}

#[test]
fn a_cancelled_run_stays_cancelled() {
    let sandbox = Sandbox::with_workflow(
        "[workflow]\nname = \"slow\"\n[tasks.a]\nshell = \"sleep 60\"\nreturns = \"str\"\n",
    );
    sandbox.run(&["submit", "-w", "wordcount", "--run-dir", "run"]);
    let cancelled = sandbox.run(&["cancel", "slow"]);
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.shown());
    assert_eq!(sandbox.run(&["wait", "-q", "slow"]).code, Some(1));
    let again = sandbox.run(&["--json", "cancel", "slow"]).json();
    assert_eq!(again["was_over"], true);
    assert_eq!(again["state"], "cancelled");
}

#[test]
fn a_batch_system_that_is_not_there_is_named() {
    let sandbox = Sandbox::with_workflow(MIXED);
    sandbox.write("bin/nothing", "");
    let mut command = sandbox.reflow();
    command.env("PATH", sandbox.path().join("bin")).args([
        "--backend",
        "slurm",
        "submit",
        "-w",
        "wordcount",
    ]);
    assert_snapshot!(sandbox.outcome(&mut command).shown(), @r"
    exit 3
    --- stderr
    error: could not connect to the backend `slurm`
      - searched: [DIR]/bin
      caused by: `sbatch` is not on the PATH
    ");
    assert!(!sandbox.path().join("runs").exists());
}
