//! The same runs on every backend, as a user makes them: nothing in them says where they run.

use std::time::Duration;

use reflow_tests::{Program, WORDCOUNT, reference_text, wait_for, word_count};
use serde_json::{Value, json};

/// One case, with whether it takes more than a few seconds on any backend.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&Program),
    pub(crate) large: bool,
}

const fn run(name: &'static str, body: fn(&Program)) -> Run {
    Run {
        name,
        body,
        large: false,
    }
}

pub(crate) const RUNS: &[Run] = &[
    run("wordcount_gives_what_wc_gives", wordcount),
    run("a_slow_branch_holds_up_nobody_else", skewed_diamond),
    run("a_failing_array_is_retried_by_itself", retried_by_itself),
    run("retry_runs_what_failed_again", retried_by_hand),
    run("a_failure_skips_what_needs_it_and_nothing_else", failure),
    run("an_empty_fan_out_ends", empty_fan_out),
    run("cancel_in_the_middle_ends_everything", cancel),
    run(
        "cancelling_a_task_that_waits_leaves_nobody_waiting",
        cancel_waiting,
    ),
    run("a_user_can_check_the_backend", checked),
    run("doctor_finds_nothing_wrong", healthy),
    Run {
        large: true,
        ..run("three_thousand_elements_each_run_once", three_thousand)
    },
];

fn submit(program: &Program, workflow: &str) -> String {
    program.write("reflow.toml", workflow);
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    submitted["run_id"].as_str().expect("a run id").to_owned()
}

/// The counts of a task's elements that are not zero.
fn counts(program: &Program, task: usize) -> Value {
    let mut counts = program.json(&["status", "run"])["tasks"][task]["elements"].clone();
    let table = counts.as_object_mut().expect("a table");
    table.retain(|_, number| *number != 0);
    counts
}

fn value(program: &Program, what: &str) -> Value {
    program.json(&["result", "run", what])["value"].clone()
}

fn wordcount(program: &Program) {
    let name = "it's \"odd\" $HOME; touch gone Grüße 世界";
    let text = program.write(&format!("{name}/{name}.txt"), &reference_text());
    let run_dir = program.home().join(format!("run {name}"));
    let run_dir = run_dir.to_str().expect("UTF-8");
    let text_path = text.to_str().expect("UTF-8");
    let arguments = ["submit", "-w", WORDCOUNT, "--run-dir", run_dir];
    let arguments = [&arguments[..], &["--text", text_path, "--parts", "8"]].concat();
    let submitted = program.json(&arguments);
    let run = submitted["run_id"].as_str().expect("a run id");
    program.run(&["wait", run]).expect(0);
    let total = program.run(&["result", run, "total"]).expect(0).stdout;
    assert_eq!(total.trim().parse::<u64>().ok(), Some(word_count(&text)));
    let status = program.json(&["status", run]);
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(status["tasks"][1]["elements"]["succeeded"], 8, "{status}");
    assert!(!program.home().join("gone").exists());
}

/// The slow branch ends only when the end of the chain beside it has been reached.
fn skewed_diamond(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "diamond"
        [tasks.root]
        shell = "echo 1"
        returns = "int"
        [tasks.chain1]
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "root" }
        returns = "int"
        [tasks.chain2]
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "chain1" }
        returns = "int"
        [tasks.chain3]
        shell = "touch chain-is-over; echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "chain2" }
        returns = "int"
        [tasks.slow]
        shell = "for i in $(seq 2400); do [ -e chain-is-over ] && echo {n} && exit; sleep 0.1; done; exit 1"
        params.n = { type = "int", result = "root" }
        returns = "int"
        [tasks.last]
        shell = "echo {a} {b}"
        params.a = { type = "int", result = "chain3" }
        params.b = { type = "int", result = "slow" }
        returns = "str"
        "#,
    );
    program.run(&["wait", &run]).expect(0);
    assert_eq!(value(program, "last"), json!("4 1"));
}

