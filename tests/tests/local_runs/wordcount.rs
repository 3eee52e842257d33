//! The example of the README, and names that break careless quoting.

use reflow_tests::{Case, Program, WORDCOUNT, reference_text, word_count};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("wordcount_gives_what_wc_gives", gives_what_wc_gives),
    case("wordcount_survives_hostile_names", survives_hostile_names),
    case("submit_returns_before_the_run_ends", submit_returns_early),
];

fn count(program: &Program, text: &str, run_dir: &str) -> u64 {
    program
        .run(&[
            "run",
            "-w",
            WORDCOUNT,
            "--run-dir",
            run_dir,
            "--text",
            text,
            "--parts",
            "8",
        ])
        .expect(0);
    let printed = program.run(&["result", run_dir, "total"]).expect(0).stdout;
    printed.trim().parse().expect("a number")
}

fn gives_what_wc_gives() {
    let program = Program::local();
    let text = program.write("text.txt", &reference_text());
    let total = count(&program, text.to_str().expect("UTF-8"), "run");
    assert_eq!(total, word_count(&text));
}

fn survives_hostile_names() {
    let program = Program::local();
    for (place, name) in [
        "with space",
        "it's",
        "say \"hi\"",
        "$HOME",
        "a;touch gone",
        "Grüße 世界",
        "-dash",
        "back\\slash",
        "{text}",
        "star*[x]",
        "`id` && $(id)",
        "new\nline",
    ]
    .into_iter()
    .enumerate()
    {
        let text = program.write(&format!("{place} {name}/{name}.txt"), &reference_text());
        let run_dir = program.home().join(format!("{place} run {name}"));
        let total = count(
            &program,
            text.to_str().expect("UTF-8"),
            run_dir.to_str().expect("UTF-8"),
        );
        assert_eq!(total, word_count(&text), "for {name:?}");
    }
    assert!(!program.home().join("gone").exists());
}

fn submit_returns_early() {
    let program = Program::local();
    program.write(
        "slow.toml",
        r#"
        [workflow]
        name = "slow"
        [tasks.nap]
        shell = "sleep 2; echo 7"
        returns = "int"
        "#,
    );
    let before = std::time::Instant::now();
    let submitted = program.json(&["submit", "-w", "slow.toml", "--run-dir", "run"]);
    let elapsed = before.elapsed();
    assert!(
        elapsed.as_secs_f64() < 1.9,
        "submit took {elapsed:?}, as long as the task"
    );
    let run_id = submitted["run_id"].as_str().expect("a run id").to_owned();
    let run_dir = submitted["run_dir"].as_str().expect("a directory");
    assert_eq!(
        std::path::Path::new(run_dir),
        fs_err::canonicalize(program.home().join("run")).expect("it exists")
    );
    // By id, by a prefix of it, and by directory.
    program.run(&["wait", &run_id]).expect(0);
    let prefix = &run_id[..run_id.len() - 2];
    for run in [run_id.as_str(), prefix, run_dir] {
        let printed = program.run(&["result", run, "nap"]).expect(0).stdout;
        assert_eq!(printed.trim(), "7", "by {run}");
    }
    let runs = program.json(&["runs"]);
    assert!(runs.to_string().contains(&run_id), "{runs}");
}
