//! Jobs that a batch system takes although they can never start.

use std::time::Duration;

use serde_json::json;

use crate::support::{Sandbox, System};

const WORKFLOW: &str = r#"
[workflow]
name = "wide"
[tasks.fit]
shell = "true"
cpus = 64
"#;

/// What OpenPBS 23.06.06 said of a job that asked for 64 cores where there are 16.
const NEVER: &str = "Can Never Run: Insufficient amount of resource: ncpus (R: 64 A: 16 T: 16)";

/// Returns a place with an OpenPBS that takes every job and starts none, and a run that was submitted there.
fn submitted() -> Sandbox {
    let sandbox = Sandbox::with_workflow(WORKFLOW).with_programs(System::OpenPbs);
    let here = sandbox.path().display().to_string();
    sandbox.program(
        "qsub",
        &format!(
            "cat > /dev/null; echo x >> '{here}/sent'; echo \"$(wc -l < '{here}/sent').localhost\""
        ),
    );
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../backend-pbs/tests/fixtures");
    let job = format!(
        r#"\"$id.localhost\":{{\"Job_Name\":\"t\",\"job_state\":\"Q\",\"substate\":10,\"queue\":\"workq\",\"comment\":\"{NEVER}\"}}"#
    );
    sandbox.program(
        "qstat",
        &format!(
            "case \"$*\" in\n*--version*) echo 'pbs_version = 23.06.06';;\n*-B*) cat '{fixtures}/server.json';;\n\
             *-Q*) cat '{fixtures}/queues.json';;\n*) jobs=; for id in $(seq $(wc -l < '{here}/sent')); do\n\
             jobs=\"$jobs${{jobs:+,}}{job}\"; done\n\
             echo '{{\"timestamp\":1795366031,\"pbs_version\":\"23.06.06\",\"pbs_server\":\"localhost\",\"Jobs\":{{'\"$jobs\"'}}}}';;\nesac"
        ),
    );
    sandbox.configure("pbs", "");
    let submitted = sandbox.run(&[
        "--backend",
        "pbs",
        "submit",
        "-w",
        "wordcount",
        "--run-dir",
        "run",
    ]);
    assert_eq!(submitted.code, Some(0), "{}", submitted.shown());
    sandbox
}

#[test]
fn status_says_that_a_job_can_never_start_and_what_to_do() {
    let sandbox = submitted();
    let shown = sandbox.run(&["status", "run"]).stdout;
    for part in [
        format!("fit can never start: job 1.localhost: {NEVER}"),
        "reflow cancel wide-".to_owned(),
        "--task fit".to_owned(),
        "--update".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part} is not in {shown}");
    }
    let document = sandbox.run(&["--json", "status", "run"]).json();
    assert_eq!(
        document["waiting"],
        json!([{"task": "fit", "job": "1.localhost", "reason": NEVER, "never": true}])
    );
}

#[test]
fn status_needs_no_batch_system() {
    let sandbox = submitted();
    fs_err::remove_dir_all(sandbox.path().join("bin")).expect("the programs can be removed");
    let outcome = sandbox.run(&["--json", "status", "run"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    assert_eq!(outcome.json().get("waiting"), None);
}

#[test]
fn wait_tells_once_that_a_job_can_never_start() {
    let sandbox = submitted();
    let mut command = sandbox.reflow();
    command
        .args(["wait", "run"])
        .timeout(Duration::from_secs(25));
    let outcome = sandbox.outcome(&mut command);
    let told = outcome.stderr.matches("can never start").count();
    assert_eq!(told, 1, "{}", outcome.shown());
    assert!(outcome.stderr.contains(NEVER), "{}", outcome.shown());
}
