//! What the user chooses: what is remembered, what is run all the same, and what is trusted.

use reflow_tests::{Case, Program};
use serde_json::json;

use crate::case;
use crate::identity::SQUARES;
use crate::series::{Series, text};

pub(crate) const CASES: &[Case] = &[
    case("what_is_not_cached_runs_each_time", not_cached),
    case("force_runs_everything", force),
    case("force_of_tasks_runs_these", force_tasks),
    case(
        "force_of_a_task_that_is_not_there_is_refused",
        force_misspelt,
    ),
    case("what_was_forced_is_taken_from_then_on", after_force),
    case("force_holds_for_what_is_planned_later", force_later),
    case("retry_keeps_the_choice_of_the_run", force_retry),
    case("choices_that_contradict_are_refused", contradictions),
];

/// A series whose body `ask` gives what stands in a file that is no input.
fn asking(tasks: &str) -> Series {
    let program = Program::local();
    let answer = program.home().join("answer");
    let series = Series::of(program.with_variable("ANSWER", text(&answer)));
    series.workflow(tasks);
    series
}

const ASK: &str = r#"
    [tasks.ask]
    shell = "echo ask >> $BODIES; cat $ANSWER"
    returns = "str"
    [tasks.tell]
    shell = "echo tell {what} >> $BODIES; echo told {what}"
    params.what = { type = "str", result = "ask" }
    returns = "str"
"#;

fn not_cached() {
    let never = ASK.replace("$ANSWER\"", "$ANSWER\"\ncache = false");
    let series = asking(&never);
    series.program.write("answer", "1");
    series.run(&[]).ran(&["ask", "tell 1"]);
    // It runs again, and gives what is known.
    series.run(&[]).ran(&["ask"]);
    series.program.write("answer", "2");
    let run = series.run(&[]);
    run.ran(&["ask", "tell 2"]);
    assert_eq!(series.value(&run, "tell"), "told 2");
    // Nothing was remembered that a run with caching could take.
    series.workflow(ASK);
    series.run(&[]).ran(&["ask"]);
    series.run(&[]).is_cached();
    series.workflow(&never.replace("cache = false", "cache = { enabled = false }"));
    series.run(&[]).ran(&["ask"]);
}

fn force() {
    let series = Series::new();
    series.workflow(SQUARES);
    let all = ["list", "square 1", "square 2", "square 3", "sum"];
    series.run(&["--force"]).ran(&all);
    series.run(&[]).is_cached();
    let run = series.run(&["--force"]);
    run.ran(&all);
    assert_eq!(run.counts("square"), (3, 0));
    assert_eq!(series.value(&run, "sum"), 14);
    series.run(&[]).is_cached();
}

fn force_tasks() {
    let series = Series::new();
    series.workflow(SQUARES);
    series.run(&[]);
    series
        .run(&["--force-tasks", "square"])
        .ran(&["square 1", "square 2", "square 3"]);
    series.run(&["--force-tasks", "sum"]).ran(&["sum"]);
    let run = series.run(&["--force-tasks", "list,sum"]);
    run.ran(&["list", "sum"]);
    assert_eq!(run.counts("square"), (0, 3));
    series.run(&[]).is_cached();
}

fn force_misspelt() {
    let series = Series::new();
    series.workflow(SQUARES);
    for (tasks, parts) in [
        ("sqare", &["sqare", "`square`"][..]),
        ("list,summ", &["summ", "`sum`"]),
        ("", &["no task ``"]),
    ] {
        series
            .program
            .run(&[
                "run",
                "-w",
                "reflow.toml",
                "--run-dir",
                "wrong",
                "--force-tasks",
                tasks,
            ])
            .expect(2)
            .says(parts);
        assert!(
            !series.path("wrong/.reflow").exists(),
            "nothing is submitted"
        );
    }
    assert!(series.new_bodies().is_empty());
}

fn after_force() {
    let series = asking(ASK);
    for answer in ["1", "2", "3"] {
        series.program.write("answer", answer);
        let run = series.run(&["--force-tasks", "ask"]);
        run.ran(&["ask", &format!("tell {answer}")]);
    }
    series.program.write("answer", "4");
    // The last one, not the first one that is known.
    let run = series.run(&[]);
    run.is_cached();
    assert_eq!(series.value(&run, "tell"), "told 3");
    let run = series.run(&["--force"]);
    run.ran(&["ask", "tell 4"]);
    let run = series.run(&[]);
    run.is_cached();
    assert_eq!(series.value(&run, "tell"), "told 4");
}

fn force_later() {
    let series = Series::new();
    series.workflow(SQUARES);
    series.run(&[]);
    // The width is known only when the forced list has run: what is planned then knows of it too.
    let run = series.run(&["--force-tasks", "list,square"]);
    run.ran(&["list", "square 1", "square 2", "square 3"]);
    assert_eq!(run.counts("sum"), (0, 1));
    for dispatch in ["login", "worker"] {
        let run = series.run(&["--force", "--dispatch", dispatch]);
        assert_eq!(run.bodies.len(), 5, "with {dispatch}");
    }
}

fn force_retry() {
    let series = asking(
        r#"
        [tasks.ask]
        shell = "echo ask >> $BODIES; cat $ANSWER"
        returns = "str"
        [tasks.other]
        shell = "echo other >> $BODIES; grep -v bad $ANSWER"
        returns = "str"
        [tasks.behind]
        shell = "echo behind >> $BODIES; echo {x} {y}"
        params.x = { type = "str", result = "other" }
        params.y = { type = "int", result = "third" }
        returns = "str"
        [tasks.third]
        shell = "echo third >> $BODIES; echo 3"
        returns = "int"
        "#,
    );
    series.program.write("answer", "good");
    series.run(&[]).ran(&["ask", "other", "third", "behind"]);
    series.program.write("answer", "bad");
    let run = [
        "run",
        "-q",
        "-w",
        "reflow.toml",
        "--run-dir",
        "forced",
        "--force",
    ];
    series.program.run(&run).expect(1);
    assert_eq!(series.new_bodies(), ["ask", "other", "third"]);
    series.program.write("answer", "good");
    // Neither is taken from the first run, though both are known there.
    series.program.run(&["retry", "forced"]).expect(0);
    series.program.run(&["wait", "-q", "forced"]).expect(0);
    assert_eq!(series.new_bodies(), ["behind", "other"]);
    let value = series.program.json(&["result", "forced", "behind"]);
    assert_eq!(value["value"], json!("good 3"));
}

fn contradictions() {
    let series = Series::new();
    series.workflow(SQUARES);
    series
        .program
        .run(&[
            "run",
            "-w",
            "reflow.toml",
            "--run-dir",
            "wrong",
            "--verify",
            "--no-verify",
        ])
        .expect(2)
        .says(&["--verify", "--no-verify"]);
    assert!(!series.path("wrong/.reflow").exists());
}
