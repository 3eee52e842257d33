//! What was submitted before its inputs were known is looked up by the worker.

use reflow_tests::Case;
use serde_json::json;

use crate::arrays::{NUMBERS, over};
use crate::case;
use crate::series::Series;

pub(crate) const CASES: &[Case] = &[
    case("what_gives_the_same_stops_a_chain_of_tasks", chain),
    case("only_what_is_new_runs_in_a_chain_of_arrays", arrays),
    case(
        "what_is_known_late_is_known_when_planned_later",
        planned_later,
    ),
    case("a_late_hit_is_remembered_no_second_time", no_second_time),
    case("batches_are_looked_up_element_by_element", batches),
    case("large_values_are_handed_on_by_late_hits", large),
];

const CHAIN: &str = r#"
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
    [tasks.d]
    shell = "echo d >> $BODIES; echo {n} {m}"
    params.n = { type = "int", result = "c" }
    params.m = { type = "int", result = "a" }
    returns = "str"
"#;

fn version(tasks: &str, version: &str) -> String {
    tasks.replace("version = \"1\"", &format!("version = \"{version}\""))
}

fn chain() {
    let series = Series::new();
    series.workflow(CHAIN);
    series.run(&[]).ran(&["a", "b", "c", "d"]);
    for (number, dispatch) in ["job", "worker", "login"].iter().enumerate() {
        series.workflow(&version(CHAIN, &format!("2.{number}")));
        let run = series.run(&["--dispatch", dispatch]);
        run.ran(&["a"]);
        assert_eq!(run.counts("d"), (0, 1));
        assert_eq!(series.value(&run, "b"), 2);
        assert_eq!(series.value(&run, "d"), "3 1");
        series.run(&[]).is_cached();
    }
}

fn arrays() {
    let series = Series::new();
    let tasks = format!(
        "{}{}",
        NUMBERS.replace("array = true", "array = true\nversion = \"1\""),
        r#"
        [tasks.double]
        array = true
        shell = "echo double {n} >> $BODIES; echo $(( {n} * 2 ))"
        params.n = { type = "int", result = "work" }
        returns = "int"
        [tasks.both]
        array = true
        shell = "echo both {n} {m} >> $BODIES; echo {n}{m}"
        params.n = { type = "int", result = "double" }
        params.m = { type = "int", result = "work" }
        returns = "str"
        "#
    );
    series.workflow(&tasks);
    over(&series, &[1, 2, 3, 4]);
    let works = ["work 1", "work 2", "work 3", "work 4"];
    series.workflow(&version(&tasks, "2"));
    let run = over(&series, &[1, 2, 3, 4]);
    run.ran(&works);
    assert_eq!(run.counts("both"), (0, 4));
    // One of them gives something else now.
    let other = version(&tasks, "3").replace("{n} % 1000 ))", "{n} + ({n} == 3) * 4 ))");
    series.workflow(&other);
    let run = over(&series, &[1, 2, 3, 4]);
    run.ran(&[&works[..], &["double 7", "both 14 7"]].concat());
    assert_eq!(run.counts("double"), (1, 3));
    assert_eq!(series.value(&run, "both"), json!(["21", "42", "147", "84"]));
    over(&series, &[1, 2, 3, 4]).is_cached();
}

fn planned_later() {
    let series = Series::new();
    series.workflow(NUMBERS);
    over(&series, &[1, 2, 3]);
    let later = NUMBERS.replace("cat {numbers}", "cat {numbers} # again");
    series.workflow(&later);
    let run = over(&series, &[1, 2, 3]);
    run.ran(&["list"]);
    let jobs = &run.status["tasks"][1]["jobs"];
    assert_eq!(
        jobs.as_array().map_or(0, Vec::len),
        0,
        "no job is sent: {jobs}"
    );
}

fn no_second_time() {
    let series = Series::new();
    series.workflow(CHAIN);
    let first = series.run(&[]);
    series.workflow(&version(CHAIN, "2"));
    series.run(&[]).ran(&["a"]);
    // The runs that only took results are not needed for the next one.
    for directory in ["run-1", "run-2"] {
        fs_err::remove_dir_all(series.path(directory)).expect("it is ours");
    }
    assert_eq!(first.bodies.len(), 4);
    series.workflow(&version(CHAIN, "3"));
    let run = series.run(&[]);
    run.ran(&["a"]);
    assert_eq!(series.value(&run, "d"), "3 1");
}

fn batches() {
    let series = Series::new();
    let tasks = format!(
        "{}{}",
        NUMBERS.replace("array = true", "array = true\nbatch = 3\nversion = \"1\""),
        r#"
        [tasks.double]
        array = true
        batch = 3
        shell = "echo double {n} >> $BODIES; echo $(( {n} * 2 ))"
        params.n = { type = "int", result = "work" }
        returns = "int"
        "#
    );
    series.workflow(&tasks);
    let numbers: Vec<i64> = (1..=10).collect();
    over(&series, &numbers);
    let other = version(&tasks, "2").replace("{n} % 1000 ))", "{n} + ({n} % 4 == 0) * 100 ))");
    series.workflow(&other);
    let run = over(&series, &numbers);
    assert_eq!(run.counts("work"), (10, 0));
    assert_eq!(run.counts("double"), (2, 8));
    assert_eq!(series.value(&run, "double[7]"), 216);
    assert_eq!(series.value(&run, "double[8]"), 18);
}

fn large() {
    let series = Series::new();
    let tasks = r#"
        [tasks.a]
        shell = "echo a >> $BODIES; head -c 50000 /dev/zero | tr '\\0' x"
        returns = "str"
        version = "1"
        [tasks.b]
        shell = "echo b >> $BODIES; cat {s:file} {s:file} | tr -d '\\n'"
        params.s = { type = "str", result = "a" }
        returns = "str"
        [tasks.c]
        shell = "echo c >> $BODIES; wc -c < {s:file}"
        params.s = { type = "str", result = "b" }
        returns = "int"
    "#;
    series.workflow(tasks);
    series.run(&[]);
    series.workflow(&version(tasks, "2"));
    let run = series.run(&[]);
    run.ran(&["a"]);
    assert_eq!(
        series.value(&run, "b").as_str().map(str::len),
        Some(100_000)
    );
    series.workflow(&version(tasks, "3").replace("wc -c", "cat | wc -c"));
    let run = series.run(&[]);
    run.ran(&["a", "c"]);
    let bytes = series.value(&run, "c").as_u64().expect("a number");
    assert!((100_000..=100_001).contains(&bytes), "{bytes}");
}
