//! Values as they travel from task to task, in every wiring mode.

use reflow_tests::{Case, Program};
use serde_json::json;

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("every_wiring_mode_delivers_its_value", every_wiring_mode),
    case("an_empty_fan_out_gathers_an_empty_list", empty_fan_out),
    case("values_keep_every_character", values_keep_every_character),
    case("large_values_travel_whole", large_values),
    case("flows_run_under_their_prefix", flows),
    case("parameters_come_from_flags_and_defaults", parameters),
    case("after_orders_without_data", after),
];

/// Runs a workflow to its end, with success expected.
fn run(program: &Program, workflow: &str, flags: &[&str]) {
    program.write("reflow.toml", workflow);
    let mut arguments = vec!["run", "-w", "reflow.toml", "--run-dir", "run"];
    arguments.extend(flags);
    program.run(&arguments).expect(0);
}

/// Returns the value of a result.
fn value(program: &Program, what: &str) -> serde_json::Value {
    program.json(&["result", "run", what])["value"].clone()
}

fn every_wiring_mode() {
    let program = Program::local();
    run(
        &program,
        r#"
        [workflow]
        name = "modes"

        [tasks.base]
        shell = "echo 10"
        returns = "int"

        [tasks.direct]
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "base" }
        returns = "int"

        [tasks.list]
        shell = "seq 3"
        returns = "list[int]"
        output = "lines"

        [tasks.fan_out]
        array = true
        shell = "echo $(( {n} * 2 ))"
        params.n = { type = "int", result = "list" }
        returns = "int"

        [tasks.chain]
        array = true
        shell = "echo $(( {n} + 100 ))"
        params.n = { type = "int", result = "fan_out" }
        returns = "int"

        [tasks.lists]
        array = true
        shell = "echo '['{n}','{n}']'"
        params.n = { type = "int", result = "list" }
        returns = "list[int]"
        output = "json"

        [tasks.again]
        array = true
        shell = "echo {n}"
        params.n = { type = "int", result = "lists" }
        returns = "int"

        [tasks.broadcast]
        array = true
        shell = "echo {n}:{one}: {all}"
        params.n = { type = "int", result = "list" }
        params.all = { type = "list[int]", result = "fan_out", broadcast = true }
        params.one = { type = "int", result = "base", broadcast = true }
        returns = "str"

        [tasks.zipped]
        array = true
        shell = "echo $(( {a} * {b} ))"
        params.a = { type = "int", result = "list" }
        params.b = { type = "int", result = "chain" }
        returns = "int"

        [tasks.gather]
        command = ["cat", "{n:file}"]
        params.n = { type = "list[int]", result = "chain" }
        returns = "list[int]"
        output = "lines"

        [tasks.flattened]
        command = ["cat", "{n:file}"]
        params.n = { type = "list[int]", result = "lists" }
        returns = "list[int]"
        output = "lines"

        [tasks.nested]
        command = ["cat", "{n:file}"]
        params.n = { type = "list[list[int]]", result = "lists" }
        returns = "list[list[int]]"
        output = "json"

        [tasks.steps]
        command = ["echo", "{n}"]
        params.n = { type = "list[int]", results = ["chain", "base", "list"] }
        returns = "str"
        "#,
        &[],
    );
    for (what, expected) in [
        ("direct", json!(11)),
        ("fan_out[2]", json!(6)),
        ("chain[0]", json!(102)),
        ("again[3]", json!(2)),
        ("broadcast[1]", json!("2:10: 2 4 6")),
        ("zipped[2]", json!(3 * 106)),
        ("gather", json!([102, 104, 106])),
        ("flattened", json!([1, 1, 2, 2, 3, 3])),
        ("nested", json!([[1, 1], [2, 2], [3, 3]])),
        ("steps", json!("102 104 106 10 1 2 3")),
    ] {
        assert_eq!(value(&program, what), expected, "{what}");
    }
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "succeeded");
    let again = status["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .find(|task| task["name"] == "again")
        .expect("the task");
    assert_eq!(again["width"], 6);
    assert_eq!(again["elements"]["succeeded"], 6);
}

fn empty_fan_out() {
    let program = Program::local();
    run(
        &program,
        r#"
        [workflow]
        name = "empty"
        [tasks.none]
        command = ["true"]
        returns = "list[file]"
        output = { glob = "{run_dir}/nothing-*" }
        [tasks.each]
        array = true
        shell = "wc -c < {file}"
        params.file = { type = "file", result = "none" }
        returns = "int"
        [tasks.after_each]
        array = true
        shell = "echo {n}"
        params.n = { type = "int", result = "each" }
        returns = "int"
        [tasks.total]
        command = ["printf", "%s", "{sizes}", "."]
        params.sizes = { type = "list[int]", result = "after_each" }
        returns = "str"
        "#,
        &[],
    );
    assert_eq!(value(&program, "total"), json!("."));
    assert_eq!(value(&program, "none"), json!([]));
    let status = program.json(&["status", "run"]);
    assert_eq!(status["tasks"][1]["width"], 0);
    assert_eq!(status["tasks"][2]["width"], 0);
}

