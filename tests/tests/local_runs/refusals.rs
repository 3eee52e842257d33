//! Requests that are wrong: a message that names fault and place, exit code 2 (3 for the batch
//! system), and nothing submitted.

use reflow_tests::{Case, Program};

use crate::case;

pub(crate) const CASES: &[Case] = &[
    case("wrong_workflows_are_refused_whole", wrong_workflows),
    case("all_errors_are_shown_together", all_errors),
    case("unreadable_workflow_files", unreadable_files),
    case("wrong_flags", wrong_flags),
    case("run_directories_that_cannot_be_used", run_directories),
    case("a_batch_system_that_is_not_there", no_batch_system),
    case("wrong_configuration", wrong_configuration),
    case("unknown_runs_and_results", unknown_runs),
];

/// A workflow of `tasks`, refused on `submit` with each of `parts` said, and no run directory made.
#[track_caller]
fn refused(tasks: &str, parts: &[&str]) {
    let program = Program::local();
    program.write(
        "reflow.toml",
        &format!("[workflow]\nname = \"bad\"\n{tasks}"),
    );
    let outcome = program.run(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    assert!(
        outcome.code == Some(2),
        "for{tasks}\nended with {:?}, saying {}{}",
        outcome.code,
        outcome.stdout,
        outcome.stderr
    );
    outcome.says(parts);
    assert!(
        !program.home().join("run/.reflow").exists(),
        "nothing is submitted"
    );
}

fn wrong_workflows() {
    refused(
        "
        [tasks.prepare]
        shell = \"seq 3\"
        returns = \"list[int]\"
        output = \"lines\"
        [tasks.work]
        shell = \"echo {n}\"
        params.n = { type = \"list[int]\", result = \"prepaer\" }
        ",
        &["work", "`n`", "prepaer", "nearest", "`prepare`"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo {x}\"
        params.x = { type = \"str\", result = \"c\" }
        returns = \"str\"
        [tasks.b]
        shell = \"echo {x}\"
        params.x = { type = \"str\", result = \"a\" }
        returns = \"str\"
        [tasks.c]
        shell = \"echo {x}\"
        params.x = { type = \"str\", result = \"b\" }
        returns = \"str\"
        ",
        &["circle", "a", "b", "c", "->"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo x\"
        returns = \"str\"
        [tasks.b]
        shell = \"echo {x}\"
        params.x = { type = \"int\", result = \"a\" }
        ",
        &["`b`", "`x`", "int", "str"],
    );
    refused(
        "
        [tasks.lonely]
        array = true
        shell = \"echo\"
        ",
        &["lonely", "array"],
    );
    refused(
        "
        [tasks.list]
        shell = \"seq 2\"
        returns = \"list[int]\"
        output = \"lines\"
        [tasks.each]
        array = true
        shell = \"echo {n}\"
        params.n = { type = \"int\", result = \"list\" }
        returns = \"int\"
        [tasks.single]
        shell = \"echo {n}\"
        params.n = { type = \"int\", result = \"each\" }
        ",
        &["single", "collect with list[int]"],
    );
    refused(
        "
        [tasks.one]
        shell = \"echo 1\"
        returns = \"int\"
        [tasks.each]
        array = true
        shell = \"echo {n}\"
        params.n = { type = \"int\", result = \"one\" }
        ",
        &["each", "fan out a list, or `broadcast`"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo {backend}\"
        params.backend = { type = \"str\" }
        ",
        &["`a`", "`backend`", "--backend", "namespace = \"local\""],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo {n}\"
        params.n = { type = \"int\", default = 1 }
        [tasks.b]
        shell = \"echo {n}\"
        params.n = { type = \"str\", default = \"1\" }
        ",
        &["`b`", "`n`", "int", "str", "`a`"],
    );
    refused(
        "
        [tasks.\"../evil\"]
        shell = \"echo\"
        ",
        &["../evil"],
    );
    refused(
        "
        [tasks.a]
        shel = \"echo\"
        ",
        &["shel", "`shell`", "reflow.toml"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo {missing}\"
        ",
        &["tasks.a", "missing"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo '{text}'\"
        params.text = { type = \"str\" }
        ",
        &["tasks.a", "text", "values are quoted for you"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo $(( {text} ))\"
        params.text = { type = \"str\" }
        ",
        &["tasks.a", "text", "int"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo\"
        returns = \"lst[int]\"
        ",
        &["tasks.a", "lst[int]"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo {n}\"
        params.n = { type = \"int\", default = \"many\" }
        ",
        &["a", "n", "int", "many"],
    );
    refused(
        "
        [tasks.a]
        shell = \"echo\"
        time = \"soon\"
        ",
        &["tasks.a", "soon"],
    );
}

fn all_errors() {
    refused(
        "
        [tasks.one]
        shell = \"echo {n}\"
        params.n = { type = \"int\", result = \"nowhere\" }
        [tasks.two]
        array = true
        shell = \"echo\"
        [tasks.three]
        shell = \"echo {json}\"
        params.json = { type = \"str\" }
        ",
        &["`one`", "nowhere", "`two`", "`three`", "--json"],
    );
}

fn unreadable_files() {
    let program = Program::local();
    program
        .run(&["submit", "-w", "nowhere.toml", "--run-dir", "run"])
        .expect(2)
        .says(&["nowhere.toml"]);
    fs_err::create_dir(program.home().join("empty")).expect("home is writable");
    program
        .run(&["submit", "-w", "empty", "--run-dir", "run"])
        .expect(2)
        .says(&["empty", "reflow.toml"]);
    program.write(
        "syntax.toml",
        "[workflow]\nname = \"x\"\n[tasks.a]\nshell = echo\n",
    );
    program
        .run(&["submit", "-w", "syntax.toml", "--run-dir", "run"])
        .expect(2)
        .says(&["syntax.toml", "4", "9"]);
    fs_err::write(program.home().join("bytes.toml"), b"name = \"\xff\xfe\"")
        .expect("home is writable");
    program
        .run(&["submit", "-w", "bytes.toml", "--run-dir", "run"])
        .expect(2)
        .says(&["bytes.toml", "UTF-8"]);
    assert!(!program.home().join("run").exists());
}

const ONE: &str = "[workflow]\nname = \"one\"\n[tasks.one]\nshell = \"echo {n}\"\nparams.n = { type = \"int\" }\nreturns = \"int\"\n";

fn wrong_flags() {
    let program = Program::local();
    program.write("reflow.toml", ONE);
    let submit = ["submit", "-w", "reflow.toml", "--run-dir", "run"];
    let with = |more: &[&str]| -> Vec<String> {
        submit.iter().chain(more).map(|s| (*s).to_owned()).collect()
    };
    program.run(&submit).expect(2).says(&["--n"]);
    program
        .run(&with(&["--n", "many"]))
        .expect(2)
        .says(&["`n`", "many", "int"]);
    program
        .run(&with(&["--n", "1", "--m", "2"]))
        .expect(2)
        .says(&["--m"]);
    program
        .run(&[
            "submit",
            "-w",
            "reflow.toml",
            "--n",
            "1",
            "--backend",
            "slrum",
        ])
        .expect(2)
        .says(&["slrum", "slurm"]);
    program
        .run(&[
            "--backend",
            "slrum",
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            "run",
            "--n",
            "1",
        ])
        .expect(2)
        .says(&["slrum", "slurm"]);
    assert!(!program.home().join("run").exists());
}

fn run_directories() {
    let program = Program::local();
    program.write("reflow.toml", ONE);
    let submit = |directory: &str| {
        program.run(&[
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            directory,
            "--n",
            "1",
        ])
    };
    // Not even root can make a directory there.
    submit("/proc/reflow-run")
        .expect(2)
        .says(&["/proc/reflow-run"]);
    program.write("file", "in the way");
    submit("file").expect(2).says(&["file"]);
    submit("file/below").expect(2).says(&["file"]);
    submit("run").expect(0);
    submit("run").expect(2).says(&["run", "already"]);
    program.run(&["wait", "run"]).expect(0);
    submit("run").expect(2).says(&["run", "already"]);
}

fn no_batch_system() {
    let program = Program::slurm();
    program.write("reflow.toml", ONE);
    let empty = program.home().join("bin");
    fs_err::create_dir(&empty).expect("home is writable");
    let program = program.with_variable("PATH", empty.to_str().expect("UTF-8"));
    program
        .run(&[
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            "run",
            "--n",
            "1",
        ])
        .expect(3)
        .says(&["sbatch"]);
}

fn wrong_configuration() {
    let program = Program::local();
    program.write("reflow.toml", ONE);
    program.write("config.toml", "default_backnd = \"local\"\n");
    program
        .run(&[
            "--config",
            "config.toml",
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            "run",
            "--n",
            "1",
        ])
        .expect(2)
        .says(&["config.toml", "default_backnd", "default_backend"]);
    program.write(".config/reflow/config.toml", "[backend.slurm\n");
    program
        .run(&[
            "submit",
            "-w",
            "reflow.toml",
            "--run-dir",
            "run",
            "--n",
            "1",
        ])
        .expect(2)
        .says(&["config.toml:1"]);
    assert!(!program.home().join("run").exists());
}

fn unknown_runs() {
    let program = Program::local();
    program.write("reflow.toml", ONE);
    for command in ["status", "wait", "cancel"] {
        program
            .run(&[command, "nothing-like-it"])
            .expect(2)
            .says(&["nothing-like-it"]);
    }
    program
        .run(&["run", "-w", "reflow.toml", "--run-dir", "run", "--n", "1"])
        .expect(0);
    program
        .run(&["result", "run", "oen"])
        .expect(2)
        .says(&["oen", "`one`"]);
    program
        .run(&["result", "run", "one[3]"])
        .expect(2)
        .says(&["one"]);
}
