//! `submit --dry-run`: what would be sent, and that nothing is.

use std::path::{Path, PathBuf};

use crate::support::{Sandbox, System};
use assert_cmd::Command;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A root whose list says how wide `fit` is, a task that needs nothing, and one that gathers.
const WORKFLOW: &str = r#"
[workflow]
name = "fits"

[tasks.list]
shell = "seq 1 4"
returns = "list[int]"
output = "lines"
time = "00:05:00"
mem = "500M"

[tasks.fit]
array = true
shell = "echo {n}"
params.n = { type = "int", result = "list" }
returns = "str"
cpus = 1
extra = ["--nice=100"]

[tasks.check]
shell = "true"
after = ["list"]

[tasks.sum]
shell = "echo {all}"
params.all = { type = "list[str]", result = "fit" }
returns = "str"
"#;

/// Returns a place with stand-ins for the programs of Slurm.
fn with_slurm(workflow: &str) -> Sandbox {
    let sandbox = Sandbox::with_workflow(workflow).with_programs(System::Slurm);
    sandbox.configure(
        "slurm",
        "[backend.slurm.dispatch]\npartition = 'short'\ntime = '00:10:00'",
    );
    sandbox
}

pub(crate) fn dry_run(sandbox: &Sandbox, backend: &str, more: &[&str]) -> Command {
    let mut command = sandbox.reflow();
    command.args([
        "--backend",
        backend,
        "submit",
        "--dry-run",
        "-w",
        "wordcount",
    ]);
    command.args(["--run-dir", "a/run"]).args(more);
    command
}

/// Compares with what differs from run to run replaced.
pub(crate) fn filtered(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"\d{8}-\d{6}-[a-z2-7]{8}", "[ID]"),
        (r"\b([tdgw])[a-z2-7]{14}\b", "[${1}TAG]"),
        (r"--begin=\S+", "--begin=[TIME]"),
        (r"-b [0-9:]+", "-b [TIME]"),
        (r"-a [0-9]{12}\.[0-9]{2}", "-a [TIME]"),
        (r"pinned/[0-9a-f]{16}", "pinned/[DIGEST]"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(check);
}

/// Returns every file and directory of the sandbox.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs_err::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_local_run_is_shown_and_nothing_is_written() {
    let sandbox = Sandbox::with_workflow(&WORKFLOW.replace("extra = [\"--nice=100\"]", ""));
    let before = files(sandbox.path());
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, "local", &[]));
    filtered(|| {
        assert_snapshot!(outcome.shown(), @r"
        exit 0
        --- stdout
        nothing is submitted, and nothing is written
          fits would go to local, in [DIR]/a/run

        1. list
          reflow-local --name=[tTAG] '--comment=fits-[ID] list' --mem=500M --time=00:05:00 --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --error=[DIR]/a/run/.reflow/logs/[tTAG]/job
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        2. check: after the success of 1 (list)
          reflow-local --name=[tTAG] '--comment=fits-[ID] check' --after=ok:1 --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --error=[DIR]/a/run/.reflow/logs/[tTAG]/job
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        3. dispatch (plans again): after the end of 1 (list)
          reflow-local --name=[dTAG] '--comment=fits-[ID] dispatch' --after=any:1 --output=[DIR]/a/run/.reflow/logs/[dTAG]/job --error=[DIR]/a/run/.reflow/logs/[dTAG]/job --requeue
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

        4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
          reflow-local --name=[gTAG] '--comment=fits-[ID] guard' --after=not-ok:3 --output=[DIR]/a/run/.reflow/logs/[gTAG]/job --error=[DIR]/a/run/.reflow/logs/[gTAG]/job --requeue
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

        later: fit[]: its number of elements follows from list
          one element would be sent as
          reflow-local --name=[tTAG] '--comment=fits-[ID] fit' --cpus=1 --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --error=[DIR]/a/run/.reflow/logs/[tTAG]/job
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        later: sum: it is sent after fit
          one element would be sent as
          reflow-local --name=[tTAG] '--comment=fits-[ID] sum' --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --error=[DIR]/a/run/.reflow/logs/[tTAG]/job
          | #!/bin/bash
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now, those of 2 tasks later
        ids: 1 to 4 stand for those that local will give; the names of jobs change with the id of the run
        ");
    });
    assert_eq!(files(sandbox.path()), before);
}

