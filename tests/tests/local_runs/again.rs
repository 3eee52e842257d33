//! What failed is run again, and parts of a run are cancelled.

use serde_json::{Value, json};

use reflow_tests::{Case, Program, wait_for};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("retry_runs_exactly_what_failed_again", exactly_what_failed),
    case("retry_of_named_elements_leaves_the_others", named_elements),
    case(
        "retry_where_nothing_is_to_do_changes_nothing",
        nothing_to_do,
    ),
    case("retry_runs_the_code_of_the_submit", code_of_the_submit),
    case("retry_with_update_runs_the_new_code", new_code),
    case("retry_goes_on_with_a_cancelled_run", after_cancel),
    case("a_task_with_retries_tries_again_by_itself", by_itself),
    case("every_attempt_is_shown_with_its_output", attempts),
    case("wrong_retries_are_refused", wrong_retries),
    case("cancel_of_elements_leaves_the_others", cancel_elements),
    case("cancel_takes_several_runs", several_runs),
    case("wrong_cancels_are_refused", wrong_cancels),
];

/// Two of five elements fail until the file `fixed` is in the run directory. Each body says that it has
/// started.
const FLAKY: &str = r#"
    [workflow]
    name = "flaky"
    [tasks.list]
    shell = "echo list >> started; seq 5"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "echo work-{n} >> started; case {n} in 2|4) [ -e fixed ];; esac; echo $(( {n} * 10 ))"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.sum]
    shell = "echo sum >> started; printf '%s\n' {all} | awk '{ n += $1 } END { print n }'"
    params.all = { type = "list[int]", result = "work" }
    returns = "int"
"#;

