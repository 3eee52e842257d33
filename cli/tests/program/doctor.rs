//! `reflow doctor`: what it looks at, and what it says to do.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Outcome, Sandbox, System};

fn finding<'a>(document: &'a Value, topic: &str, about: &str) -> &'a Value {
    let findings = document["findings"].as_array().expect("a list");
    let found = findings.iter().find(|it| {
        it["topic"] == topic && it["about"].as_str().is_some_and(|it| it.contains(about))
    });
    found.unwrap_or_else(|| panic!("no finding of {topic} about {about} in {document:#}"))
}

/// Compares with what differs from run to run replaced.
fn shown(outcome: &Outcome) -> String {
    let mut text = outcome.squeezed();
    let program = assert_cmd::cargo::cargo_bin!("reflow")
        .display()
        .to_string();
    text = text.replace(&program, "[PROGRAM]");
    text
}

fn filtered(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"\d+\.\d+ s\b", "[TIME]"),
        (r"within \d+ ms", "within [TIME]"),
        (r"room for \d+[MG]", "room for [SIZE]"),
        (r"job \S+ ran on \S+", "job [ID] ran on [HOST]"),
        (r"reflow  \d+\.\d+\.\d+", "reflow  [VERSION]"),
        (
            r"(lsf|pbs|slurm)  (not on this machine|answers in .*)",
            "$1  [HERE OR NOT]",
        ),
        (r"(?m)^installed\n(  .*\n)+", ""),
        (r"\d+ ok, ", "[SOME] ok, "),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(check);
}

#[test]
fn a_machine_that_is_as_it_should_be_has_no_problem_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    fs_err::create_dir(sandbox.path().join("runs")).expect("a directory can be made");
    let outcome = sandbox.run(&["doctor", "--directory", "runs"]);
    filtered(|| {
        assert_snapshot!(shown(&outcome), @r"
        exit 0
        --- stdout
        configuration
          ok  [DIR]/system.toml  not there
          ok  [DIR]/home/.config/reflow/config.toml  not there
        program
          ok  reflow  [VERSION], [PROGRAM]
          ok  launcher  nodes start a copy of this program
        backend
          ok  local (selected)  answers in [TIME]
          ok  lsf  [HERE OR NOT]
          ok  pbs  [HERE OR NOT]
          ok  slurm  [HERE OR NOT]
        limits
          ok  arrays  up to 1000000 elements in one array; more are split
          ok  history  ended jobs are remembered for 7 days
          ok  partitions  no limits are known
        storage
          ok  store [DIR]/home/.local/share/reflow  exclusive create, rename, append and sync work
          ok  store [DIR]/home/.local/share/reflow  room for [SIZE]
          ok  runs in [DIR]/runs  exclusive create, rename, append and sync work
          ok  runs in [DIR]/runs  the lease can be taken, and taken over
          ok  runs in [DIR]/runs  room for [SIZE]
        node
          ok  a tiny job  job [ID] ran on [HOST] after [TIME], and reflow starts there
          ok  files between here and there  seen, there and back, within [TIME]
          ok  clock of the node  the same as here, within [TIME]
          ok  the batch system, from the node  answers: jobs can plan the run further

        [SOME] ok, 0 warnings, 0 problems
        ");
    });
    let left = fs_err::read_dir(sandbox.path().join("runs")).expect("a directory");
    assert_eq!(left.count(), 0);
}

