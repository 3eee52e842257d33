//! One test for each rule of a workflow.

use serde_json::{Value, json};

use super::{Description, Graph, Mode};

fn check(tasks: impl Into<Value>) -> Result<Graph, String> {
    let tasks: Value = tasks.into();
    let document = json!({"schema": 1, "name": "w", "tasks": tasks});
    let description = Description::from_json(document).map_err(|errors| errors.to_string())?;
    Graph::check(description).map_err(|errors| {
        let text = errors.to_string();
        text.lines()
            .skip(1)
            .map(str::trim_start)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

fn errors(tasks: impl Into<Value>) -> String {
    check(tasks).expect_err("the workflow is wrong")
}

fn plain(name: &str, ty: &str) -> Value {
    json!({"name": name, "type": ty, "kind": "plain"})
}

fn result(name: &str, ty: &str, step: &str) -> Value {
    json!({"name": name, "type": ty, "kind": "result", "steps": [step]})
}

#[test]
fn a_workflow_that_is_right_has_wires_modes_and_an_order() {
    let graph = check(json!([
        {"name": "total", "returns": "int", "parameters": [result("counts", "list[int]", "count")]},
        {"name": "count", "array": true, "array_parallelism": 4, "returns": "int",
         "parameters": [result("part", "file", "split")], "after": ["login"]},
        {"name": "split", "returns": "list[file]", "parameters": [plain("text", "file")]},
        {"name": "login", "returns": "none"},
    ]))
    .expect("right");
    let names: Vec<_> = graph
        .order()
        .iter()
        .map(|task| graph.declared(*task).name.as_str())
        .collect();
    assert_eq!(names, ["split", "login", "count", "total"]);
    let modes = |name: &str| {
        let task = graph.find(name).expect("a task");
        graph.task(task).inputs[0].modes(graph.is_array(task))
    };
    assert_eq!(modes("count"), [Mode::FanOut]);
    assert_eq!(modes("total"), [Mode::Gather]);
    let split = graph.find("split").expect("a task");
    assert_eq!(
        graph.task(split).consumers,
        [graph.find("count").expect("a task")]
    );
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_tasks() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [plain("status", "int"), plain("force", "bool")]},
        {"name": "b", "array": true, "returns": "int", "parameters": [result("x", "str", "a")]},
        {"name": "c", "returns": "int", "parameters": [result("y", "int", "aa")], "batch": 2},
    ])), @r#"
    task `a`, parameter `force`: `--force` is a flag of reflow (rename the parameter, or set `namespace = "local"` to make it `--a-force`)
    task `b`, parameter `x`: takes str in every element, but task `a` returns int
    task `c`: `batch` is for array tasks
    task `c`, parameter `y`: there is no task `aa` (nearest task: `a`)
    "#);
}

#[test]
fn unknown_steps_name_the_nearest() {
    insta::assert_snapshot!(errors(json!([
        {"name": "split", "returns": "int"},
        {"name": "b", "returns": "int", "parameters": [result("x", "int", "splt")], "after": ["spilt"]},
    ])), @"
    task `b`, parameter `x`: there is no task `splt` (nearest task: `split`)
    task `b`: there is no task `spilt` (nearest task: `split`)
    ");
}

#[test]
fn cycles_are_shown() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [result("x", "int", "b")]},
        {"name": "b", "returns": "int", "parameters": [result("x", "int", "c")]},
        {"name": "c", "returns": "int", "after": ["a"]},
        {"name": "d", "returns": "int", "parameters": [result("x", "int", "d")]},
        {"name": "e", "returns": "int", "after": ["e"]},
    ])), @"
    task `a`: the tasks need each other in a circle: a -> c -> b -> a
    task `d`: the tasks need each other in a circle: d -> d
    task `e`: comes `after` itself
    ");
}