#[test]
fn a_slurm_run_is_shown_and_nothing_is_sent() {
    let sandbox = with_slurm(WORKFLOW);
    let before = files(sandbox.path());
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, "slurm", &[]));
    filtered(|| {
        assert_snapshot!(outcome.shown(), @r#"
        exit 0
        --- stdout
        nothing is submitted, and nothing is written
          fits would go to slurm, in [DIR]/a/run

        1. list
          sbatch --parsable --job-name=[tTAG] '--comment=fits-[ID] list' --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append --mem=500M --time=00:05:00
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        2. check: after the success of 1 (list)
          sbatch --parsable --job-name=[tTAG] '--comment=fits-[ID] check' --dependency=afterok:1 --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        3. dispatch (plans again): after the end of 1 (list)
          sbatch --parsable --job-name=[dTAG] '--comment=fits-[ID] dispatch' --dependency=afterany:1 --kill-on-invalid-dep=yes --requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[dTAG]/job --open-mode=append --time=00:10:00 --partition=short
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [dTAG]

        4. guard (plans again if the dispatch failed): after the failure of 3 (dispatch)
          sbatch --parsable --job-name=[gTAG] '--comment=fits-[ID] guard' --dependency=afternotok:3 --kill-on-invalid-dep=yes --requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[gTAG]/job --open-mode=append --time=00:10:00 --partition=short
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [gTAG]

        5. watch (looks from time to time)
          TZ=UTC sbatch --parsable --job-name=[wTAG] '--comment=fits-[ID] watch' --kill-on-invalid-dep=yes --requeue --begin=[TIME] --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[wTAG]/job --open-mode=append --time=00:10:00 --partition=short
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | unset TZ
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow dispatch --run-dir [DIR]/a/run --submission [wTAG]

        later: fit[]: its number of elements follows from list
          one element would be sent as
          sbatch --parsable --job-name=[tTAG] '--comment=fits-[ID] fit' --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append --cpus-per-task=1 --nice=100
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        later: sum: it is sent after fit
          one element would be sent as
          sbatch --parsable --job-name=[tTAG] '--comment=fits-[ID] sum' --kill-on-invalid-dep=yes --no-requeue --chdir=[DIR]/a/run --output=[DIR]/a/run/.reflow/logs/[tTAG]/job --open-mode=append
          | #!/bin/bash
          | export REFLOW_JOB_ID="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
          | unset LC_ALL
          | cd -- [DIR]/a/run || { echo 'reflow: could not enter the working directory' >&2; exit 1; }
          | exec -- [DIR]/a/run/.reflow/pinned/[DIGEST]/reflow worker --run-dir [DIR]/a/run --submission [tTAG] --index 0

        cache: 0 elements would be taken from earlier runs; 2 elements would be submitted now, those of 2 tasks later
        ids: 1 to 5 stand for those that slurm will give; the names of jobs change with the id of the run
        "#);
    });
    let asked = fs_err::read_to_string(sandbox.path().join("asked")).expect("the stand-ins ran");
    for line in asked.lines() {
        assert!(System::Slurm.is_question(line), "sent: {line}");
    }
    let mut after = files(sandbox.path());
    after.retain(|path| !path.ends_with("asked"));
    assert_eq!(after, before);
}

#[test]
fn the_json_form_is_the_documented_one() {
    let sandbox = with_slurm(WORKFLOW);
    let mut command = dry_run(&sandbox, "slurm", &["--json", "--env", "HOME,NOTHING"]);
    let outcome = sandbox.outcome(&mut command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    let mut document = outcome.json();
    for list in ["requests", "later"] {
        for entry in document[list].as_array_mut().expect("a list") {
            let argv = entry["argv"].as_array().expect("words");
            assert_eq!(argv[0], "sbatch", "{entry}");
            assert!(
                entry["stdin"]
                    .as_str()
                    .is_some_and(|script| script.starts_with("#!/bin/bash\n")),
                "{entry}"
            );
            assert!(entry["environment"].is_object(), "{entry}");
            for key in ["argv", "stdin", "environment"] {
                entry.as_object_mut().expect("a table").remove(key);
            }
        }
    }
    let tasks = document["tasks"].take();
    let tasks = tasks.as_array().expect("why each task would run");
    assert_eq!(tasks.len(), 4);
    assert_eq!(tasks[0]["task"], "list");
    assert_eq!(tasks[0]["reasons"][0]["reason"], "first_run");
    document.as_object_mut().expect("a table").remove("tasks");
    assert_eq!(
        document,
        json!({
            "schema": 1,
            "workflow": "fits",
            "backend": "slurm",
            "run_dir": "[DIR]/a/run",
            "requests": [
                {"id": "1", "role": "task", "task": "list", "elements": 1, "batch": 1, "after": []},
                {"id": "2", "role": "task", "task": "check", "elements": 1, "batch": 1,
                    "after": [{"id": "1", "kind": "ok"}]},
                {"id": "3", "role": "dispatch", "after": [{"id": "1", "kind": "any"}]},
                {"id": "4", "role": "guard", "after": [{"id": "3", "kind": "not_ok"}]},
                {"id": "5", "role": "watch", "after": []},
            ],
            "later": [
                {"task": "fit", "array": true, "reason": "width", "waits_for": ["list"]},
                {"task": "sum", "array": false, "reason": "upstream", "waits_for": ["fit"]},
            ],
            "elements": 2,
            "cached": 0,
            "variables": ["HOME"],
        })
    );
}

#[test]
fn what_the_backend_does_not_have_is_named_with_its_task_also_of_tasks_that_come_later() {
    let sandbox = Sandbox::with_workflow(WORKFLOW);
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, "local", &[]));
    assert_snapshot!(outcome.shown(), @r"
    exit 2
    --- stderr
    error: the backend `local` does not take the workflow as it is
      - task `fit`: the local backend has no `extra`; leave it out
    ");
    let gpus = WORKFLOW.replace("mem = \"500M\"", "gpus = 2");
    let sandbox = Sandbox::with_workflow(&gpus);
    let outcome = sandbox.outcome(&mut dry_run(&sandbox, "local", &["--json"]));
    assert_eq!(outcome.code, Some(2), "{}", outcome.shown());
    let details = outcome.json()["error"]["details"].clone();
    assert_eq!(details.as_array().map(Vec::len), Some(2), "{details}");
    let names = |text: &str, words: [&str; 2]| words.iter().all(|word| text.contains(word));
    assert!(
        names(
            details[0].as_str().unwrap_or_default(),
            ["`list`", "`gpus`"]
        ),
        "{details}"
    );
    assert!(
        names(
            details[1].as_str().unwrap_or_default(),
            ["`fit`", "`extra`"]
        ),
        "{details}"
    );
}

