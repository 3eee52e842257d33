//! What the program says to requests that are wrong, and to those for help.

use crate::support::{Sandbox, WORDCOUNT};
use insta::assert_snapshot;

#[test]
fn help_shows_the_parameters_under_their_tasks() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount", "-h"]).shown(), @r"
    exit 0
    --- stdout
    Submit a workflow and return at once

    Usage: reflow submit [OPTIONS]

    Options:
      -w, --workflow <FILE|DIR>   The workflow: a file, or a directory with a `reflow.toml`. Without it,
                                  the nearest `reflow.toml` from here upwards
          --run-dir <DIR>         The directory of the run: made where missing, and refused where it
                                  holds a run already. Without it, `runs/RUN_ID` below the current
                                  directory
          --dispatch <MODE>       Who plans again while the run runs: `job`, `worker` or `login`
          --env <POLICY>          Which of your variables the jobs have: `submit`, `clean`, or names
                                  separated by commas
          --force                 Run everything, whatever earlier runs remember. The new results
                                  replace what is remembered
          --force-tasks <TASK,…>  Run these tasks, whatever earlier runs remember of them
          --verify                Compare the content of files with what it was before a remembered
                                  result is used, and ask the task's own check
          --no-verify             Use remembered results without a look at whether their files still
                                  exist
          --dry-run               Show what would be submitted, and submit nothing: the commands and
                                  scripts, and what is left for later. Writes nothing
      -h, --help                  Print help (see more with '--help')

    Task split:
      -t, --text <FILE>  Text to count [required]
          --parts <INT>  Number of parts [default: 8]

    Global options:
          --backend <NAME>  Run on this backend instead of the configured one
          --config <FILE>   Read this configuration file in place of the system's and the user's
          --store <DIR>     Keep the list of runs and what is remembered of them in this directory
          --json            Print one JSON document instead of text, errors included
    ");
}

#[test]
fn help_without_a_workflow_shows_what_is_always_there() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["run", "--help"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("--run-dir <DIR>"));
    assert_snapshot!(outcome.stderr, @r"
    note: the parameters of the workflow cannot be shown: there is no workflow: no `reflow.toml` in `[DIR]` or above it
    hint: name the workflow with `-w FILE|DIR`
    ");
}

#[test]
fn a_misspelt_parameter_names_the_nearest() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--txet", "a"]);
    assert_snapshot!(outcome.shown(), @r"
    exit 2
    --- stderr
    error: unexpected argument '--txet' found
    hint: a similar argument exists: '--text'
    hint: `reflow submit --help` shows what it takes
    ");
}

