//! Jobs that are killed are found, and their runs end without anybody looking.

use std::time::Duration;

use reflow_tests::{
    Calls, Case, Program, ends_by_itself, figure, now_ms, queue_of, slurm, wait_for,
};
use serde_json::{Value, json};

use crate::{case, slow};

pub(crate) const CASES: &[Case] = &[
    slow("a_task_over_its_walltime_fails_for_that_reason", walltime),
    case("a_task_over_its_memory_fails_for_that_reason", memory),
    case(
        "a_worker_over_its_memory_fails_for_that_reason",
        worker_memory,
    ),
    case(
        "a_task_over_its_memory_succeeds_with_twice_as_much",
        memory_retry,
    ),
    case("a_task_cancelled_from_outside_is_cancelled", cancelled),
    slow(
        "elements_cancelled_while_they_wait_do_not_hold_up_the_run",
        cancelled_waiting,
    ),
];

/// How long a file may take to be seen elsewhere: here, where all nodes are one machine, at once.
const LATENCY: (&str, &str) = ("REFLOW_LATENCY", "1s");

/// Submits a task `long` and one behind it.
fn submitted(resources: &str, body: &str) -> (Program, Calls, String) {
    let (program, calls) = Calls::of(Program::slurm().with_variable(LATENCY.0, LATENCY.1));
    program.write(
        "reflow.toml",
        &format!(
            "[workflow]\nname = \"killed\"\n\
             [tasks.long]\n{resources}\nreturns = \"int\"\nshell = '''\n{body}\n'''\n\
             [tasks.after]\nshell = \"echo {{n}}\"\nreturns = \"int\"\n\
             params.n = {{ type = \"int\", result = \"long\" }}\n"
        ),
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    (program, calls, run)
}

/// Waits for the end, without the program, and returns what `status` then says and the failure of `long`.
fn ended(program: &Program, calls: &Calls, run: &str, what: &str, since: u64) -> (Value, Value) {
    let end = ends_by_itself(&program.home().join("run"), Duration::from_mins(4));
    figure(format_args!(
        "{what}: known after {:.1} s, {}",
        end.saturating_sub(since) as f64 / 1e3,
        calls.count()
    ));
    let status = program.json(&["status", run]);
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["tasks"][1]["elements"]["skipped"], 1, "{status}");
    let failure = status["failures"][0].clone();
    assert_eq!(failure["task"], "long", "{status}");
    assert!(failure["node"].is_string(), "{status}");
    (status, failure)
}

/// Returns when the job of `long` ended, in milliseconds since 1970, as the batch system says.
fn end_of_job(program: &Program, run: &str) -> u64 {
    let status = program.json(&["status", run]);
    let job = status["tasks"][0]["jobs"][0]
        .as_str()
        .expect("a job")
        .to_owned();
    let mut end = None;
    wait_for("the end of the job to be recorded", || {
        let text = slurm(
            "sacct",
            &[
                "-X",
                "--noheader",
                "--parsable2",
                "--format=end",
                "-j",
                &job,
            ],
        );
        end = text.trim().parse::<u64>().ok();
        end.is_some()
    });
    end.expect("it was waited for") * 1000
}

fn walltime() {
    let (program, calls, run) = submitted("time = \"00:01:00\"", "sleep 600");
    let began = now_ms();
    let (status, failure) = ended(
        &program,
        &calls,
        &run,
        "over its walltime, from its start",
        began,
    );
    let known = reflow_tests::end_of(&program.home().join("run")).expect("has ended");
    figure(format_args!(
        "over its walltime: known {:.1} s after the job ended",
        known.saturating_sub(end_of_job(&program, &run)) as f64 / 1e3
    ));
    assert_eq!(failure["reason"], "walltime", "{status}");
    assert_eq!(failure["state"], "failed", "{status}");
}