#[test]
fn what_a_submit_would_refuse_is_refused() {
    let sandbox = Sandbox::with_workflow(&WORKFLOW.replace("extra = [\"--nice=100\"]", ""));
    let run = |arguments: &[&str]| {
        let mut command = sandbox.reflow();
        command
            .args(["submit", "--dry-run", "-w", "wordcount"])
            .args(arguments);
        sandbox.outcome(&mut command)
    };
    let unknown = run(&["--colour", "red"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.shown());
    let backend = run(&["--backend", "slrum"]);
    assert_eq!(backend.code, Some(2), "{}", backend.shown());
    let file = run(&["--run-dir", "wordcount/reflow.toml/x"]);
    assert_eq!(file.code, Some(2), "{}", file.shown());
    let done = sandbox.run(&["run", "-q", "-w", "wordcount", "--run-dir", "taken"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let taken = run(&["--run-dir", "taken"]);
    assert_snapshot!(taken.shown(), @r"
    exit 2
    --- stderr
    error: `[DIR]/taken` already holds a run; choose another directory, or remove its `.reflow` directory
    ");
    fs_err::create_dir_all(sandbox.path().join("begun/.reflow")).expect("a directory can be made");
    let begun = run(&["--run-dir", "begun"]);
    assert_eq!(begun.code, Some(2), "{}", begun.shown());
    // Where nothing is named, the directory is told with the id that a run of this moment would have.
    let unnamed = run(&["--json"]).json();
    let directory = unnamed["run_dir"].as_str().unwrap_or_default();
    assert!(directory.starts_with("[DIR]/runs/fits-"), "{directory}");
    assert!(!sandbox.path().join("runs").exists());
}

#[test]
fn elements_that_wait_for_different_tasks_are_requests_of_their_own() {
    let sandbox = with_slurm(
        r#"
[workflow]
name = "wide"
[tasks.one]
shell = "true"
returns = "int"
[tasks.two]
shell = "true"
returns = "int"
[tasks.each]
array = true
array_parallelism = 1
shell = "echo {n}"
params.n = { type = "int", results = ["one", "two"] }
returns = "str"
"#,
    );
    let document = sandbox
        .outcome(&mut dry_run(&sandbox, "slurm", &["--json"]))
        .json();
    let dependency = |position: usize| {
        let request: &Value = &document["requests"][position];
        assert_eq!(request["task"], "each", "{document:#}");
        let argv = request["argv"].as_array().expect("words");
        let mut words = argv.iter().filter_map(Value::as_str);
        let found = words.find_map(|word| word.strip_prefix("--dependency="));
        (request["indices"].clone(), found.map(str::to_owned))
    };
    // The second takes its turn after the first, since only one may run.
    assert_eq!(dependency(2), (json!("0"), Some("afterok:1".to_owned())));
    assert_eq!(
        dependency(3),
        (json!("1"), Some("afterany:2,afterany:3".to_owned()))
    );
    assert_eq!(document["later"], json!([]));
}
