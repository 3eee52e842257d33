//! Limits of the site on how many jobs a user may have, and jobs that the controller has forgotten.

use std::time::Duration;

use reflow_tests::{Calls, Case, Rig, ends_by_itself, figure, now_ms};
use serde_json::json;

use crate::{LONG, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "two_hundred_elements_under_a_limit_of_fifty_jobs",
        association,
    ),
    case(
        "a_qos_that_takes_fifty_jobs_is_met_in_the_same_way",
        quality_of_service,
    ),
    case(
        "where_nothing_can_be_queued_the_run_pauses_and_goes_on",
        nothing_fits,
    ),
    case(
        "a_child_of_a_forgotten_failed_parent_does_not_run",
        forgotten_parent,
    ),
];

const WIDE: &str = r#"
    [workflow]
    name = "wide"
    [tasks.list]
    shell = "seq 0 199"
    returns = "list[int]"
    output = "lines"
    [tasks.work]
    array = true
    shell = "echo {n} >> {run_dir}/starts; echo {n}"
    params.n = { type = "int", result = "list" }
    returns = "int"
    [tasks.total]
    shell = "awk '{ n += $1 } END { print n }' {all:file}"
    params.all = { type = "list[int]", result = "work" }
    returns = "int"
"#;

fn limited(limit: &[&str], what: &str) {
    let rig = Rig::start(&[("SLURM_RIG_LIMITS", "yes")]);
    rig.slurm("sacctmgr", &[&["-i", "modify"], limit].concat());
    let (program, calls) = Calls::of(rig.program());
    program.write("reflow.toml", WIDE);
    let began = now_ms();
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let end = ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!(
        "200 elements, {what}: {:.1} s, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(
        program.json(&["result", &run, "total"])["value"],
        json!(199 * 200 / 2)
    );
    let starts = fs_err::read_to_string(program.home().join("run/starts")).expect("was written");
    let mut elements: Vec<u32> = (starts.lines())
        .map(|line| line.parse().expect("a number"))
        .collect();
    elements.sort_unstable();
    assert_eq!(elements, (0..200).collect::<Vec<_>>());
}

fn association() {
    limited(
        &["user", "root", "set", "MaxSubmitJobs=50"],
        "at most 50 jobs of the user",
    );
}

fn quality_of_service() {
    limited(
        &["qos", "normal", "set", "MaxSubmitJobsPerUser=50"],
        "at most 50 jobs of the QOS",
    );
}

fn nothing_fits() {
    let rig = Rig::start(&[("SLURM_RIG_LIMITS", "yes")]);
    rig.slurm(
        "sacctmgr",
        &["-i", "modify", "user", "root", "set", "MaxSubmitJobs=20"],
    );
    let held = rig.slurm(
        "sbatch",
        &[
            "--parsable",
            "--hold",
            "--array=0-19",
            "--output=/dev/null",
            "--wrap=true",
        ],
    );
    let (program, calls) = Calls::of(rig.program());
    program.write("reflow.toml", &WIDE.replace("seq 0 199", "seq 0 9"));
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(3)
        .says(&["AssocMaxSubmitJobLimit"]);
    assert_eq!(program.json(&["status", "run"])["state"], "paused");
    rig.slurm("scancel", &[held.trim()]);
    program.run(&["wait", "run"]).expect(0);
    figure(format_args!("nothing fits: {}", calls.count()));
    assert_eq!(
        program.json(&["result", "run", "total"])["value"],
        json!(45)
    );
}

fn forgotten_parent() {
    // The controller forgets after 2 s, as it does after 300 s by default.
    let rig = Rig::start(&[("SLURM_RIG_MINJOBAGE", "2")]);
    let (program, calls) = Calls::of(rig.program());
    program.write(
        "reflow.toml",
        r#"
        [workflow]
        name = "forgotten"
        [tasks.bad]
        shell = "exit 4"
        returns = "int"
        [tasks.good]
        shell = "echo 5"
        returns = "int"
        [tasks.slow]
        shell = "sleep 100; seq 4"
        returns = "list[int]"
        output = "lines"
        [tasks.never]
        array = true
        shell = "touch {run_dir}/ran; echo {n} {b}"
        params.n = { type = "int", result = "slow" }
        params.b = { type = "int", result = "bad", broadcast = true }
        returns = "str"
        [tasks.runs]
        array = true
        shell = "echo $(( {n} + {b} ))"
        params.n = { type = "int", result = "slow" }
        params.b = { type = "int", result = "good", broadcast = true }
        returns = "int"
        "#,
    );
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    let mut most = 0;
    while most < 60 && reflow_tests::end_of(&program.home().join("run")).is_none() {
        std::thread::sleep(Duration::from_secs(1));
        most += 1;
    }
    let known = rig.slurm("squeue", &["--noheader", "--states=all", "--format=%i %T"]);
    assert!(
        !known.contains("FAILED"),
        "the failed parent is forgotten: {known}"
    );
    ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!("forgotten parents: {}", calls.count()));
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["tasks"][3]["elements"]["succeeded"], 0, "{status}");
    assert_eq!(status["tasks"][4]["elements"]["succeeded"], 4, "{status}");
    assert!(
        !program.home().join("run/ran").exists(),
        "it ran without its input"
    );
}
