//! What a body finds around it, and what becomes of bodies that behave badly.

use reflow_tests::{Case, Program, wait_for};
use serde_json::{Value, json};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("a_body_has_the_environment_of_submit", environment),
    case("setup_comes_first_and_its_failure_is_shown", setup),
    case("a_body_over_its_walltime_is_ended", walltime),
    case("array_parallelism_is_never_exceeded", parallelism),
    case("an_edit_after_submit_changes_nothing", pinned),
    case("output_that_is_no_text_fails_its_element", foreign_bytes),
    case("standard_input_is_empty", standard_input),
    case("a_missing_program_is_named", missing_program),
    case("only_one_run_gets_a_directory", one_directory),
    case("what_a_body_leaves_behind_is_ended", left_behind),
];

fn run(program: &Program, tasks: &str, code: i32) -> Value {
    program.write(
        "reflow.toml",
        &format!("[workflow]\nname = \"bodies\"\n{tasks}"),
    );
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(code);
    program.json(&["status", "run"])
}

fn value(program: &Program, what: &str) -> Value {
    program.json(&["result", "run", what])["value"].clone()
}

fn environment() {
    let program = Program::local()
        .with_variable("GREETING", "good 'morning' $x\nand evening")
        .with_variable("SLURM_NTASKS", "7")
        .with_variable("XDG_SESSION_ID", "3");
    run(
        &program,
        r#"
        [tasks.seen]
        shell = "printf '%s|%s|%s|%s' \"$GREETING\" \"${SLURM_NTASKS-none}\" \"${XDG_SESSION_ID-none}\" \"$OWN\""
        env = { OWN = "a b" }
        returns = "str"
        [tasks.directory]
        shell = "pwd"
        returns = "str"
        "#,
        0,
    );
    assert_eq!(
        value(&program, "seen"),
        json!("good 'morning' $x\nand evening|none|none|a b")
    );
    let run_dir = fs_err::canonicalize(program.home().join("run")).expect("it exists");
    assert_eq!(value(&program, "directory"), json!(run_dir));
}

fn setup() {
    let program = Program::local();
    let status = run(
        &program,
        r#"
        [tasks.good]
        setup = ["export TOOL=ready", "tool() { echo $TOOL; }"]
        shell = "echo $TOOL"
        returns = "str"
        [tasks.bad]
        setup = ["echo no such module >&2; false"]
        shell = "touch bad"
        "#,
        1,
    );
    assert_eq!(value(&program, "good"), json!("ready"));
    assert!(!program.home().join("run/bad").exists());
    let failure = status["failures"].to_string();
    assert!(failure.contains("no such module"), "{failure}");
}

fn walltime() {
    let program = Program::local();
    let status = run(
        &program,
        r#"
        [tasks.long]
        shell = "sleep 60"
        time = "00:00:01"
        [tasks.after_it]
        shell = "true"
        after = ["long"]
        "#,
        1,
    );
    assert_eq!(status["failures"][0]["reason"], "walltime", "{status}");
    assert_eq!(status["tasks"][1]["elements"]["skipped"], 1, "{status}");
}

fn parallelism() {
    let program = Program::local();
    run(
        &program,
        r#"
        [tasks.list]
        shell = "seq 12"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        array_parallelism = 1
        shell = """
        mkdir busy
        sleep 0.05
        rmdir busy
        echo {n}
        """
        params.n = { type = "int", result = "list" }
        returns = "int"
        "#,
        // `mkdir` fails where another element is at work.
        0,
    );
}

fn pinned() {
    let program = Program::local();
    let text = "[workflow]\nname = \"pinned\"\n\
                [tasks.first]\nshell = \"sleep 1; echo 1\"\nreturns = \"int\"\n\
                [tasks.second]\nshell = \"echo old {n}\"\nparams.n = { type = \"int\", result = \"first\" }\nreturns = \"str\"\n";
    program.write("reflow.toml", text);
    program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    program.write("reflow.toml", &text.replace("echo old", "echo new"));
    program.run(&["wait", "run"]).expect(0);
    assert_eq!(value(&program, "second"), json!("old 1"));
}

fn foreign_bytes() {
    let program = Program::local();
    let status = run(
        &program,
        r#"
        [tasks.bytes]
        shell = "printf 'a\\377\\376b'"
        returns = "str"
        "#,
        1,
    );
    let failure = status["failures"].to_string();
    assert!(failure.contains("UTF-8"), "{failure}");
}

fn standard_input() {
    let program = Program::local();
    run(
        &program,
        r#"
        [tasks.reads]
        shell = "cat | wc -c"
        returns = "int"
        "#,
        0,
    );
    assert_eq!(value(&program, "reads"), json!(0));
}

fn missing_program() {
    let program = Program::local();
    let status = run(
        &program,
        r#"
        [tasks.typo]
        command = ["no-such-program", "x"]
        "#,
        1,
    );
    let failure = status["failures"].to_string();
    assert!(failure.contains("no-such-program"), "{failure}");
}

fn one_directory() {
    let program = Program::local();
    program.write(
        "reflow.toml",
        "[workflow]\nname = \"race\"\n[tasks.one]\nshell = \"echo 1\"\nreturns = \"int\"\n",
    );
    let codes: Vec<Option<i32>> = std::thread::scope(|scope| {
        let submit = || {
            program
                .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
                .code
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(submit)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .collect()
    });
    let with = |code: i32| codes.iter().filter(|c| **c == Some(code)).count();
    assert_eq!((with(0), with(2)), (1, 3), "{codes:?}");
    program.run(&["wait", "run"]).expect(0);
}

fn left_behind() {
    let program = Program::local();
    run(
        &program,
        r#"
        [tasks.leaves]
        shell = "sleep 300 & echo $! > child; echo done"
        returns = "str"
        "#,
        0,
    );
    let pid = fs_err::read_to_string(program.home().join("run/child")).expect("it was written");
    let stat = format!("/proc/{}/stat", pid.trim());
    wait_for("the child to be gone", || {
        fs_err::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
}