#[test]
fn type_mismatches_say_what_to_do() {
    insta::assert_snapshot!(errors(json!([
        {"name": "list", "returns": "list[int]"},
        {"name": "one", "returns": "int"},
        {"name": "each", "array": true, "returns": "int", "parameters": [result("x", "int", "list")]},
        {"name": "a", "returns": "int", "parameters": [result("x", "int", "each")]},
        {"name": "b", "array": true, "returns": "int", "parameters": [result("x", "int", "one")]},
        {"name": "c", "returns": "int", "parameters": [result("x", "str", "one")]},
    ])), @"
    task `a`, parameter `x`: takes int, but array task `each` returns int (collect with list[int])
    task `b`, parameter `x`: takes int in every element, but task `one` returns int (fan out a list, or `broadcast`)
    task `c`, parameter `x`: takes str, but task `one` returns int
    ");
}

#[test]
fn an_array_needs_a_width() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "array": true, "returns": "int"},
        {"name": "b", "returns": "dict"},
        {"name": "c", "array": true, "returns": "int", "parameters": [
            {"name": "x", "type": "dict", "kind": "result", "steps": ["b"], "broadcast": true}]},
    ])), @"
    task `a`: an array task needs a parameter that takes the items of a list or of an array (take the result of a task that returns a list, or drop `array`)
    task `c`: an array task needs a parameter that takes the items of a list or of an array (take the result of a task that returns a list, or drop `array`)
    ");
}

#[test]
fn broadcast_is_for_arrays_and_steps_are_not_empty() {
    insta::assert_snapshot!(errors(json!([
        {"name": "b", "returns": "dict"},
        {"name": "c", "returns": "int", "parameters": [
            {"name": "x", "type": "dict", "kind": "result", "steps": ["b"], "broadcast": true},
            {"name": "y", "type": "dict", "kind": "result", "steps": []}]},
    ])), @"
    task `c`, parameter `x`: `broadcast` is for array tasks
    task `c`, parameter `y`: no task is named to take results from
    ");
}

#[test]
fn limits_are_at_least_one_and_for_arrays() {
    insta::assert_snapshot!(errors(json!([
        {"name": "l", "returns": "list[int]"},
        {"name": "a", "returns": "int", "array_parallelism": 2, "batch": 2, "resources": {"cpus": 0},
         "retry": {"mem": 0.5}, "environment": {"A=B": ""}},
        {"name": "b", "array": true, "returns": "int", "array_parallelism": 0, "batch": 0,
         "parameters": [result("x", "int", "l")]},
    ])), @"
    task `a`: `array_parallelism` is for array tasks
    task `a`: `batch` is for array tasks
    task `a`: `cpus` must be at least 1
    task `a`: `retry_mem` is 0.5: a factor is a number of at least 1
    task `a`: `A=B` cannot be the name or value of an environment variable
    task `b`: `array_parallelism` must be at least 1
    task `b`: `batch` must be at least 1
    ");
}

#[test]
fn names_are_unique_and_differ_in_more_than_case() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [plain("x", "int"), plain("x", "int")]},
        {"name": "a", "returns": "int"},
        {"name": "A", "returns": "int"},
    ])), @"
    task `a`: a task of that name is defined twice
    task `a`, parameter `x`: a parameter of that name is defined twice
    task `A`: the name differs from task `a` in case only, and names logs that some file systems cannot tell apart
    ");
}

#[test]
fn flags_of_reflow_are_reserved() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [
            plain("run_dir", "str"), plain("force", "bool"),
            {"name": "host", "type": "str", "kind": "plain", "short": "h"},
            {"name": "odd", "type": "str", "kind": "plain", "short": "ß"}]},
    ])), @r#"
    task `a`, parameter `run_dir`: `--run-dir` is a flag of reflow (rename the parameter, or set `namespace = "local"` to make it `--a-run-dir`)
    task `a`, parameter `force`: `--force` is a flag of reflow (rename the parameter, or set `namespace = "local"` to make it `--a-force`)
    task `a`, parameter `host`: `-h` is a flag of reflow
    task `a`, parameter `odd`: 'ß' cannot be a short flag: write one ASCII letter
    "#);
}

#[test]
fn a_local_parameter_may_have_a_reserved_name() {
    let graph = check(json!([{"name": "step_a", "returns": "int", "parameters": [
        {"name": "force", "type": "bool", "kind": "plain", "local": true}]}]))
    .expect("right");
    assert_eq!(graph.parameters().flags()[0].name, "step-a-force");
}

