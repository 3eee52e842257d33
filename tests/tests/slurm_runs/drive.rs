//! A run goes on whatever happens to the jobs that drive it.

use std::time::Duration;

use reflow_tests::faulty::{Fault, FaultPlan, When};
use reflow_tests::{
    Calls, Case, Program, ends_by_itself, figure, now_ms, queue_of, slurm, wait_for,
};
use serde_json::json;

use crate::slow;

pub(crate) const CASES: &[Case] = &[
    slow("a_dispatch_cancelled_before_it_runs", cancelled_pending),
    slow("a_dispatch_cancelled_while_it_runs", cancelled_running),
    slow(
        "a_task_job_cancelled_from_outside_is_no_silent_end",
        cancelled_task,
    ),
    slow(
        "answers_of_sbatch_that_get_lost_double_nothing",
        lost_answers,
    ),
];

const FAN_OUT: &str = r#"
    [workflow]
    name = "fan_out"
    [tasks.list]
    shell = "sleep 6; seq 3"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "echo $(( {n} * 10 ))"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.total]
    shell = "echo {all}"
    params.all = { type = "list[int]", result = "work" }
    returns = "str"
"#;

fn submitted(program: &Program) -> String {
    program.write("reflow.toml", FAN_OUT);
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    submitted["run_id"].as_str().expect("a run id").to_owned()
}

/// Returns the id of a dispatch job of the run that is in that state.
fn dispatch(run: &str, state: &str) -> Option<String> {
    queue_of(run)
        .into_iter()
        .find(|(_, rest)| rest.starts_with(state) && rest.contains("dispatch"))
        .map(|(id, _)| id)
}

/// Waits without dispatching: only the batch system drives the run.
fn ends_right(program: &Program, run: &str) {
    wait_for("the run to end by itself", || {
        program.json(&["status", run])["state"] == "succeeded"
    });
    assert_eq!(
        program.json(&["result", run, "total"])["value"],
        json!("10 20 30")
    );
}

fn cancelled_pending() {
    let program = Program::slurm();
    let run = submitted(&program);
    let mut pending = None;
    wait_for("a dispatch job in the queue", || {
        pending = dispatch(&run, "PENDING");
        pending.is_some()
    });
    slurm("scancel", &[&pending.expect("it was seen")]);
    ends_right(&program, &run);
}

fn cancelled_running() {
    let program = Program::slurm();
    let run = submitted(&program);
    // A dispatch is short: whichever is seen running is hit at some place of its work.
    let mut hit = false;
    wait_for("a dispatch job to run", || {
        if let Some(id) = dispatch(&run, "RUNNING") {
            slurm("scancel", &[&id]);
            hit = true;
        }
        hit || program.json(&["status", &run])["state"] == "succeeded"
    });
    ends_right(&program, &run);
}

fn cancelled_task() {
    let program = Program::slurm();
    let run = submitted(&program);
    let mut running = None;
    wait_for("the first task to run", || {
        running = queue_of(&run)
            .into_iter()
            .find(|(_, rest)| rest.starts_with("RUNNING") && rest.contains("list"));
        running.is_some()
    });
    let (id, _) = running.expect("it was seen");
    slurm("scancel", &[&id]);
    program.run(&["wait", &run]).expect(1);
    let status = program.json(&["status", &run]);
    let first = &status["tasks"][0]["elements"];
    assert!(
        first["cancelled"] == 1 || first["failed"] == 1,
        "the task says how it ended: {status}"
    );
    assert_eq!(status["tasks"][1]["elements"]["succeeded"], 0, "{status}");
}

/// Of every three requests, one is answered, one is lost, and of one the answer is lost.
fn lost_answers() {
    let (program, calls) = Calls::of(Program::slurm());
    let lost = |place| {
        FaultPlan {
        when: When::Each { of: 3, place },
        ..FaultPlan::from(Fault::Fails {
            text: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
                .to_owned(),
            code: 1,
        })
        .only("--parsable")
    }
    };
    calls.go_wrong("sbatch", [lost(1).arriving(), lost(2)]);
    let began = now_ms();
    program.write(
        "reflow.toml",
        &FAN_OUT.replace(
            "shell = \"echo $((",
            "shell = \"echo {n} >> {run_dir}/starts; echo $((",
        ),
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let end = ends_by_itself(&program.home().join("run"), Duration::from_mins(12));
    figure(format_args!(
        "two of three answers lost: {:.1} s, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    ends_right(&program, &run);
    let starts = fs_err::read_to_string(program.home().join("run/starts")).expect("was written");
    let mut starts: Vec<&str> = starts.lines().collect();
    starts.sort_unstable();
    assert_eq!(starts, ["1", "2", "3"]);
    wait_for("the queue to be empty of the run", || {
        queue_of(&run).is_empty()
    });
}
