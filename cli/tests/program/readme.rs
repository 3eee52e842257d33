//! The commands that the pages for newcomers begin with are right as they stand there.

use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// What comes before the arguments of the program.
const CARGO: [&str; 3] = [
    "cargo run --release --bin reflow --",
    "cargo run --bin reflow --",
    "$ reflow",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the repository")
        .to_owned()
}

/// Returns the arguments of each `run` on a page that is over the sample.
fn runs(page: &str) -> Vec<Vec<String>> {
    let text = fs_err::read_to_string(repository().join(page)).expect("the page is there");
    text.lines()
        .filter_map(|line| CARGO.iter().find_map(|cargo| line.strip_prefix(cargo)))
        .map(|arguments| shlex::split(arguments).expect("the quotes are closed"))
        .filter(|arguments| arguments.first().is_some_and(|command| command == "run"))
        .filter(|arguments| arguments.iter().any(|word| word.ends_with("/sample.txt")))
        .collect()
}

#[test]
fn the_first_commands_run_in_a_fresh_clone() {
    let manifest = fs_err::read_to_string(repository().join("cli/Cargo.toml")).expect("is there");
    assert!(
        manifest.contains("[[bin]]\nname = \"reflow\""),
        "`--bin reflow` names the program"
    );
    for (page, commands) in [("README.md", 3), ("CONTRIBUTING.md", 1)] {
        let runs = runs(page);
        assert_eq!(runs.len(), commands, "{page}: {runs:?}");
        for mut arguments in runs {
            let sandbox = Sandbox::new();
            let place = arguments.iter().position(|word| word == "--run-dir");
            let directory = place.map(|place| &mut arguments[place + 1]);
            let own = sandbox.path().join("run").display().to_string();
            *directory.expect("the page names the run directory") = own;
            let mut command = sandbox.reflow();
            let outcome = sandbox.outcome(command.args(&arguments).current_dir(repository()));
            assert_eq!(outcome.code, Some(0), "{page}: {}", outcome.shown());
            let total = sandbox.run(&["result", "run", "total"]);
            let text = fs_err::read_to_string(repository().join("examples/wordcount/sample.txt"))
                .expect("the sample is there");
            let words = text.split_ascii_whitespace().count();
            assert_eq!(total.stdout.trim(), words.to_string(), "{}", total.shown());
        }
    }
}
