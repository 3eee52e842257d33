//! Arrays: what flows into an element counts for it, and nothing else.

use std::fmt::Write as _;

use reflow_tests::{Case, is_set};
use serde_json::json;

use crate::case;
use crate::series::{Run, Series, text};

pub(crate) const CASES: &[Case] = &[
    case("three_changed_elements_run_three_bodies", three_of_many),
    case("an_item_in_front_runs_alone", in_front),
    case("items_in_another_order_run_nothing", another_order),
    case("an_item_that_is_left_out_runs_nothing", left_out),
    case("duplicates_are_one_result", duplicates),
    case("thousands_of_equal_items_are_few_results", equal),
    case("three_arrays_in_a_chain_run_what_changed", chain),
    case("side_by_side_items_count_together", zip),
    case("a_broadcast_counts_for_all_elements", broadcast),
    case("gathered_and_flattened_lists_count_whole", flattened),
    case("results_of_several_tasks_count_in_their_order", several),
    case("an_empty_fan_out_is_known", empty),
    case("batches_are_made_of_what_is_left", batches),
    case("elements_of_a_failed_run_are_taken", failed_run),
];

/// Numbers from a file, an array over them, and a chain behind it.
pub(crate) const NUMBERS: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; cat {numbers}"
    params.numbers = { type = "file" }
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "echo work {n} >> $BODIES; echo $(( {n} % 1000 ))"
    params.n = { type = "int", result = "list" }
    returns = "int"
"#;

/// Two arrays more, and a sum.
const BEHIND: &str = r#"
    [tasks.double]
    array = true
    shell = "echo double {n} >> $BODIES; echo $(( {n} * 2 ))"
    params.n = { type = "int", result = "work" }
    returns = "int"
    [tasks.next]
    array = true
    shell = "echo next {n} >> $BODIES; echo $(( {n} + 1 ))"
    params.n = { type = "int", result = "double" }
    returns = "int"
    [tasks.sum]
    shell = "echo sum >> $BODIES; printf '%s\n' {all} | awk '{ n += $1 } END { print n + 0 }'"
    params.all = { type = "list[int]", result = "next" }
    returns = "int"
"#;

/// Runs the workflow over these numbers.
pub(crate) fn over(series: &Series, numbers: &[i64]) -> Run {
    let mut lines = String::new();
    for number in numbers {
        let _ = writeln!(lines, "{number}");
    }
    let file = series.program.write("numbers", &lines);
    series.run(&["--numbers", text(&file)])
}

fn three_of_many() {
    let many: i64 = if is_set("REFLOW_TEST_FULL") {
        10_000
    } else {
        1000
    };
    let series = Series::new();
    series.workflow(&NUMBERS.replace("array = true", "array = true\nbatch = 50"));
    let mut numbers: Vec<i64> = (0..many).collect();
    let first = over(&series, &numbers);
    assert_eq!(first.bodies.len() as i64, many + 1);
    let second = over(&series, &numbers);
    second.is_cached();
    assert_eq!(second.counts("work"), (0, many as u64));
    for (place, number) in [
        (0, 100_001),
        (many as usize / 2, 100_002),
        (many as usize - 1, 100_003),
    ] {
        numbers[place] = number;
    }
    let third = over(&series, &numbers);
    third.ran(&["list", "work 100001", "work 100002", "work 100003"]);
    assert_eq!(third.counts("work"), (3, many as u64 - 3));
    let expected: Vec<i64> = numbers.iter().map(|n| n % 1000).collect();
    assert_eq!(series.value(&third, "work"), json!(expected));
    assert_eq!(series.value(&third, "work[1]"), 1);
    let last = format!("work[{}]", many - 1);
    assert_eq!(series.value(&third, &last), 3);
    over(&series, &numbers).is_cached();
}

fn in_front() {
    let series = Series::new();
    series.workflow(NUMBERS);
    over(&series, &[1, 2, 3]);
    let run = over(&series, &[7, 1, 2, 3]);
    run.ran(&["list", "work 7"]);
    assert_eq!(series.value(&run, "work"), json!([7, 1, 2, 3]));
    over(&series, &[7, 1, 8, 2, 3]).ran(&["list", "work 8"]);
}