/// Elements 2 and 5 fail the first time, element 4 always.
const FLAKY: &str = r#"
    [workflow]
    name = "flaky"
    [tasks.list]
    shell = "seq 6"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = """
    echo {n} >> started
    case {n} in
      2|5) [ -e again-{n} ] || { touch again-{n}; echo "not yet" >&2; exit 7; } ;;
      4) [ -e fixed ] || exit 8 ;;
    esac
    echo $(( {n} * 10 ))
    """
    params.n = { type = "int", result = "list" }
    returns = "int"
    RETRIES
    [tasks.sum]
    shell = "printf '%s\n' {all} | awk '{ n += $1 } END { print n }'"
    params.all = { type = "list[int]", result = "work" }
    returns = "int"
"#;

/// How often each element has been started.
fn started(program: &Program) -> Vec<usize> {
    let text = fs_err::read_to_string(program.home().join("run/started")).expect("bodies ran");
    (1..=6)
        .map(|n| text.lines().filter(|line| *line == n.to_string()).count())
        .collect()
}

fn retried_by_itself(program: &Program) {
    let run = submit(program, &FLAKY.replace("RETRIES", "retries = 2"));
    program.run(&["wait", &run]).expect(1);
    assert_eq!(counts(program, 1), json!({"succeeded": 5, "failed": 1}));
    assert_eq!(counts(program, 2), json!({"skipped": 1}));
    assert_eq!(started(program), [1, 2, 1, 3, 2, 1]);
}

fn retried_by_hand(program: &Program) {
    let run = submit(program, &FLAKY.replace("RETRIES", ""));
    program.run(&["wait", &run]).expect(1);
    assert_eq!(counts(program, 1), json!({"succeeded": 3, "failed": 3}));
    assert_eq!(counts(program, 2), json!({"skipped": 1}));
    program.write("run/fixed", "");
    let retried = program.json(&["retry", "run"]);
    assert_eq!(retried["elements"][0]["indices"], "1,3-4", "{retried}");
    program.run(&["wait", &run]).expect(0);
    assert_eq!(started(program), [1, 2, 1, 2, 2, 1]);
    assert_eq!(value(program, "sum"), 210);
}

fn failure(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "partly"
        [tasks.list]
        shell = "seq 4"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        shell = "if [ {n} = 3 ]; then echo 'no number three' >&2; exit 7; fi; echo $(( {n} * 10 ))"
        params.n = { type = "int", result = "list" }
        returns = "int"
        [tasks.next]
        array = true
        shell = "echo $(( {n} + 1 ))"
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
        "#,
    );
    program.run(&["wait", &run]).expect(1);
    assert_eq!(counts(program, 1), json!({"succeeded": 3, "failed": 1}));
    assert_eq!(counts(program, 2), json!({"succeeded": 3, "skipped": 1}));
    assert_eq!(counts(program, 3), json!({"skipped": 1}));
    assert_eq!(value(program, "next[3]"), 41);
    assert_eq!(value(program, "aside"), 4);
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "failed", "{status}");
    let failure = &status["failures"][0];
    assert_eq!(
        (&failure["index"], &failure["exit_status"]),
        (&json!(2), &json!(7))
    );
    let stderr = failure["stderr"].as_str().expect("text");
    assert!(stderr.contains("no number three"), "{stderr}");
}

fn empty_fan_out(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "nothing"
        [tasks.none]
        shell = "true"
        returns = "list[int]"
        output = "lines"
        [tasks.each]
        array = true
        shell = "echo {n}"
        params.n = { type = "int", result = "none" }
        returns = "int"
        [tasks.total]
        shell = "printf '%s' {all:file} | wc -l"
        params.all = { type = "list[int]", result = "each" }
        returns = "int"
        "#,
    );
    program.run(&["wait", &run]).expect(0);
    assert_eq!(value(program, "total"), 0);
}

