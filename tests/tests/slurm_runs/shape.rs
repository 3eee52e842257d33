//! How a run uses the batch system: what waits for what, and with how many jobs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reflow_tests::{Case, Job, Program, jobs_of, wait_for};
use serde_json::json;

use crate::{case, slow};

pub(crate) const CASES: &[Case] = &[
    case("two_arrays_of_fifty_take_at_most_six_jobs", few_jobs),
    slow("a_chain_does_not_wait_for_a_slow_branch", skewed_diamond),
];

/// Waits for a run and returns all its jobs, once the accounting has them all ended.
fn ended_jobs(program: &Program, run: &str) -> Vec<Job> {
    program.run(&["wait", run]).expect(0);
    let mut jobs = Vec::new();
    wait_for("the accounting to know every end", || {
        jobs = jobs_of(run);
        !jobs.is_empty()
            && jobs
                .iter()
                .all(|job| !["PENDING", "RUNNING", "COMPLETING"].contains(&job.state.as_str()))
    });
    jobs
}

fn few_jobs() {
    let program = Program::slurm();
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "fifty"
        [tasks.prepare]
        shell = "seq 50"
        returns = "list[int]"
        output = "lines"
        [tasks.first]
        array = true
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "prepare" }
        returns = "int"
        time = "00:05:00"
        [tasks.second]
        array = true
        shell = "echo $(( {n} * 2 ))"
        params.n = { type = "int", result = "first" }
        returns = "int"
        [tasks.total]
        shell = "cat {all:file} | awk '{ n += $1 } END { print n }'"
        params.all = { type = "list[int]", result = "second" }
        returns = "int"
        "#,
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id");
    let jobs = ended_jobs(&program, run);
    // The sum of 2 (n + 1) for n from 1 to 50.
    assert_eq!(
        program.json(&["result", run, "total"])["value"],
        json!(2 * (50 * 51 / 2 + 50))
    );
    let mut ran: BTreeMap<&str, &str> = BTreeMap::new();
    for job in &jobs {
        if job.start.is_some() && !job.comment.contains("guard") {
            ran.insert(job.submission(), &job.comment);
        }
    }
    assert!(ran.len() <= 6, "{} jobs ran: {ran:#?}", ran.len());
}

fn skewed_diamond() {
    let program = Program::slurm();
    let mut chain = String::new();
    for place in 1..=4 {
        let before = match place {
            1 => "root".to_owned(),
            _ => format!("chain{}", place - 1),
        };
        write!(
            chain,
            "[tasks.chain{place}]\nshell = \"sleep 2; echo $(( {{n}} + 1 ))\"\n\
             params.n = {{ type = \"int\", result = \"{before}\" }}\nreturns = \"int\"\n"
        )
        .expect("a string takes everything");
    }
    program.write(
        "reflow.toml",
        &format!(
            "[workflow]\nname = \"diamond\"\n\
             [tasks.root]\nshell = \"echo 1\"\nreturns = \"int\"\n{chain}\
             [tasks.long]\nshell = \"sleep 30; echo {{n}}\"\n\
             params.n = {{ type = \"int\", result = \"root\" }}\nreturns = \"int\"\n\
             [tasks.last]\nshell = \"echo {{a}} {{b}}\"\n\
             params.a = {{ type = \"int\", result = \"chain4\" }}\n\
             params.b = {{ type = \"int\", result = \"long\" }}\nreturns = \"str\"\n"
        ),
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id");
    let jobs = ended_jobs(&program, run);
    assert_eq!(
        program.json(&["result", run, "last"])["value"],
        json!("5 1")
    );
    let of = |task: &str| {
        jobs.iter()
            .find(|job| job.start.is_some() && job.comment.ends_with(task))
            .unwrap_or_else(|| panic!("{task} ran: {jobs:#?}"))
    };
    let (long, chain) = (of("long"), of("chain4"));
    assert!(
        chain.end < long.end,
        "the chain ended {chain:?} after the long task {long:?}"
    );
    let start = of("root").start.expect("it ran");
    let makespan = of("last").end.expect("it ended") - start;
    let slowest = long.end.expect("it ended") - long.start.expect("it ran");
    // A few scheduler cycles of a second or two besides the slowest task.
    assert!(
        makespan <= slowest + 10,
        "{makespan} s in all, {slowest} s for the slowest task"
    );
}