fn another_order() {
    let series = Series::new();
    series.workflow(&format!("{NUMBERS}{BEHIND}"));
    over(&series, &[1, 2, 3]);
    let run = over(&series, &[3, 1, 2]);
    run.ran(&["list", "sum"]);
    assert_eq!(series.value(&run, "next"), json!([7, 3, 5]));
    assert_eq!(series.value(&run, "next[0]"), 7);
}

fn left_out() {
    let series = Series::new();
    series.workflow(&format!("{NUMBERS}{BEHIND}"));
    over(&series, &[1, 2, 3]);
    let run = over(&series, &[1, 3]);
    run.ran(&["list", "sum"]);
    assert_eq!(series.value(&run, "sum"), 3 + 7);
    over(&series, &[1, 2, 3]).is_cached();
}

fn duplicates() {
    let series = Series::new();
    series.workflow(NUMBERS);
    let first = over(&series, &[5, 6, 5, 5, 6]);
    assert_eq!(series.value(&first, "work"), json!([5, 6, 5, 5, 6]));
    over(&series, &[5, 6, 5, 5, 6]).is_cached();
    let second = over(&series, &[5, 5, 5, 5, 5, 5, 5, 6, 4]);
    second.ran(&["list", "work 4"]);
    assert_eq!(
        series.value(&second, "work"),
        json!([5, 5, 5, 5, 5, 5, 5, 6, 4])
    );
}

fn equal() {
    let series = Series::new();
    series.workflow(&NUMBERS.replace("array = true", "array = true\nbatch = 100"));
    let over_ten = |items: i64| -> Vec<i64> { (0..items).map(|item| item % 10).collect() };
    let first = over(&series, &over_ten(1000));
    assert_eq!(first.counts("work"), (1000, 0));
    let many = over_ten(20_000);
    let second = over(&series, &many);
    second.ran(&["list"]);
    assert_eq!(second.counts("work"), (0, 20_000));
    assert_eq!(series.value(&second, "work"), json!(many));
    over(&series, &many).is_cached();
    let stats = series.program.json(&["cache", "stats"]);
    let tasks = stats["tasks"].as_array().expect("a list");
    let work = tasks.iter().find(|task| task["task"] == "work");
    let kept = work.expect("it was run")["results"].as_u64();
    // What batches have published, ten of each at most.
    assert!(kept <= Some(100), "{stats}");
}

fn chain() {
    let series = Series::new();
    series.workflow(&format!("{NUMBERS}{BEHIND}"));
    let first = over(&series, &[1, 2, 3, 4]);
    assert_eq!(first.bodies.len(), 1 + 3 * 4 + 1);
    assert_eq!(series.value(&first, "sum"), 3 + 5 + 7 + 9);
    over(&series, &[1, 2, 3, 4]).is_cached();
    let run = over(&series, &[1, 9, 3, 4]);
    run.ran(&["list", "work 9", "double 9", "next 18", "sum"]);
    assert_eq!(series.value(&run, "sum"), 3 + 19 + 7 + 9);
    // `work` gives for 1003 what it gives for 3: nothing behind it runs.
    let run = over(&series, &[1, 9, 1003, 4]);
    run.ran(&["list", "work 1003"]);
    assert_eq!((run.counts("double"), run.counts("sum")), ((0, 4), (0, 1)));
}

fn zip() {
    let series = Series::new();
    let pair = r#"
        [tasks.left]
        shell = "echo left >> $BODIES; printf '%s\n' {a}"
        params.a = { type = "list[str]" }
        returns = "list[str]"
        output = "lines"
        [tasks.right]
        shell = "echo right >> $BODIES; printf '%s\n' {b}"
        params.b = { type = "list[str]" }
        returns = "list[str]"
        output = "lines"
        [tasks.pair]
        array = true
        shell = "echo pair {x} {y} >> $BODIES; echo {x}-{y}"
        params.x = { type = "str", result = "left" }
        params.y = { type = "str", result = "right" }
        returns = "str"
    "#;
    series.workflow(pair);
    let run = |a: [&str; 3], b: [&str; 3]| {
        let mut flags = Vec::new();
        for (flag, items) in [("--a", a), ("--b", b)] {
            flags.extend(items.iter().flat_map(|item| [flag, *item]));
        }
        series.run(&flags)
    };
    run(["1", "2", "3"], ["1", "2", "3"])
        .ran(&["left", "right", "pair 1 1", "pair 2 2", "pair 3 3"]);
    let swapped = run(["1", "2", "3"], ["2", "1", "3"]);
    swapped.ran(&["right", "pair 1 2", "pair 2 1"]);
    assert_eq!(series.value(&swapped, "pair"), json!(["1-2", "2-1", "3-3"]));
    // The pairs that are known, on the other side.
    run(["2", "1", "3"], ["1", "2", "3"]).ran(&["left"]);
    let run = run(["2", "3", "1"], ["1", "3", "2"]);
    run.ran(&["left", "right"]);
    assert_eq!(series.value(&run, "pair"), json!(["2-1", "3-3", "1-2"]));
}