/// Two elements run, the others and all that comes after them wait.
fn cancel(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "endless"
        [tasks.list]
        shell = "seq 6"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        array_parallelism = 2
        shell = "while true; do touch beat-{n}; sleep 0.2; done"
        params.n = { type = "int", result = "list" }
        returns = "int"
        [tasks.after]
        array = true
        shell = "touch after"
        params.n = { type = "int", result = "work" }
        "#,
    );
    let directory = program.home().join("run");
    let beats = || {
        let names = (1..=6).map(|n| directory.join(format!("beat-{n}")));
        names.filter(|path| path.exists()).collect::<Vec<_>>()
    };
    wait_for("two elements to run", || beats().len() == 2);
    program.run(&["cancel", &run]).expect(0);
    program.run(&["wait", &run]).expect(1);
    assert_eq!(program.json(&["status", "run"])["state"], "cancelled");
    wait_for("the elements to end", || {
        for beat in beats() {
            fs_err::remove_file(beat).expect("the run directory is ours");
        }
        std::thread::sleep(Duration::from_secs(1));
        beats().is_empty()
    });
    assert!(!directory.join("after").exists());
}

/// Where a job that was cancelled before it ran holds what waits for it, the run ends all the same, and
/// by itself.
fn cancel_waiting(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "waiting"
        [tasks.first]
        shell = "touch started; for i in $(seq 2400); do [ -e go ] && echo 1 && exit; sleep 0.1; done; exit 1"
        returns = "int"
        [tasks.second]
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "first" }
        returns = "int"
        [tasks.third]
        shell = "echo $(( {n} + 1 ))"
        params.n = { type = "int", result = "second" }
        returns = "int"
        [tasks.beside]
        shell = "echo $(( {n} + 10 ))"
        params.n = { type = "int", result = "first" }
        returns = "int"
        "#,
    );
    let directory = program.home().join("run");
    wait_for("the first task to run", || {
        directory.join("started").exists()
    });
    program.run(&["cancel", &run, "--task", "second"]).expect(0);
    fs_err::write(directory.join("go"), "").expect("the run directory is ours");
    wait_for("the run to end", || {
        program.json(&["status", &run])["state"] == "failed"
    });
    assert_eq!(counts(program, 1), json!({"cancelled": 1}));
    assert_eq!(counts(program, 2), json!({"skipped": 1}));
    assert_eq!(value(program, "beside"), json!(11));
}

fn three_thousand(program: &Program) {
    let run = submit(
        program,
        r#"
        [workflow]
        name = "large"
        [tasks.list]
        shell = "seq 3000"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        shell = "echo {n} >> started; echo $(( {n} * 2 ))"
        params.n = { type = "int", result = "list" }
        returns = "int"
        [tasks.sum]
        shell = "cat {all:file} | awk '{ n += $1 } END { print n }'"
        params.all = { type = "list[int]", result = "work" }
        returns = "int"
        "#,
    );
    // A run that is waited for may take longer than one call of the program may.
    let mut ended = None;
    wait_for_long(|| {
        ended = program.json(&["status", &run])["state"]
            .as_str()
            .map(str::to_owned);
        ended.as_deref().is_some_and(|state| state != "running")
    });
    assert_eq!(ended.as_deref(), Some("succeeded"));
    assert_eq!(counts(program, 1), json!({"succeeded": 3000}));
    assert_eq!(value(program, "sum"), 3000 * 3001);
    let text = fs_err::read_to_string(program.home().join("run/started")).expect("bodies ran");
    let mut indices: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    indices.sort_unstable();
    assert!(indices.into_iter().eq(1..=3000), "each element runs once");
}

fn wait_for_long(mut over: impl FnMut() -> bool) {
    reflow_tests::wait_within(Duration::from_mins(10), "the run to end", || {
        std::thread::sleep(Duration::from_millis(500));
        over()
    });
}

/// The part of the suite about finding jobs: it submits, waits and cancels as the rest does.
fn checked(program: &Program) {
    let check = ["backend", "check", program.backend(), "--filter", "found"];
    let report = program.json(&check);
    assert_eq!(report["failed"], 0, "{report}");
    assert!(report["passed"].as_u64() > Some(0), "{report}");
    assert_eq!(report["left"], json!([]), "{report}");
}

/// Warnings are about what the machine has; a problem is what runs would trip over.
fn healthy(program: &Program) {
    let report = program.json(&["doctor", "--backend", program.backend()]);
    let findings = report["findings"].as_array().expect("a list");
    let about = |topic: &str| findings.iter().any(|it| it["topic"] == topic);
    assert!(about("node") && about("limits"), "{report}");
    let problems: Vec<_> = (findings.iter())
        .filter(|finding| finding["level"] == "problem")
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}