#[test]
fn a_misspelt_command_names_the_nearest() {
    assert_snapshot!(Sandbox::new().run(&["stauts", "x"]).shown(), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'stauts'
    hint: a similar subcommand exists: 'status'
    hint: `reflow --help` lists the commands
    ");
}

#[test]
fn missing_and_wrong_parameters_are_named_together() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--parts", "many"]);
    assert_snapshot!(outcome.shown(), @r#"
    exit 2
    --- stderr
    error: the parameters do not fit the workflow
      - parameter `parts`: expected int, got "many"
      - parameter `text`: missing: task `split` takes file (give --text)
    "#);
    let outcome = sandbox.run(&["submit", "-w", "wordcount"]);
    assert_snapshot!(outcome.shown(), @r"
    exit 2
    --- stderr
    error: the parameters do not fit the workflow
      - parameter `text`: missing: task `split` takes file (give --text)
    ");
    let outcome = sandbox.run(&["submit", "-w", "wordcount", "--text", "missing.txt"]);
    assert_snapshot!(outcome.shown(), @r"
    exit 2
    --- stderr
    error: the parameters do not fit the workflow
      - parameter `text`: file `[DIR]/missing.txt` does not exist
    ");
}

#[test]
fn a_workflow_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["submit"]).shown(), @r"
    exit 2
    --- stderr
    error: there is no workflow: no `reflow.toml` in `[DIR]` or above it
    hint: name the workflow with `-w FILE|DIR`
    ");
    assert_snapshot!(sandbox.run(&["submit", "-w", "nowhere"]).shown(), @r"
    exit 2
    --- stderr
    error: the workflow `nowhere` does not exist
    ");
    sandbox.write("empty/other.txt", "");
    assert_snapshot!(sandbox.run(&["dag", "-w", "empty"]).shown(), @r"
    exit 2
    --- stderr
    error: there is no `reflow.toml` in `empty`
    ");
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
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @r"
    exit 2
    --- stderr
    error: the workflow cannot be read
      - [DIR]/wordcount/reflow.toml:4:1: tasks.split: a task needs a `command` or a `shell`
      - [DIR]/wordcount/reflow.toml:5:1: tasks.split: unknown key `comand` (nearest key: `command`)
      - [DIR]/wordcount/reflow.toml:8:1: tasks.count: unknown key `aray` (nearest key: `array`)
    ");
    sandbox.write("wordcount/reflow.toml", "[workflow\nname = 1");
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @r"
    exit 2
    --- stderr
    error: the workflow cannot be read
      - [DIR]/wordcount/reflow.toml:1:10: not valid TOML: unclosed table, expected `]`
          [workflow
                   ^
    ");
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
    assert_snapshot!(sandbox.run(&["submit", "-w", "wordcount"]).shown(), @r"
    exit 2
    --- stderr
    error: the workflow `wordcount` is wrong
      - task `count`, parameter `part`: there is no task `splitt` (nearest task: `split`)
    ");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["--json", "status", "nothing"]);
    assert_snapshot!(outcome.shown(), @r#"
    exit 2
    --- stdout
    {
      "schema": 1,
      "error": {
        "kind": "request",
        "message": "there is no run `nothing`",
        "details": [],
        "causes": [],
        "hints": [
          "`reflow runs` lists the runs; a run can also be named by its directory"
        ],
        "exit_code": 2
      }
    }
    "#);
}

#[test]
fn a_run_that_is_not_known_is_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["status", "nothing"]).shown(), @r"
    exit 2
    --- stderr
    error: there is no run `nothing`
    hint: `reflow runs` lists the runs; a run can also be named by its directory
    ");
    assert_snapshot!(sandbox.run(&["status", "./nothing"]).shown(), @r"
    exit 2
    --- stderr
    error: `[DIR]/nothing` holds no run: there is no `.reflow/run.json` in it
    ");
}

#[test]
fn elements_are_written_with_an_index_in_brackets() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["result", "x", "count[a]"]).shown(), @r"
    exit 2
    --- stderr
    error: invalid value 'count[a]' for '<TASK[INDEX]>': write a task or one of its elements: `total`, `count[3]`
    hint: `reflow result --help` shows what it takes
    ");
}

#[test]
fn a_graph_is_drawn_in_three_languages() {
    let sandbox = Sandbox::with_workflow(WORDCOUNT);
    let dag = |format: &str| {
        sandbox
            .run(&["dag", "-w", "wordcount", "--format", format])
            .stdout
    };
    assert_snapshot!(dag("text"), @r"
    ●  split
    │
    ●  count[]  part ← split (fan-out)
    │
    ●  total    counts ← count (gather)
    ");
    assert_snapshot!(dag("mermaid"), @r#"
    flowchart TD
      t_split["split"]
      t_count[["count"]]
      t_total["total"]
      t_split -- "part: fan-out" --> t_count
      t_count -- "counts: gather" --> t_total
    "#);
    assert_snapshot!(dag("dot"), @r#"
    digraph "wordcount" {
      node [shape=box];
      "split";
      "count" [peripheries=2];
      "total";
      "split" -> "count" [label="part: fan-out"];
      "count" -> "total" [label="counts: gather"];
    }
    "#);
    let json = sandbox.run(&["dag", "-w", "wordcount", "--json"]).json();
    assert_snapshot!(json["wires"], @r#"[{"from":"split","to":"count","parameter":"part","mode":"fan-out"},{"from":"count","to":"total","parameter":"counts","mode":"gather"}]"#);
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
    let path = assert_cmd::cargo::cargo_bin!("reflow")
        .display()
        .to_string();
    let mut shell = assert_cmd::Command::new("bash");
    let script = format!("set -o pipefail; {path} --help | true; echo ${{PIPESTATUS[0]}}");
    shell.args(["-c", &script]);
    assert_eq!(sandbox.outcome(&mut shell).stdout, "0\n");
}
