//! On a real Slurm: what is known costs no job.

use reflow_tests::{Case, Program, jobs_of, slurm_case, wait_for};
use serde_json::json;

use crate::arrays::{NUMBERS, over};
use crate::identity::SQUARES;
use crate::series::{Run, Series};

pub(crate) const CASES: &[Case] = &[
    slurm_case("a_cached_run_sends_no_job_to_slurm", cached),
    slurm_case("three_of_200_elements_run_on_slurm", three_of_many),
    slurm_case("workers_look_up_on_slurm", late),
];

/// Returns how many jobs Slurm knows of a run, those that plan included.
fn jobs(run: &Run) -> usize {
    let run_id = run.status["run_id"].as_str().expect("a run id");
    jobs_of(run_id).len()
}

fn cached() {
    let series = Series::of(Program::slurm());
    series.workflow(SQUARES);
    let first = series.run(&[]);
    assert_eq!(first.bodies.len(), 5);
    wait_for("Slurm's accounting", || jobs(&first) > 0);
    let second = series.run(&[]);
    second.is_cached();
    assert_eq!(series.value(&second, "sum"), 14);
    assert_eq!(jobs(&second), 0);
}

fn three_of_many() {
    let series = Series::of(Program::slurm());
    series.workflow(&NUMBERS.replace("array = true", "array = true\nbatch = 20"));
    let mut numbers: Vec<i64> = (0..200).collect();
    assert_eq!(over(&series, &numbers).bodies.len(), 201);
    for (place, number) in [(0, 1001), (99, 1002), (199, 1003)] {
        numbers[place] = number;
    }
    let run = over(&series, &numbers);
    run.ran(&["list", "work 1001", "work 1002", "work 1003"]);
    assert_eq!(run.counts("work"), (3, 197));
    let expected: Vec<i64> = numbers.iter().map(|n| n % 1000).collect();
    assert_eq!(series.value(&run, "work"), json!(expected));
    let again = over(&series, &numbers);
    again.is_cached();
    assert_eq!(jobs(&again), 0);
}

fn late() {
    let series = Series::of(Program::slurm());
    let tasks = r#"
        [tasks.a]
        shell = "echo a >> $BODIES; echo 1"
        returns = "int"
        version = "1"
        [tasks.b]
        shell = "echo b >> $BODIES; echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "a" }
        returns = "int"
        [tasks.c]
        shell = "echo c >> $BODIES; echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "b" }
        returns = "int"
    "#;
    series.workflow(tasks);
    series.run(&[]).ran(&["a", "b", "c"]);
    series.workflow(&tasks.replace("version = \"1\"", "version = \"2\""));
    let run = series.run(&[]);
    run.ran(&["a"]);
    assert_eq!((run.counts("b"), run.counts("c")), ((0, 1), (0, 1)));
    assert_eq!(series.value(&run, "c"), 3);
    series.run(&[]).is_cached();
}
