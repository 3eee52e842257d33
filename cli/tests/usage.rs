//! What the program says to requests that are wrong, and to those for help.

mod support;

use insta::assert_snapshot;
use support::{Sandbox, WORDCOUNT};

#[test]
fn help_shows_the_parameters_under_their_tasks() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount", "-h"]).shown(), @"");
}

#[test]
fn help_without_a_workflow_shows_what_is_always_there() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["run", "--help"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("--run-dir <DIR>"));
    assert_snapshot!(outcome.stderr, @"");
}

#[test]
fn a_misspelt_parameter_names_the_nearest() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--txet", "a"]);
    assert_snapshot!(outcome.shown(), @"");
}

#[test]
fn a_misspelt_command_names_the_nearest() {
    assert_snapshot!(Sandbox::new().run(&["stauts", "x"]).shown(), @"");
}

#[test]
fn missing_and_wrong_parameters_are_named_together() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--parts", "many"]);
    assert_snapshot!(outcome.shown(), @"");
    let outcome = sandbox.run(&["submit", "-w", "wordcount"]);
    assert_snapshot!(outcome.shown(), @"");
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--text", "missing.txt"]);
    assert_snapshot!(outcome.shown(), @"");
}

#[test]
fn a_workflow_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["submit"]).shown(), @"");
    assert_snapshot!(sandbox.run(&["submit", "-w", "nowhere"]).shown(), @"");
    sandbox.write("empty/other.txt", "");
    assert_snapshot!(sandbox.run(&["dag", "-w", "empty"]).shown(), @"");
}

#[test]
fn a_workflow_that_is_wrong_is_refused_with_all_its_faults() {
    let sandbox = Sandbox::with_workflow(
        r#"
[workflow]
name = "wordcount"
[tasks.split]
comand = ["true"]
[tasks.count]
shell = "true"
aray = true
"#,
    );
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @"");
    sandbox.write("wordcount/reflow.toml", "[workflow\nname = 1");
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @"");
    sandbox.write(
        "wordcount/reflow.toml",
        r#"
[workflow]
name = "wordcount"
[tasks.split]
shell = "true"
returns = "list[str]"
[tasks.count]
shell = "true {part}"
params.part = { type = "str", result = "splitt" }
"#,
    );
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @"");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["--json", "status", "nothing"]);
    assert_snapshot!(outcome.shown(), @"");
}

#[test]
fn a_run_that_is_not_known_is_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["status", "nothing"]).shown(), @"");
    assert_snapshot!(sandbox.run(&["status", "./nothing"]).shown(), @"");
}

#[test]
fn elements_are_written_with_an_index_in_brackets() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["result", "x", "count[a]"]).shown(), @"");
}

#[test]
fn a_graph_is_drawn_in_three_languages() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let dag = |format: &str| {
        sandbox
            .run(&["dag", "-w", "wordcount", "--format", format])
            .stdout
    };
    assert_snapshot!(dag("text"), @"");
    assert_snapshot!(dag("mermaid"), @"");
    assert_snapshot!(dag("dot"), @"");
    let json = sandbox.run(&["dag", "-w", "wordcount", "--json"]).json();
    assert_snapshot!(json["wires"], @"");
}

#[test]
fn a_description_is_a_document_that_can_be_checked_again() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let document = sandbox.run(&["describe", "-w", "wordcount"]).json();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["tasks"][1]["name"], "count");
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.reflow();
    let path = assert_cmd::cargo::cargo_bin!("reflow")
        .display()
        .to_string();
    drop(command.args(["--help"]));
    let mut shell = assert_cmd::Command::new("bash");
    let script = format!("set -o pipefail; {path} --help | true; echo ${{PIPESTATUS[0]}}");
    shell.args(["-c", &script]);
    assert_eq!(sandbox.outcome(&mut shell).stdout, "0\n");
}
