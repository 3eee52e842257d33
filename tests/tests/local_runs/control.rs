//! A run outlives who started it, and can be stopped.

use reflow_tests::{Case, Program, wait_for};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("a_run_outlives_its_terminal", outlives_its_terminal),
    case("cancel_stops_everything", cancel_stops_everything),
    case(
        "cancel_of_a_finished_run_changes_nothing",
        cancel_of_finished,
    ),
    case("an_interrupt_leaves_the_run_going", interrupt),
    case("the_supervisor_ends_on_demand", supervisor_ends),
    case("a_run_of_dispatch_login_goes_on_while_it_is_driven", driven),
    case("drive_exits_as_wait_does", drive_exits),
];

/// A run whose first task waits for the file `go` in the run directory.
const GATED: &str = r#"
    [workflow]
    name = "gated"
    [tasks.list]
    shell = "for i in $(seq 600); do [ ! -e go ] || break; sleep 0.1; done; seq 3"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "sleep 0.5; echo {n}"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.total]
    shell = "echo {all}"
    params.all = { type = "list[int]", result = "work" }
    returns = "str"
"#;

const QUICK: &str =
    "[workflow]\nname = \"quick\"\n[tasks.one]\nshell = \"echo 1\"\nreturns = \"int\"\n";

const ENDLESS: &str = r#"
    [workflow]
    name = "endless"
    [tasks.first]
    shell = "echo started > first; sleep 600"
    [tasks.second]
    shell = "touch second"
    after = ["first"]
"#;

fn outlives_its_terminal() {
    let program = Program::local();
    program.write("reflow.toml", GATED);
    let mut process = program
        .command(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    wait_for("the run to be submitted", || {
        let status = program.run(&["--json", "status", "run"]);
        status.code == Some(0) && status.json()["tasks"][0]["elements"]["running"] == 1
    });
    // `kill` is SIGKILL: the process has no chance to say goodbye.
    process.kill().expect("it is ours");
    process.wait().expect("it is ours");
    program.write("run/go", "");
    wait_for("the run to end by itself", || {
        program.json(&["status", "run"])["state"] == "succeeded"
    });
    assert_eq!(
        program.json(&["result", "run", "total"])["value"],
        serde_json::json!("1 2 3")
    );
}

fn cancel_stops_everything() {
    let program = Program::local();
    program.write("reflow.toml", ENDLESS);
    program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    wait_for("the first task to start", || {
        program.home().join("run/first").exists()
    });
    program.run(&["cancel", "run"]).expect(0);
    program.run(&["wait", "run"]).expect(1);
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "cancelled", "{status}");
    assert_eq!(status["tasks"][0]["elements"]["cancelled"], 1, "{status}");
    assert!(!program.home().join("run/second").exists());
    program.run(&["cancel", "run"]).expect(0);
}

fn cancel_of_finished() {
    let program = Program::local();
    program.write("reflow.toml", QUICK);
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    program.run(&["cancel", "run"]).expect(0);
    assert_eq!(program.json(&["status", "run"])["state"], "succeeded");
}

fn interrupt() {
    let program = Program::local();
    program.write("reflow.toml", GATED);
    let said = program.home().join("said");
    let output = fs_err::File::create(&said).expect("the home is ours");
    let mut process = program
        .command(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .stdout(std::process::Stdio::null())
        .stderr(output.into_parts().0)
        .spawn()
        .expect("it starts");
    wait_for("the run to be submitted", || {
        let status = program.run(&["--json", "status", "run"]);
        status.code == Some(0) && status.json()["tasks"][0]["elements"]["running"] == 1
    });
    // Until it has said what it submitted, an interrupt ends it like any program.
    wait_for("it to be watched", || {
        fs_err::metadata(&said).is_ok_and(|said| said.len() > 0)
    });
    let pid = i32::try_from(process.id()).expect("a pid");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).expect("not zero"),
        rustix::process::Signal::INT,
    )
    .expect("it is ours");
    let status = process.wait().expect("it is ours");
    assert_eq!(status.code(), Some(130));
    program.write("run/go", "");
    wait_for("the run to end by itself", || {
        program.json(&["status", "run"])["state"] == "succeeded"
    });
}

fn supervisor_ends() {
    let program = Program::local();
    program.write("reflow.toml", QUICK);
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    program.run(&["backend", "stop", "local"]).expect(0);
    // Stopping what is stopped is no error.
    program.run(&["backend", "stop", "local"]).expect(0);
    // And the next run starts a new one.
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "again"])
        .expect(0);
}

fn driven() {
    let program = Program::local();
    program.write("reflow.toml", GATED);
    program.write("run/go", "");
    program
        .run(&[
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            "run",
            "--dispatch",
            "login",
        ])
        .expect(0);
    wait_for("the first task to end", || {
        program.json(&["status", "run"])["tasks"][0]["elements"]["succeeded"] == 1
    });
    // Nobody drives: nothing was sent that would plan, and nothing more is.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "running", "{status}");
    assert_eq!(status["tasks"][1]["width"], serde_json::Value::Null);
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("`reflow drive`"), "{status}");
    program.run(&["drive", "run"]).expect(0).says(&[
        "is planned from here",
        "nothing is planned when this is stopped",
    ]);
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "succeeded", "{status}");
    for task in status["tasks"].as_array().expect("tasks") {
        assert_eq!(task["jobs"].as_array().map(Vec::len), Some(1), "{task}");
    }
}

fn drive_exits() {
    let program = Program::local();
    let fails = "[workflow]\nname = \"fails\"\n[tasks.one]\nshell = \"exit 3\"\n";
    program.write("fails.toml", fails);
    program
        .run(&["submit", "-w", "fails.toml", "--run-dir", "failed"])
        .expect(0);
    program.run(&["drive", "failed"]).expect(1);
    assert_eq!(
        program.run(&["--json", "drive", "failed"]).expect(1).json()["state"],
        "failed"
    );
    program.write("reflow.toml", QUICK);
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "done"])
        .expect(0);
    program.run(&["drive", "-q", "done"]).expect(0);
    program.run(&["drive", "nothing"]).expect(2);
}