#[test]
fn short_flags_belong_to_one_parameter() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [
            {"name": "size", "type": "int", "kind": "plain", "short": "s"},
            {"name": "seed", "type": "int", "kind": "plain", "short": "s"}]},
        {"name": "b", "returns": "int", "parameters": [
            {"name": "size", "type": "int", "kind": "plain", "short": "S"}]},
    ])), @r#"
    task `a`, parameter `seed`: `-s` is the flag of parameter `size` too
    task `b`, parameter `size`: has short flag `-S`, but in task `a` the same flag `--size` has `-s` (make them alike, or set `namespace = "local"` to give each its own flag)
    "#);
}

#[test]
fn global_parameters_of_one_name_are_one_flag() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "int", "parameters": [plain("x", "int"),
            {"name": "y", "type": "int", "kind": "plain", "default": 1}]},
        {"name": "b", "returns": "int", "parameters": [plain("x", "str"),
            {"name": "y", "type": "int", "kind": "plain", "default": 2}]},
    ])), @r#"
    task `b`, parameter `x`: has type str, but in task `a` the same flag `--x` has int (make them alike, or set `namespace = "local"` to give each its own flag)
    task `b`, parameter `y`: has default 2, but in task `a` the same flag `--y` has 1 (make them alike, or set `namespace = "local"` to give each its own flag)
    "#);
    let graph = check(json!([
        {"name": "a", "returns": "int", "parameters": [plain("x_y", "int")]},
        {"name": "b", "returns": "int", "parameters": [
            {"name": "x_y", "type": "int", "kind": "plain", "short": "x", "help": "An x"}]},
    ]))
    .expect("right");
    let [flag] = graph.parameters().flags() else {
        panic!("one flag");
    };
    assert_eq!(
        (flag.name.as_str(), flag.short, flag.help.as_str()),
        ("x-y", Some('x'), "An x")
    );
    assert_eq!(flag.tasks.len(), 2);
}