/// Submits the workflow, and waits for its end.
fn failed(program: &Program) {
    program.write("reflow.toml", FLAKY);
    program
        .run(&["run", "-q", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(1);
}

/// Returns how often each body has started.
fn started(program: &Program) -> Vec<String> {
    let text = fs_err::read_to_string(program.home().join("run/started")).expect("bodies ran");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn counts(program: &Program, task: usize) -> Value {
    let mut counts = program.json(&["status", "run"])["tasks"][task]["elements"].clone();
    let table = counts.as_object_mut().expect("a table");
    table.retain(|_, number| *number != 0);
    counts
}

fn exactly_what_failed() {
    let program = Program::local();
    failed(&program);
    assert_eq!(counts(&program, 1), json!({"succeeded": 3, "failed": 2}));
    assert_eq!(counts(&program, 2), json!({"skipped": 1}));
    program.write("run/fixed", "");
    let retried = program.json(&["retry", "run"]);
    assert_eq!(
        retried["elements"],
        json!([
            {"task": "work", "elements": 2, "indices": "1,3"},
            {"task": "sum", "elements": 1},
        ]),
        "{retried}"
    );
    assert_eq!(retried["schema"], 1);
    assert_eq!(retried["state"], "running", "{retried}");
    assert!(
        retried["run_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("flaky-"))
    );
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 150);
    assert_eq!(counts(&program, 1), json!({"succeeded": 5}));
    assert_eq!(
        started(&program),
        [
            "list", "sum", "work-1", "work-2", "work-2", "work-3", "work-4", "work-4", "work-5"
        ]
    );
    let log = program.json(&["logs", "run", "work[1]"]);
    assert_eq!(log["logs"][0]["attempt"], 2, "{log}");
}

fn named_elements() {
    let program = Program::local();
    failed(&program);
    program.write("run/fixed", "");
    let said = program
        .run(&["retry", "run", "work[0-1]", "work[0]"])
        .expect(0);
    assert!(
        said.stdout.contains("work[1] (1 element)"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("reflow wait "), "{}", said.stdout);
    // The other one still has no value: what gathers all stays skipped.
    program.run(&["wait", "run"]).expect(1);
    assert_eq!(counts(&program, 1), json!({"succeeded": 4, "failed": 1}));
    assert_eq!(counts(&program, 2), json!({"skipped": 1}));
    // What an element that was skipped needs is run with it.
    let retried = program.json(&["retry", "run", "sum"]);
    assert_eq!(retried["elements"][0]["indices"], "3", "{retried}");
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 150);
}

fn nothing_to_do() {
    let program = Program::local();
    program.write("run/fixed", "");
    program.write("reflow.toml", FLAKY);
    program
        .run(&["run", "-q", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    let before = files(&program);
    for arguments in [
        &["retry", "run"][..],
        &["retry", "run", "work[1]", "sum"],
        &["retry", "run", "--update"],
    ] {
        let said = program.run(arguments).expect(0);
        assert!(
            said.stdout.starts_with("nothing to do: "),
            "{}",
            said.stdout
        );
    }
    let document = program.json(&["retry", "run"]);
    assert_eq!(document["elements"], json!([]));
    assert_eq!(document["state"], "succeeded");
    assert_eq!(files(&program), before);
}

/// Returns what reflow keeps of the run: every file with its content.
fn files(program: &Program) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![program.home().join("run/.reflow")];
    while let Some(directory) = left.pop() {
        for entry in fs_err::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push((path.clone(), fs_err::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

fn code_of_the_submit() {
    let program = Program::local();
    failed(&program);
    program.write("reflow.toml", &FLAKY.replace("[ -e fixed ]", "true"));
    program.run(&["retry", "run"]).expect(0);
    program.run(&["wait", "run"]).expect(1);
    assert_eq!(counts(&program, 1), json!({"succeeded": 3, "failed": 2}));
}

fn new_code() {
    let program = Program::local();
    failed(&program);
    let other = FLAKY.replace("name = \"flaky\"", "name = \"other\"");
    program.write("other.toml", &other);
    program
        .run(&["retry", "run", "--update", "-w", "other.toml"])
        .expect(2)
        .says(&["flaky", "other"]);
    let wires = FLAKY.replace("returns = \"int\"", "returns = \"json\"");
    program.write("wires.toml", &wires);
    program
        .run(&["retry", "run", "--update", "-w", "wires.toml"])
        .expect(2)
        .says(&["`work`"]);
    program
        .run(&["retry", "run", "--update", "-w", "nothing.toml"])
        .expect(2)
        .says(&["nothing.toml"]);
    program.write("reflow.toml", &FLAKY.replace("[ -e fixed ]", "true"));
    program.run(&["retry", "run", "--update"]).expect(0);
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 150);
}

/// A run of three elements that wait for the file `go`.
const GATED: &str = r#"
    [workflow]
    name = "gated"
    [tasks.list]
    shell = "seq 3"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "touch here-{n}; for i in $(seq 600); do [ ! -e go ] || break; sleep 0.1; done; echo {n}"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.sum]
    shell = "printf '%s\n' {all} | awk '{ n += $1 } END { print n }'"
    params.all = { type = "list[int]", result = "work" }
    returns = "int"
"#;

fn gated(program: &Program, run_dir: &str) {
    program.write("reflow.toml", GATED);
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", run_dir])
        .expect(0);
    wait_for("an element to start", || {
        program.home().join(run_dir).join("here-1").exists()
    });
}

fn after_cancel() {
    let program = Program::local();
    gated(&program, "run");
    program.run(&["cancel", "run"]).expect(0);
    assert_eq!(program.json(&["status", "run"])["state"], "cancelled");
    program.write("run/go", "");
    program.run(&["retry", "run"]).expect(0);
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 6);
}

fn by_itself() {
    let program = Program::local();
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "stubborn"
        [tasks.one]
        shell = "echo x >> tries; echo try $(wc -l < tries); [ $(wc -l < tries) = 3 ]"
        retries = 2
        [tasks.two]
        shell = "echo x >> others; false"
        retries = 1
        "#,
    );
    program
        .run(&["run", "-q", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(1);
    let lines = |name: &str| {
        let path = program.home().join("run").join(name);
        fs_err::read_to_string(path)
            .expect("bodies ran")
            .lines()
            .count()
    };
    assert_eq!((lines("tries"), lines("others")), (3, 2));
    let status = program.json(&["status", "run"]);
    assert_eq!(status["failures"][0]["task"], "two", "{status}");
    assert_eq!(status["failures"][0]["attempt"], 2, "{status}");
    assert_eq!(status["failures"].as_array().map(Vec::len), Some(1));
}

fn attempts() {
    let program = Program::local();
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "tries"
        [tasks.list]
        shell = "seq 2"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        shell = """
        [ {n} = 1 ] || echo x >> tries
        echo out $(wc -l < tries)
        echo err $(wc -l < tries) >&2
        [ {n} = 1 ] || exit $(( 10 - $(wc -l < tries) ))
        """
        params.n = { type = "int", result = "list" }
        retries = 2
        "#,
    );
    program.write("run/tries", "");
    program
        .run(&["run", "-q", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(1);
    let shown = program
        .run(&["status", "run", "--task", "work[1]"])
        .expect(0);
    for part in [
        "work[1] failed: exit status 7",
        "attempt 3 of 3",
        "attempt 2 failed: exit status 8",
        "attempt 1 failed: exit status 9",
        "'work[1]' --attempt 1",
    ] {
        assert!(
            shown.stdout.contains(part),
            "no `{part}` in {}",
            shown.stdout
        );
    }
    let document = program.json(&["status", "run", "--task", "work"]);
    let elements = document["elements"].as_array().expect("a list");
    assert_eq!(elements.len(), 2, "{document}");
    assert_eq!(elements[0]["state"], "succeeded", "{document}");
    assert_eq!(elements[0]["past"], Value::Null, "{document}");
    let past = elements[1]["past"].as_array().expect("a list");
    let ends: Vec<_> = past
        .iter()
        .map(|it| (&it["attempt"], &it["exit_status"]))
        .collect();
    assert_eq!(
        ends,
        [(&json!(1), &json!(9)), (&json!(2), &json!(8))],
        "{document}"
    );
    assert!(
        past.iter()
            .all(|it| it["job"].is_string() && it["node"].is_string()),
        "{document}"
    );
    for (arguments, attempt) in [
        (&[][..], 3),
        (&["--attempt", "3"], 3),
        (&["--attempt", "1"], 1),
    ] {
        let all = [&["logs", "run", "work[1]"], arguments].concat();
        let log = &program.json(&all)["logs"][0];
        assert_eq!(log["stdout"], format!("out {attempt}\n"), "{log}");
        assert_eq!(log["stderr"], format!("err {attempt}\n"), "{log}");
        assert_eq!(log["attempt"], attempt, "{log}");
    }
    // Of all elements, those that were tried as often.
    let logs = program.json(&["logs", "run", "--attempt", "2"]);
    assert_eq!(logs["logs"].as_array().map(Vec::len), Some(1), "{logs}");
    program
        .run(&["logs", "run", "work[1]", "--attempt", "4"])
        .expect(2)
        .says(&["has had 3 attempts"]);
    program.run(&["logs", "run", "--attempt", "0"]).expect(2);
    program
        .run(&["status", "run", "--task", "work[2]"])
        .expect(2)
        .says(&["`work` has 2 elements"]);
    program
        .run(&["status", "run", "--task", "wrok"])
        .expect(2)
        .says(&["did you mean `work`?"]);
}

fn wrong_retries() {
    let program = Program::local();
    failed(&program);
    for (arguments, parts) in [
        (&["wrok"][..], &["no task `wrok`", "`work`"][..]),
        (&["work[5]"], &["`work` has 5 elements", "5"]),
        (&["work[2-7]"], &["`work` has 5 elements", "7"]),
        (&["sum[0]"], &["`sum` is no array task"]),
        (&["wrok", "work[9]"], &["wrok", "`work` has 5 elements"]),
        (&["work[3-1]"], &["ends before it begins"]),
        (&["work[]"], &["is no index"]),
        (&["work["], &["write a task or elements of it"]),
        (&["-w", "reflow.toml"], &["`--update`"]),
    ] {
        let all = [&["retry", "run"], arguments].concat();
        program.run(&all).expect(2).says(parts);
    }
    program.run(&["retry", "nothing"]).expect(2);
    program.run(&["retry"]).expect(2);
    assert_eq!(program.json(&["status", "run"])["state"], "failed");
    assert_eq!(started(&program).len(), 6);
}

fn cancel_elements() {
    let program = Program::local();
    gated(&program, "run");
    let said = program
        .run(&["cancel", "run", "--task", "work[0,2]"])
        .expect(0);
    assert!(
        said.stdout.contains("work[0,2] cancelled"),
        "{}",
        said.stdout
    );
    program.write("run/go", "");
    program.run(&["wait", "run"]).expect(1);
    assert_eq!(counts(&program, 1), json!({"succeeded": 1, "cancelled": 2}));
    assert_eq!(counts(&program, 2), json!({"skipped": 1}));
    let again = program.json(&["cancel", "run", "--task", "work[0]"]);
    assert_eq!(again["was_over"], true, "{again}");
    program.run(&["retry", "run", "work"]).expect(0);
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(program.json(&["result", "run", "sum"])["value"], 6);
}

fn several_runs() {
    let program = Program::local();
    gated(&program, "a");
    // It may find no free core as long as the other runs.
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", "b"])
        .expect(0);
    let outcome = program.run(&["cancel", "a", "nothing", "b"]).expect(2);
    assert_eq!(
        outcome.stdout.matches("cancelled").count(),
        2,
        "{}",
        outcome.stdout
    );
    outcome.says(&["there is no run `nothing`"]);
    for run in ["a", "b"] {
        assert_eq!(program.json(&["status", run])["state"], "cancelled");
    }
    let outcome = program
        .run(&["--json", "cancel", "a", "nothing", "b"])
        .expect(2);
    let document = outcome.json();
    assert_eq!(document["schema"], 1);
    let runs = document["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 3, "{document}");
    for run in [&runs[0], &runs[2]] {
        assert_eq!(run["state"], "cancelled", "{document}");
        assert_eq!(run["was_over"], true, "{document}");
    }
    assert_eq!(runs[1]["run"], "nothing");
    assert_eq!(runs[1]["error"]["exit_code"], 2, "{document}");
}

fn wrong_cancels() {
    let program = Program::local();
    gated(&program, "run");
    for (arguments, parts) in [
        (&["--task", "wrok"][..], &["no task `wrok`", "`work`"][..]),
        (&["--task", "work[3]"], &["`work` has 3 elements"]),
        (&["--task", "sum[0]"], &["`sum` is no array task"]),
        (&["--task", "work[x]"], &["`x` is no index"]),
    ] {
        let all = [&["cancel", "run"], arguments].concat();
        program.run(&all).expect(2).says(parts);
    }
    program.run(&["cancel"]).expect(2);
    assert_eq!(program.json(&["status", "run"])["state"], "running");
    program.run(&["cancel", "run"]).expect(0);
}