fn memory() {
    let began = now_ms();
    let (program, calls, run) = submitted(
        "mem = \"100M\"",
        "python3 -c 'x = bytearray(400 << 20); print(len(x))'",
    );
    let (status, failure) = ended(
        &program,
        &calls,
        &run,
        "over its memory, from submit",
        began,
    );
    assert_eq!(failure["state"], "failed", "{status}");
    assert_eq!(failure["reason"], "memory", "{status}");
}

/// The worker itself is what the kernel kills, so that only the batch system can say what happened.
fn worker_memory() {
    let began = now_ms();
    let (program, calls, run) = submitted(
        "mem = \"100M\"",
        "echo 1000 > /proc/$PPID/oom_score_adj; python3 -c 'x = bytearray(400 << 20)'; sleep 60",
    );
    let (status, failure) = ended(&program, &calls, &run, "worker killed, from submit", began);
    assert_eq!(failure["reason"], "memory", "{status}");
}

fn memory_retry() {
    let began = now_ms();
    let (program, calls, run) = submitted(
        "mem = \"150M\"\nretries = 3\nretry_mem = 2.0",
        "echo try >> {run_dir}/tries; python3 -c 'x = bytearray(400 << 20); print(len(x) >> 20)'",
    );
    let end = ends_by_itself(&program.home().join("run"), Duration::from_mins(4));
    figure(format_args!(
        "over its memory twice, then not: {:.1} s, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(
        program.json(&["result", &run, "after"])["value"],
        json!(400)
    );
    // 150 MB and 300 MB are too little, 600 MB are enough.
    let tries = fs_err::read_to_string(program.home().join("run/tries")).expect("was written");
    assert_eq!(tries.lines().count(), 3, "{status}");
}

fn cancelled() {
    let (program, calls, run) = submitted("", "touch {run_dir}/started; sleep 600");
    wait_for("the task to start", || {
        program.home().join("run/started").exists()
    });
    let (id, _) = queue_of(&run)
        .into_iter()
        .find(|(_, rest)| rest.starts_with("RUNNING") && rest.contains("long"))
        .expect("the task runs");
    let began = now_ms();
    slurm("scancel", &[&id]);
    let (status, failure) = ended(&program, &calls, &run, "cancelled from outside", began);
    assert_eq!(failure["state"], "cancelled", "{status}");
    assert_eq!(failure["reason"], "cancelled", "{status}");
    assert_eq!(failure["signal"], json!(15), "{status}");
    assert_eq!(status["tasks"][0]["elements"]["cancelled"], 1, "{status}");
}

/// Slurm keeps no record of an element that was cancelled before it started, while others of its array are
/// still there: it is as if it had been forgotten, and goes again.
fn cancelled_waiting() {
    let (program, calls) = Calls::of(Program::slurm().with_variable(LATENCY.0, LATENCY.1));
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "waiting"
        [tasks.list]
        shell = "seq 0 11"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        array_parallelism = 2
        shell = "echo {n} >> {run_dir}/starts; sleep 4; echo {n}"
        params.n = { type = "int", result = "list" }
        returns = "int"
        "#,
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let starts = || {
        let text = fs_err::read_to_string(program.home().join("run/starts")).unwrap_or_default();
        let mut elements: Vec<u32> = (text.lines())
            .map(|line| line.parse().expect("a number"))
            .collect();
        elements.sort_unstable();
        elements
    };
    wait_for("the first elements to start", || !starts().is_empty());
    let status = program.json(&["status", &run]);
    let job = status["tasks"][1]["jobs"][0]
        .as_str()
        .expect("a job")
        .to_owned();
    let began = now_ms();
    slurm("scancel", &[&format!("{job}_[6-9]")]);
    let end = ends_by_itself(&program.home().join("run"), Duration::from_mins(8));
    figure(format_args!(
        "4 of 12 elements cancelled while they waited: {:.1} s, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(starts(), (0..12).collect::<Vec<_>>(), "each ran once");
}