#[test]
fn prefixed_flags_clash_with_nothing() {
    insta::assert_snapshot!(errors(json!([
        {"name": "step_a", "returns": "int", "parameters": [
            {"name": "chunk", "type": "int", "kind": "plain", "local": true}]},
        {"name": "step", "returns": "int", "parameters": [
            {"name": "a_chunk", "type": "int", "kind": "plain", "local": true}]},
        {"name": "other", "returns": "int", "parameters": [plain("step_a_chunk", "int")]},
    ])), @"
    task `step`, parameter `a_chunk`: `--step-a-chunk` is the flag of parameter `chunk` of task `step_a` too
    task `other`, parameter `step_a_chunk`: `--step-a-chunk` is the flag of parameter `chunk` of task `step_a` too
    ");
}

#[test]
fn defaults_and_literals() {
    insta::assert_snapshot!(errors(json!([
        {"name": "a", "returns": "literal[]", "parameters": [
            {"name": "x", "type": "int", "kind": "plain", "default": "1"},
            {"name": "y", "type": "list[literal[\"a\", \"a\"]]", "kind": "plain"},
            {"name": "z", "type": "int", "kind": "run_dir"}]},
    ])), @r#"
    task `a`: a literal needs at least one choice
    task `a`, parameter `x`: the default does not fit: expected int, got "1"
    task `a`, parameter `y`: the literal has the choice "a" twice
    task `a`, parameter `z`: takes the run directory, so its type must be path or str, not int
    "#);
}

#[test]
fn another_schema_is_refused() {
    let mut description: Description =
        serde_json::from_value(json!({"schema": 1, "name": "w", "tasks": []})).expect("valid");
    description.schema = 7;
    insta::assert_snapshot!(Graph::check(description).expect_err("schema"), @"
    workflow `w` has 1 error
      the description has schema 7, this program reads schema 1
    ");
}

#[test]
fn ten_thousand_tasks_are_checked_in_a_moment() {
    let tasks: Vec<Value> = (0..10_000)
        .map(|n| {
            let step = if n == 0 {
                json!([])
            } else {
                json!([result("x", "int", &format!("t{}", n - 1))])
            };
            json!({"name": format!("t{n}"), "returns": "int", "parameters": step})
        })
        .collect();
    let description = Description::from_json(json!({"schema": 1, "name": "w", "tasks": tasks}))
        .expect("a description");
    let start = std::time::Instant::now();
    let graph = Graph::check(description).expect("right");
    assert_eq!(graph.order().len(), 10_000);
    // Far above what it takes, far below what a quadratic check would take.
    assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
}

mod bind {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{check, plain};

    fn given(values: &Value) -> BTreeMap<String, Value> {
        let values = values.as_object().expect("an object").clone();
        values.into_iter().collect()
    }

    #[test]
    fn values_reach_every_task_that_takes_them() {
        let dir = tempfile::tempdir().expect("a directory");
        fs_err::write(dir.path().join("in.txt"), "").expect("written");
        let graph = check(json!([
            {"name": "a", "returns": "int", "parameters": [plain("text", "file"), plain("n", "optional[int]")]},
            {"name": "b", "returns": "int", "parameters": [plain("text", "file"),
                {"name": "size", "type": "int", "kind": "plain", "local": true, "default": 3},
                {"name": "outs", "type": "list[path]", "kind": "plain", "default": ["x/", "/y", "../z"]}]},
        ]))
        .expect("right");
        let bound = graph.bind(
            &given(&json!({"text": "./in.txt", "b.size": 4})),
            dir.path(),
        );
        let bound = bound.expect("bound");
        let base = dir.path().to_str().expect("UTF-8");
        let [a, b] = ["a", "b"].map(|name| graph.find(name).expect("a task"));
        let text = json!(format!("{base}/in.txt"));
        assert_eq!(bound.get(a, "text"), Some(&text));
        assert_eq!(bound.get(b, "text"), Some(&text));
        assert_eq!(bound.get(a, "n"), Some(&json!(null)));
        assert_eq!(bound.get(a, "size"), None);
        assert_eq!(bound.get(b, "size"), Some(&json!(4)));
        let outs = json!([format!("{base}/x/"), "/y", format!("{base}/../z")]);
        assert_eq!(bound.get(b, "outs"), Some(&outs));
        let text = serde_json::to_string(&bound).expect("JSON");
        assert_eq!(
            serde_json::from_str::<super::super::Bound>(&text).ok(),
            Some(bound)
        );
    }

    #[test]
    fn wrong_values_come_all_at_once() {
        let graph = check(json!([
            {"name": "a", "returns": "int", "parameters": [plain("text", "file"), plain("parts", "int"),
                plain("name_of", "str"), plain("dir", "file"), plain("both", "int")]},
        ]))
        .expect("right");
        let values = json!({
            "text": "/nonexistent/in.txt", "parts": "8", "nmae_of": "x", "dir": "/dev/null", "both": 1, "a.both": 2});
        let errors = graph
            .bind(&given(&values), std::path::Path::new("/base"))
            .expect_err("wrong");
        insta::assert_snapshot!(errors, @r#"
        parameter `both`: given twice
        parameter `nmae_of`: no task takes it (nearest parameter: `name-of`)
        parameter `text`: file `/nonexistent/in.txt` does not exist
        parameter `parts`: expected int, got "8"
        parameter `name-of`: missing: task `a` takes str (give --name-of)
        parameter `dir`: file `/dev/null` is neither a file nor a directory: it has no content
        "#);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_is_not_utf8_is_named() {
        use std::os::unix::ffi::OsStrExt;
        let graph = check(json!([
            {"name": "a", "returns": "int", "parameters": [plain("out", "path")]}]))
        .expect("right");
        let base = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/b\xff"));
        let errors = graph
            .bind(&given(&json!({"out": "x"})), base)
            .expect_err("not UTF-8");
        insta::assert_snapshot!(errors, @"parameter `out`: the path `/b�` is not UTF-8: rename it");
    }
}
