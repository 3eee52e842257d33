//! The main job, done on Slurm.

use reflow_tests::{Case, Program, WORDCOUNT, queue_of, reference_text, wait_for, word_count};
use serde_json::json;

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("wordcount_gives_what_wc_gives", wordcount),
    case("a_failure_is_shown_and_skips_its_consumers", failure),
    case("an_empty_fan_out_ends", empty_fan_out),
    case("cancel_empties_the_queue", cancel),
    case("a_refused_request_says_what_slurm_says", refused),
];

fn wordcount() {
    let program = Program::slurm();
    let name = "it's \"odd\" $HOME; touch gone Grüße 世界";
    let text = program.write(&format!("{name}/{name}.txt"), &reference_text());
    let run_dir = program.home().join(format!("run {name}"));
    let run_dir = run_dir.to_str().expect("UTF-8");
    let submitted = program.json(&[
        "submit",
        "-w",
        WORDCOUNT,
        "--run-dir",
        run_dir,
        "--text",
        text.to_str().expect("UTF-8"),
        "--parts",
        "8",
    ]);
    let run = submitted["run_id"].as_str().expect("a run id");
    assert_eq!(submitted["run_dir"], json!(run_dir));
    program.run(&["wait", run]).expect(0);
    let total = program.run(&["result", run, "total"]).expect(0).stdout;
    assert_eq!(total.trim().parse::<u64>().ok(), Some(word_count(&text)));
    let status = program.json(&["status", run]);
    assert_eq!(status["state"], "succeeded");
    assert_eq!(status["tasks"][1]["elements"]["succeeded"], 8);
}

fn failure() {
    let program = Program::slurm();
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "partly"
        [tasks.list]
        shell = "seq 3"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        shell = "if [ {n} = 2 ]; then echo 'no number two' >&2; exit 7; fi; echo {n}"
        params.n = { type = "int", result = "list" }
        returns = "int"
        [tasks.total]
        shell = "echo {all}"
        params.all = { type = "list[int]", result = "work" }
        returns = "str"
        "#,
    );
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(1);
    let status = program.json(&["status", "run"]);
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["tasks"][1]["elements"]["succeeded"], 2, "{status}");
    assert_eq!(status["tasks"][1]["elements"]["failed"], 1, "{status}");
    assert_eq!(status["tasks"][2]["elements"]["skipped"], 1, "{status}");
    let failure = &status["failures"][0];
    assert_eq!(failure["index"], 1);
    assert_eq!(failure["exit_status"], 7);
    let stderr = failure["stderr"].as_str().expect("text");
    assert!(stderr.contains("no number two"), "{stderr}");
    let log = failure["log"].as_str().expect("a path");
    assert!(std::path::Path::new(log).exists(), "{log} is there");
}

fn empty_fan_out() {
    let program = Program::slurm();
    program.write(
        "reflow.toml",
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
        [tasks.total]
        command = ["printf", "%s", "{sizes}", "."]
        params.sizes = { type = "list[int]", result = "each" }
        returns = "str"
        "#,
    );
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(0);
    assert_eq!(
        program.json(&["result", "run", "total"])["value"],
        json!(".")
    );
}

fn cancel() {
    let program = Program::slurm();
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "endless"
        [tasks.first]
        shell = "echo started > first; sleep 600"
        returns = "list[int]"
        output = "lines"
        [tasks.second]
        array = true
        shell = "touch second"
        params.n = { type = "int", result = "first" }
        "#,
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id");
    wait_for("the first task to start", || {
        program.home().join("run/first").exists()
    });
    program.run(&["cancel", run]).expect(0);
    program.run(&["wait", run]).expect(1);
    assert_eq!(program.json(&["status", run])["state"], "cancelled");
    wait_for("the queue to be empty of the run", || {
        queue_of(run).is_empty()
    });
    assert!(!program.home().join("run/second").exists());
}

fn refused() {
    let program = Program::slurm();
    program.write(
        "reflow.toml",
        "[workflow]\nname = \"nowhere\"\n[tasks.a]\nshell = \"true\"\npartition = \"nope\"\n",
    );
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(3)
        .says(&["nvalid partition", "nope"]);
}