#[test]
fn the_json_form_is_the_documented_one() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["--json", "doctor"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    let document = outcome.json();
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("a table")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(
        keys(&document),
        [
            "schema", "backend", "findings", "ok", "warnings", "problems"
        ]
    );
    assert_eq!(document["backend"], "local");
    assert_eq!(document["problems"], 0);
    for (topic, about, facts) in [
        ("program", "reflow", vec!["version"]),
        ("backend", "local (selected)", vec!["seconds"]),
        ("limits", "arrays", vec!["array_limit"]),
        ("limits", "history", vec!["history_seconds"]),
        ("node", "a tiny job", vec!["host", "waited_seconds"]),
        ("node", "files between", vec!["latency_ms"]),
        (
            "node",
            "clock of the node",
            vec!["ahead_ms", "uncertain_ms"],
        ),
    ] {
        let one = finding(&document, topic, about);
        assert_eq!(one["level"], "ok", "{one}");
        assert!(one["message"].is_string(), "{one}");
        assert_eq!(keys(&one["facts"]), facts, "{one}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_a_problem_like_others() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/reflow/config.toml",
        "defualt_backend = 'slurm'\n",
    );
    let outcome = sandbox.run(&["--json", "doctor", "--no-job"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.shown());
    let document = outcome.json();
    let one = finding(&document, "configuration", "files");
    assert_eq!(one["level"], "problem");
    let message = one["message"].as_str().unwrap_or_default();
    assert!(message.contains("defualt_backend"), "{one}");
    let advice = one["advice"].as_str().unwrap_or_default();
    assert!(advice.contains("default_backend"), "{one}");
}

#[test]
fn keys_and_tables_of_backends_are_looked_at_also_of_those_that_are_not_selected() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/reflow/config.toml",
        "[backend.lsf]\ndialekt = 'lsf'\n[backend.slrum]\nextra = ['-A', 'x']\n",
    );
    let document = sandbox.run(&["--json", "doctor", "--no-job"]).json();
    let key = finding(&document, "backend", "lsf");
    assert_eq!(key["level"], "problem");
    assert!(
        key["message"]
            .as_str()
            .is_some_and(|it| it.contains("`dialect`")),
        "{key}"
    );
    let table = finding(&document, "configuration", "[backend.slrum]");
    assert_eq!(table["level"], "warning");
    assert_eq!(table["advice"], "did you mean `[backend.slurm]`?");
}

#[test]
fn a_batch_system_that_forgets_and_does_not_answer_jobs_is_told_with_what_to_do() {
    let sandbox = Sandbox::new().with_programs(System::Torque);
    sandbox.configure("pbs", "");
    let mut command = sandbox.reflow();
    command.args(["--json", "--backend", "pbs", "doctor"]);
    let outcome = sandbox.outcome(&mut command);
    assert_eq!(outcome.code, Some(1), "{}", outcome.shown());
    let document = outcome.json();
    // `keep_completed = 300` of the fixture.
    let history = finding(&document, "limits", "history");
    assert_eq!(history["level"], "warning");
    assert_eq!(history["facts"], json!({"history_seconds": 300}));
    assert!(
        history["advice"]
            .as_str()
            .is_some_and(|it| it.contains("keep_completed"))
    );
    let limits = finding(&document, "limits", "partition batch");
    assert_eq!(limits["facts"]["partition"]["time"], "24:00:00");
    assert_eq!(limits["facts"]["partition"]["mem"], "64G");
    assert!(
        finding(&document, "installed", "pbs")["message"]
            .as_str()
            .is_some_and(|it| it.contains("6.1.2")),
    );
    // The stand-in takes no job.
    let job = finding(&document, "node", "a tiny job");
    assert_eq!(job["level"], "problem");
    assert!(
        job["message"]
            .as_str()
            .is_some_and(|it| it.contains("was not taken")),
        "{job}"
    );
}

#[test]
fn a_selected_backend_that_is_not_there_is_a_problem() {
    let sandbox = Sandbox::new();
    sandbox.configure("lsf", "");
    let outcome = sandbox.run(&["--json", "--backend", "lsf", "doctor"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.shown());
    let document = outcome.json();
    let one = finding(&document, "backend", "lsf (selected)");
    assert_eq!(one["level"], "problem");
    assert!(
        one["advice"]
            .as_str()
            .is_some_and(|it| it.contains("backend.lsf.bin_dir")),
        "{one}"
    );
}
