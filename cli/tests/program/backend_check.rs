//! `reflow backend check`: the suite over a user's own batch system.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Sandbox, System};

/// Returns the names of what is in a directory.
fn names(sandbox: &Sandbox, directory: &str) -> Vec<String> {
    let path = sandbox.path().join(directory);
    let mut names: Vec<String> = fs_err::read_dir(path)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect();
    names.sort();
    names
}

fn with_shared() -> Sandbox {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.path().join("shared")).expect("a directory can be made");
    sandbox
}

#[test]
fn the_json_form_is_the_documented_one_and_nothing_is_left() {
    let sandbox = with_shared();
    let mut command = sandbox.reflow();
    command.args([
        "--json",
        "backend",
        "check",
        "local",
        "--directory",
        "shared",
    ]);
    command.args([
        "--filter",
        "a_job_runs_to_its_end",
        "--filter",
        "an_unknown_partition_is_refused",
    ]);
    let outcome = sandbox.outcome(&mut command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    let mut document = outcome.json();
    assert!(document["seconds"].as_f64().is_some());
    document["seconds"] = json!(0);
    for case in document["cases"].as_array_mut().expect("a list") {
        assert!(case["seconds"].as_f64().is_some());
        case["seconds"] = json!(0);
    }
    assert_eq!(
        document,
        json!({
            "schema": 1,
            "backend": "local",
            "cases": [
                {"name": "a_job_runs_to_its_end", "clause": "S3", "outcome": "passed", "seconds": 0},
                {"name": "an_unknown_partition_is_refused", "clause": "S7", "outcome": "ignored",
                    "reason": "needs partitions", "seconds": 0},
            ],
            "passed": 1,
            "failed": 0,
            "ignored": 1,
            "interrupted": false,
            "seconds": 0,
            "left": [],
        })
    );
    assert_eq!(names(&sandbox, "shared"), [""; 0]);
    assert_eq!(names(&sandbox, "runtime"), [""; 0]);
}

#[test]
fn what_was_under_way_is_gone_after_an_interruption() {
    let sandbox = with_shared();
    let command = sandbox.reflow();
    #[expect(
        clippy::disallowed_methods,
        reason = "the test sends the program a signal while it runs"
    )]
    let mut child = std::process::Command::new(command.get_program())
        .args(["backend", "check", "local", "--directory", "shared"])
        .args(["--filter", "a_cancelled_job_ends_with_all_its_processes"])
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(sandbox.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let started = Instant::now();
    while names(&sandbox, "shared").is_empty() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(&sandbox, "shared"), [""; 0]);
    assert_eq!(names(&sandbox, "runtime"), [""; 0]);
}

#[test]
fn a_batch_system_that_is_not_there_and_a_wrong_request_have_exit_codes_of_their_own() {
    let sandbox = with_shared();
    sandbox.configure("slurm", "");
    let absent = sandbox.run(&["backend", "check", "slurm", "--directory", "shared"]);
    assert_eq!(absent.code, Some(3), "{}", absent.shown());
    let unknown = sandbox.run(&["backend", "check", "slrum", "--directory", "shared"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.shown());
    assert!(unknown.stderr.contains("`slurm`"), "{}", unknown.shown());
    let nothing = sandbox.run(&[
        "backend",
        "check",
        "local",
        "--directory",
        "shared",
        "--filter",
        "colours",
    ]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.shown());
    assert_eq!(names(&sandbox, "shared"), [""; 0]);
}

#[test]
fn a_case_that_fails_is_told_by_the_exit_code() {
    // These stand-ins take no job.
    let sandbox = with_shared().with_programs(System::OpenPbs);
    sandbox.configure("pbs", "");
    let mut command = sandbox.reflow();
    command.args(["backend", "check", "pbs", "--directory", "shared"]);
    command.args([
        "--filter",
        "a_job_runs_to_its_end",
        "--filter",
        "rendering_is_pure",
    ]);
    let outcome = sandbox.outcome(&mut command);
    assert_eq!(outcome.code, Some(1), "{}", outcome.shown());
    assert!(
        outcome
            .stdout
            .contains("pbs: 1 passed, 1 failed, 0 ignored"),
        "{}",
        outcome.shown()
    );
}
