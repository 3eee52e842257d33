//! Runs whose processes are killed: what they have made counts, and nothing that was half made.

use std::path::Path;
use std::time::Duration;

use reflow_tests::{Case, Program, Random, figure, is_set};

use crate::case;
use crate::series::{Series, text};

pub(crate) const CASES: &[Case] = &[
    case("what_killed_runs_have_made_is_right", killed),
    case("a_run_that_was_cancelled_leaves_what_it_made", cancelled),
];

/// Two arrays of files and of large values, and what gathers. Bodies are slow enough to be hit.
const TASKS: &str = r#"
    [tasks.list]
    shell = "echo list >> $BODIES; seq 12"
    returns = "list[int]"
    output = "lines"
    retries = 20
    [tasks.make]
    array = true
    retries = 20
    shell = "echo make {n} >> $BODIES; sleep 0.05; mkdir -p out; echo {n} > out/{n}; echo {run_dir}/out/{n}"
    params.n = { type = "int", result = "list" }
    returns = "file"
    [tasks.large]
    array = true
    retries = 20
    shell = "echo large >> $BODIES; sleep 0.05; head -c 5000 /dev/zero | tr '\\0' x; cat {file}"
    params.file = { type = "file", result = "make" }
    returns = "str"
    [tasks.bytes]
    shell = "echo bytes >> $BODIES; cat {all:file} | tr -d '\\n' | wc -c"
    params.all = { type = "list[str]", result = "large" }
    returns = "int"
    retries = 20
"#;

/// What `bytes` gives: twelve times 5000 bytes, and the digits of the numbers.
const BYTES: u64 = 12 * 5000 + 9 + 3 * 2;

fn killed() {
    let rounds = if is_set("REFLOW_TEST_FULL") { 12 } else { 2 };
    for seed in 1..=rounds {
        figure(format_args!("seed {seed}"));
        one(&mut Random::new(seed));
    }
}

fn one(random: &mut Random) {
    let series = Series::of(Program::local().with_variable("REFLOW_LATENCY", "1s"));
    series.workflow(TASKS);
    let directory = series.submit(&[]);
    let mut kills = 0;
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(random.below(250)));
        let processes = processes_of(&series.path(&directory));
        if !processes.is_empty() {
            kill(*random.one(&processes));
            kills += 1;
        }
    }
    // Also those that wait are killed, and somebody waits again.
    let mut waits = 0;
    while series.program.run(&["wait", "-q", &directory]).code != Some(0) {
        waits += 1;
        assert!(waits < 20, "it ends at last, after {kills} kills");
        series.program.run(&["retry", &directory]).expect(0);
    }
    let value =
        |directory: &str| series.program.json(&["result", directory, "bytes"])["value"].clone();
    assert_eq!(value(&directory), BYTES);
    series.new_bodies();
    let again = series.run(&[]);
    again.is_cached();
    assert_eq!(series.value(&again, "bytes"), BYTES);
    for index in 0..12 {
        let content = series.content(&again, &format!("make[{index}]"));
        assert_eq!(content, format!("{}\n", index + 1));
    }
}

/// Returns the processes that work on a run, as workers or as those who plan.
fn processes_of(run_dir: &Path) -> Vec<i32> {
    let run_dir = text(run_dir);
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").expect("this is Linux").flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = fs_err::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let is_ours = line.contains(run_dir);
        if is_ours && (line.contains("\0worker\0") || line.contains("\0dispatch\0")) {
            found.push(id);
        }
    }
    found
}

fn kill(process: i32) {
    let Some(process) = rustix::process::Pid::from_raw(process) else {
        return;
    };
    // It may have ended in between.
    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
}

fn cancelled() {
    let series = Series::new();
    series.workflow(&TASKS.replace("sleep 0.05; mkdir", "sleep 0.3; mkdir"));
    let directory = series.submit(&[]);
    reflow_tests::wait_for("some elements to end", || {
        series.path(&directory).join("out/3").exists()
    });
    series.program.run(&["cancel", &directory]).expect(0);
    series.program.run(&["wait", "-q", &directory]).expect(1);
    let status = series.program.json(&["status", &directory]);
    let made = status["tasks"][1]["elements"]["succeeded"]
        .as_u64()
        .expect("a number");
    assert!((1..12).contains(&made), "{status}");
    series.new_bodies();
    let again = series.run(&[]);
    assert_eq!(again.counts("list"), (0, 1));
    assert_eq!(again.counts("make"), (12 - made, made));
    assert_eq!(series.value(&again, "bytes"), BYTES);
}
