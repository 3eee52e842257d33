//! What a failure does to the rest of a run, and what a user sees of it.

use reflow_tests::{Case, Program};
use serde_json::{Value, json};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case(
        "a_failure_skips_what_needs_its_value_only",
        skips_what_needs_it,
    ),
    case("a_failure_is_shown_with_all_that_is_known", is_shown),
    case("a_value_of_the_wrong_type_fails_its_element", wrong_type),
    case("unequal_zips_name_both_lengths", unequal_zips),
    case("a_killed_body_is_a_failure_by_signal", killed_body),
];

const PARTLY: &str = r#"
    [workflow]
    name = "partly"
    [tasks.list]
    shell = "seq 4"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = """
    if [ {n} = 3 ]; then echo 'first line' >&2; echo "no number three, \\"really\\"" >&2; exit 7; fi
    echo $(( {n} * 10 ))
    """
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.next]
    array = true
    shell = "echo {n}"
    params.n = { type = "int", result = "work" }
    returns = "int"
    [tasks.total]
    shell = "echo {all}"
    params.all = { type = "list[int]", result = "next" }
    returns = "str"
    [tasks.aside]
    shell = "echo {n} | wc -w"
    params.n = { type = "list[int]", result = "list" }
    returns = "int"
"#;

fn failed(program: &Program, workflow: &str) -> Value {
    program.write("reflow.toml", workflow);
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(1);
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "failed");
    status
}

fn task<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .find(|task| task["name"] == name)
        .expect("the task")
}

fn skips_what_needs_it() {
    let program = Program::local();
    let status = failed(&program, PARTLY);
    assert_eq!(task(&status, "work")["elements"]["failed"], 1);
    assert_eq!(task(&status, "work")["elements"]["succeeded"], 3);
    assert_eq!(task(&status, "next")["elements"]["skipped"], 1);
    assert_eq!(task(&status, "next")["elements"]["succeeded"], 3);
    assert_eq!(task(&status, "total")["elements"]["skipped"], 1);
    assert_eq!(task(&status, "aside")["elements"]["succeeded"], 1);
    assert_eq!(
        program.json(&["result", "run", "next[3]"])["value"],
        json!(40)
    );
    program.run(&["wait", "run"]).expect(1);
    program
        .run(&["result", "run", "total"])
        .expect(2)
        .says(&["total", "skipped"]);
}

fn is_shown() {
    let program = Program::local();
    let status = failed(&program, PARTLY);
    let failure = &status["failures"][0];
    assert_eq!(failure["task"], "work");
    assert_eq!(failure["index"], 2);
    assert_eq!(failure["exit_status"], 7);
    assert_eq!(failure["state"], "failed");
    let stderr = failure["stderr"].as_str().expect("text");
    assert!(stderr.contains("no number three, \"really\""), "{stderr}");
    let log = failure["log"].as_str().expect("a path");
    assert!(std::path::Path::new(log).exists(), "{log} is there");
    let shown = program.run(&["status", "run"]).expect(0).stdout;
    for part in ["work[2]", "7", "no number three", log] {
        assert!(shown.contains(part), "status shows `{part}`:\n{shown}");
    }
    let logs = program.run(&["logs", "run", "work[2]"]).expect(0);
    assert!(logs.stdout.contains("first line"), "{}", logs.stdout);
}

fn wrong_type() {
    let program = Program::local();
    let status = failed(
        &program,
        r#"
        [workflow]
        name = "types"
        [tasks.number]
        shell = "echo seven"
        returns = "int"
        "#,
    );
    let message = status["failures"][0].to_string();
    assert!(
        message.contains("int") && message.contains("seven"),
        "{message}"
    );
}

fn unequal_zips() {
    let program = Program::local();
    let status = failed(
        &program,
        r#"
        [workflow]
        name = "zips"
        [tasks.two]
        shell = "seq 2"
        returns = "list[int]"
        output = "lines"
        [tasks.three]
        shell = "seq 3"
        returns = "list[int]"
        output = "lines"
        [tasks.pairs]
        array = true
        shell = "echo {a} {b}"
        params.a = { type = "int", result = "two" }
        params.b = { type = "int", result = "three" }
        "#,
    );
    let message = task(&status, "pairs").to_string() + &status["failures"].to_string();
    for part in ["2", "3", "`a`", "`b`"] {
        assert!(message.contains(part), "names {part}: {message}");
    }
}

fn killed_body() {
    let program = Program::local();
    let status = failed(
        &program,
        r#"
        [workflow]
        name = "killed"
        [tasks.victim]
        shell = "kill -KILL $$"
        "#,
    );
    let failure = &status["failures"][0];
    assert_eq!(failure["signal"], 9, "{failure}");
}