fn broadcast() {
    let series = Series::new();
    let tasks = r#"
        [tasks.setting]
        shell = "echo setting >> $BODIES; echo {s}"
        params.s = { type = "int", default = 1 }
        returns = "int"
        [tasks.labels]
        shell = "echo labels >> $BODIES; printf '%s\n' {l}"
        params.l = { type = "list[str]", default = ["a", "b"] }
        returns = "list[str]"
        output = "lines"
        [tasks.items]
        shell = "echo items >> $BODIES; seq {n}"
        params.n = { type = "int", default = 2 }
        returns = "list[int]"
        output = "lines"
        [tasks.first]
        array = true
        shell = "echo first {i} >> $BODIES; echo {i}"
        params.i = { type = "int", result = "items" }
        returns = "int"
        [tasks.classify]
        array = true
        shell = "echo classify {i} >> $BODIES; echo {i} {s} {l} {all}"
        params.i = { type = "int", result = "items" }
        params.s = { type = "int", result = "setting", broadcast = true }
        params.l = { type = "list[str]", result = "labels" }
        params.all = { type = "list[int]", result = "first", broadcast = true }
        returns = "str"
    "#;
    series.workflow(tasks);
    let run = series.run(&[]);
    assert_eq!(
        series.value(&run, "classify"),
        json!(["1 1 a b 1 2", "2 1 a b 1 2"])
    );
    series.run(&[]).is_cached();
    series
        .run(&["--s", "2"])
        .ran(&["setting", "classify 1", "classify 2"]);
    series
        .run(&["--l", "b", "--l", "a"])
        .ran(&["labels", "classify 1", "classify 2"]);
    // One item more: all elements get the longer list.
    let run = series.run(&["--n", "3"]);
    run.ran(&["items", "first 3", "classify 1", "classify 2", "classify 3"]);
    assert_eq!(series.value(&run, "classify[2]"), "3 1 a b 1 2 3");
}

fn flattened() {
    let series = Series::new();
    let tasks = format!(
        "{NUMBERS}{}",
        r#"
        [tasks.lists]
        array = true
        shell = "echo lists {n} >> $BODIES; for i in $(seq {n}); do echo $i; done"
        params.n = { type = "int", result = "work" }
        returns = "list[int]"
        output = "lines"
        [tasks.each]
        array = true
        shell = "echo each {n} >> $BODIES; echo {n}"
        params.n = { type = "int", result = "lists" }
        returns = "int"
        [tasks.flat]
        shell = "echo flat >> $BODIES; echo {all}"
        params.all = { type = "list[int]", result = "lists" }
        returns = "str"
        [tasks.deep]
        shell = "echo deep >> $BODIES; cat {all:file}"
        params.all = { type = "list[list[int]]", result = "lists" }
        returns = "json"
        output = "json"
        "#
    );
    series.workflow(&tasks);
    let first = over(&series, &[2, 0, 1]);
    assert_eq!(first.counts("each"), (3, 0));
    assert_eq!(series.value(&first, "flat"), "1 2 1");
    assert_eq!(series.value(&first, "deep"), json!([[1, 2], [], [1]]));
    over(&series, &[2, 0, 1]).is_cached();
    let second = over(&series, &[2, 1]);
    // The same entries in other lists: what takes them flat does not run.
    second.ran(&["list", "deep"]);
    assert_eq!(series.value(&second, "deep"), json!([[1, 2], [1]]));
    let third = over(&series, &[3]);
    third.ran(&["list", "work 3", "lists 3", "each 3", "flat", "deep"]);
    assert_eq!(series.value(&third, "each"), json!([1, 2, 3]));
}