fn values_keep_every_character() {
    let program = Program::local();
    let hostile = "a b\t'q' \"d\" $HOME `id` \\ ; & | * {x} ~ Grüße 世界";
    run(
        &program,
        r#"
        [workflow]
        name = "characters"
        [tasks.first]
        command = ["printf", "%s", "{text}"]
        params.text = { type = "str" }
        returns = "str"
        [tasks.second]
        shell = "printf %s {text}"
        params.text = { type = "str", result = "first" }
        returns = "str"
        [tasks.third]
        shell = "cat {text:file}"
        params.text = { type = "str", result = "second" }
        returns = "str"
        "#,
        &["--text", hostile],
    );
    for task in ["first", "second", "third"] {
        assert_eq!(value(&program, task), json!(hostile), "{task}");
    }
}

fn large_values() {
    let program = Program::local();
    run(
        &program,
        r#"
        [workflow]
        name = "large"
        [tasks.numbers]
        shell = "seq 20000"
        returns = "list[int]"
        output = "lines"
        [tasks.big]
        shell = "head -c 300000 /dev/zero | tr '\\0' x"
        returns = "str"
        [tasks.sum]
        shell = "paste -sd+ {numbers:file} | bc 2>/dev/null || awk '{ n += $1 } END { print n }' {numbers:file}"
        params.numbers = { type = "list[int]", result = "numbers" }
        returns = "int"
        [tasks.length]
        shell = "tr -d '\\n' < {big:file} | wc -c"
        params.big = { type = "str", result = "big" }
        returns = "int"
        "#,
        &[],
    );
    assert_eq!(value(&program, "sum"), json!(20000 * 20001 / 2));
    assert_eq!(value(&program, "length"), json!(300_000));
}

fn flows() {
    let program = Program::local();
    program.write(
        "flows/qc.toml",
        r#"
        [workflow]
        name = "qc"
        [tasks.samples]
        shell = "printf '%s\n' s1 s2"
        returns = "list[str]"
        output = "lines"
        [tasks.check]
        array = true
        shell = "echo ok {sample}"
        params.sample = { type = "str", result = "samples" }
        returns = "str"
        "#,
    );
    run(
        &program,
        r#"
        include = [
          { file = "flows/qc.toml", prefix = "raw" },
          { file = "flows/qc.toml", prefix = "clean" },
        ]
        [workflow]
        name = "pipeline"
        [tasks.summary]
        shell = "echo {checks} | wc -w"
        params.checks = { type = "list[str]", results = ["raw_check", "clean_check"] }
        returns = "int"
        "#,
        &[],
    );
    // Four times "ok sN".
    assert_eq!(value(&program, "summary"), json!(8));
    assert_eq!(value(&program, "clean_check[1]"), json!("ok s2"));
}

fn parameters() {
    let program = Program::local();
    run(
        &program,
        r#"
        [workflow]
        name = "parameters"
        [tasks.one]
        command = ["echo", "{chunk}", "{device}", "{limit}", "{note}."]
        params.chunk = { type = "int", default = 256, namespace = "local" }
        params.device = { type = 'literal["cpu", "gpu"]', default = "cpu", short = "d" }
        params.limit = { type = "float", default = 1 }
        params.note = { type = "str", default = "" }
        returns = "str"
        [tasks.two]
        command = ["echo", "{chunk}", "{device}"]
        params.chunk = { type = "int", default = 512, namespace = "local" }
        params.device = { type = 'literal["cpu", "gpu"]', default = "cpu", short = "d" }
        returns = "str"
        "#,
        &["--two-chunk", "7", "-d", "gpu", "--note=-x"],
    );
    let one = value(&program, "one");
    assert!(
        one == json!("256 gpu 1 -x.") || one == json!("256 gpu 1.0 -x."),
        "{one}"
    );
    assert_eq!(value(&program, "two"), json!("7 gpu"));
}

fn after() {
    let program = Program::local();
    run(
        &program,
        r#"
        [workflow]
        name = "order"
        [tasks.later]
        shell = "cat {run_dir}/made"
        after = ["make"]
        returns = "str"
        [tasks.make]
        shell = "sleep 0.5; echo there > made"
        "#,
        &[],
    );
    assert_eq!(value(&program, "later"), json!("there"));
}