fn several() {
    let series = Series::new();
    let tasks = |order: &str| {
        format!(
            r#"
            [tasks.old]
            shell = "echo old >> $BODIES; printf '%s\n' 1 2"
            returns = "list[str]"
            output = "lines"
            [tasks.new]
            shell = "echo new >> $BODIES; echo 3"
            returns = "str"
            [tasks.upper]
            array = true
            shell = "echo upper {{s}} >> $BODIES; echo u{{s}}"
            params.s = {{ type = "str", result = "old" }}
            returns = "str"
            [tasks.each]
            array = true
            shell = "echo each {{s}} >> $BODIES; echo {{s}}"
            params.s = {{ type = "str", results = [{order}] }}
            returns = "str"
            [tasks.all]
            shell = "echo all >> $BODIES; echo {{s}}"
            params.s = {{ type = "list[str]", results = [{order}] }}
            returns = "str"
            "#
        )
    };
    series.workflow(&tasks("\"old\", \"new\", \"upper\""));
    let run = series.run(&[]);
    assert_eq!(run.bodies.len(), 1 + 1 + 2 + 5 + 1);
    assert_eq!(series.value(&run, "all"), "1 2 3 u1 u2");
    series.run(&[]).is_cached();
    series.workflow(&tasks("\"new\", \"upper\", \"old\""));
    let run = series.run(&[]);
    run.ran(&["all"]);
    assert_eq!(series.value(&run, "all"), "3 u1 u2 1 2");
    assert_eq!(
        series.value(&run, "each"),
        json!(["3", "u1", "u2", "1", "2"])
    );
    // The same items from others: a gathered list is the list that it is.
    series.workflow(&tasks("\"new\", \"upper\", \"old\"").replace("printf '%s\\n' 1 2", "seq 2"));
    series.run(&[]).ran(&["old"]);
}

fn empty() {
    let series = Series::new();
    series.workflow(&format!("{NUMBERS}{BEHIND}"));
    let first = over(&series, &[]);
    first.ran(&["list", "sum"]);
    let second = over(&series, &[]);
    second.is_cached();
    assert_eq!(second.counts("next"), (0, 0));
    assert_eq!(series.value(&second, "sum"), 0);
    assert_eq!(series.value(&second, "next"), json!([]));
    over(&series, &[4]).ran(&["list", "work 4", "double 4", "next 8", "sum"]);
}

fn batches() {
    let series = Series::new();
    let tasks = format!("{NUMBERS}{BEHIND}").replace("array = true", "array = true\nbatch = 4");
    series.workflow(&tasks);
    let numbers: Vec<i64> = (1..=20).collect();
    over(&series, &numbers);
    let mut others = numbers.clone();
    for place in [1, 2, 9, 13, 14, 15, 19] {
        others[place] += 100;
    }
    let run = over(&series, &others);
    assert_eq!(run.counts("next"), (7, 13));
    assert_eq!(run.bodies.len(), 1 + 3 * 7 + 1);
    let expected: Vec<i64> = others.iter().map(|n| n * 2 + 1).collect();
    assert_eq!(series.value(&run, "next"), json!(expected));
}

fn failed_run() {
    let series = Series::new();
    let tasks = format!("{NUMBERS}{BEHIND}");
    series.workflow(&tasks.replace("echo double {n}", "[ {n} != 3 ]; echo double {n}"));
    let file = series.program.write("numbers", "1\n2\n3\n");
    let arguments = [
        "run",
        "-q",
        "-w",
        "reflow.toml",
        "--run-dir",
        "failed",
        "--numbers",
        text(&file),
    ];
    series.program.run(&arguments).expect(1);
    assert_eq!(series.new_bodies().len(), 1 + 3 + 2 + 2);
    // A failure is no result.
    let arguments = [
        "run",
        "-q",
        "-w",
        "reflow.toml",
        "--run-dir",
        "again",
        "--numbers",
        text(&file),
    ];
    series.program.run(&arguments).expect(1);
    assert_eq!(series.new_bodies(), [""; 0]);
    let status = series.program.json(&["status", "again"]);
    assert_eq!(status["tasks"][2]["elements"]["failed"], 1, "{status}");
    assert_eq!(status["tasks"][2]["elements"]["cached"], 2, "{status}");
    series.workflow(&tasks);
    let run = over(&series, &[1, 2, 3]);
    // Another command, but the same values where there were some.
    run.ran(&["double 1", "double 2", "double 3", "next 6", "sum"]);
}
