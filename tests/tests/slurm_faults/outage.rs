//! Something that a run needs is away for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use reflow_tests::{
    Calls, Case, Program, Rig, end_of, ends_by_itself, figure, now_ms, wait_for, wait_within,
};
use serde_json::{Value, json};

use crate::{LONG, case};

pub(crate) const CASES: &[Case] = &[
    case(
        "a_node_set_down_under_a_task_fails_it_and_the_run_ends",
        node_down,
    ),
    case(
        "a_controller_away_for_a_minute_costs_a_run_nothing",
        controller_away,
    ),
    case(
        "a_controller_that_hangs_while_a_worker_submits_doubles_nothing",
        controller_hangs,
    ),
    case(
        "a_database_that_hangs_and_one_that_is_away_cost_a_run_nothing",
        database_away,
    ),
    case(
        "a_node_that_falls_silent_under_a_task_is_made_up_for_by_a_retry",
        node_silent,
    ),
    case(
        "submitting_to_a_controller_that_is_away_says_so",
        nobody_there,
    ),
    case(
        "without_accounting_killed_and_failed_elements_are_found",
        no_accounting,
    ),
];

const LONG_TASK: &str = r#"
    [workflow]
    name = "long"
    [tasks.long]
    shell = "touch {run_dir}/started; sleep 600"
    returns = "int"
    [tasks.after]
    shell = "echo {n}"
    params.n = { type = "int", result = "long" }
    returns = "int"
"#;

fn submitted(program: &Program, workflow: &str) -> String {
    program.write("reflow.toml", workflow);
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "run"]);
    submitted["run_id"].as_str().expect("a run id").to_owned()
}

fn failure_of<'a>(status: &'a Value, task: &str) -> &'a Value {
    status["failures"]
        .as_array()
        .and_then(|failures| failures.iter().find(|failure| failure["task"] == task))
        .unwrap_or_else(|| panic!("no failure of {task}: {status}"))
}

fn node_down() {
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    let run = submitted(&program, LONG_TASK);
    wait_for("the task to start", || {
        program.home().join("run/started").exists()
    });
    let queue = rig.queue();
    let node = queue
        .iter()
        .filter(|line| line.contains("RUNNING"))
        .find_map(|line| line.split(' ').nth(2).map(str::to_owned))
        .unwrap_or_else(|| panic!("nothing runs: {queue:?}"));
    let node_is = |state: &str| {
        rig.slurm(
            "scontrol",
            &[
                "update",
                &format!("nodename={node}"),
                &format!("state={state}"),
                "reason=test",
            ],
        );
    };
    let began = now_ms();
    node_is("down");
    let end = ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!(
        "node down: known after {:.1} s, {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    node_is("resume");
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "failed", "{status}");
    let failure = failure_of(&status, "long");
    assert_eq!(failure["state"], "failed", "{status}");
    assert_eq!(failure["reason"], "node_failure", "{status}");
    assert!(failure["node"].is_string(), "{status}");
    assert_eq!(status["tasks"][1]["elements"]["skipped"], 1, "{status}");
}

/// Twelve elements behind a list, and their total. What runs is written to `starts`.
fn twelve(list: &str, work: &str) -> String {
    format!(
        r#"
        [workflow]
        name = "twelve"
        [tasks.list]
        shell = "{list}; seq 12"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        array_parallelism = 6
        shell = "echo {{n}} >> {{run_dir}}/starts; {work}; echo $(( {{n}} * 2 ))"
        params.n = {{ type = "int", result = "list" }}
        returns = "int"
        [tasks.total]
        shell = "echo total >> {{run_dir}}/starts; awk '{{ n += $1 }} END {{ print n }}' {{all:file}}"
        params.all = {{ type = "list[int]", result = "work" }}
        returns = "int"
        "#
    )
}

/// Checks that a run of [`twelve`] has done everything once.
fn did_everything_once(program: &Program, run: &str) {
    let status = program.json(&["status", run]);
    assert_eq!(status["state"], "succeeded", "{status}");
    assert_eq!(
        program.json(&["result", run, "total"])["value"],
        json!(12 * 13)
    );
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let starts = fs_err::read_to_string(program.home().join("run/starts"));
    for line in starts.expect("was written").lines() {
        *times.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(times.len(), 13, "{times:?}");
    assert!(times.values().all(|count| *count == 1), "{times:?}");
}

/// Submits a run of [`twelve`] and returns when its list is being made, which takes five seconds.
fn list_started(rig: &Rig) -> (Program, Calls, String) {
    let (program, calls) = Calls::of(rig.program());
    let workflow = twelve("touch {run_dir}/started; sleep 5", "sleep 1");
    let run = submitted(&program, &workflow);
    wait_for("the list to start", || {
        program.home().join("run/started").exists()
    });
    (program, calls, run)
}

/// Waits for the end of a run of [`twelve`] of which something was `away` since then, and checks that it has
/// done everything once.
fn ends_once(what: &str, away: u64, program: &Program, calls: &Calls, run: &str) {
    let end = ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!(
        "{what}: the run ended {:.1} s after that began, {}",
        (end - away) as f64 / 1e3,
        calls.count()
    ));
    did_everything_once(program, run);
}

fn controller_away() {
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    let run = submitted(&program, &twelve("true", "sleep 8"));
    let starts = program.home().join("run/starts");
    wait_for("the first elements to start", || {
        fs_err::read_to_string(&starts).is_ok_and(|text| text.lines().count() >= 4)
    });
    rig.stop("slurmctld");
    let away = now_ms();
    std::thread::sleep(Duration::from_mins(1));
    assert_eq!(
        end_of(&program.home().join("run")),
        None,
        "it cannot have ended"
    );
    rig.start_again();
    ends_once("controller away for 60 s", away, &program, &calls, &run);
}

/// What `sbatch` had sent when it gave up is read when the controller goes on: the job exists although the
/// submission failed.
fn controller_hangs() {
    let rig = Rig::start(&[]);
    let (program, calls, run) = list_started(&rig);
    rig.freeze("slurmctld");
    let away = now_ms();
    std::thread::sleep(Duration::from_secs(70));
    rig.thaw("slurmctld");
    ends_once("controller hangs for 70 s", away, &program, &calls, &run);
}

fn database_away() {
    let rig = Rig::start(&[]);
    let (program, calls, run) = list_started(&rig);
    rig.freeze("slurmdbd");
    let away = now_ms();
    ends_once("database hangs", away, &program, &calls, &run);
    rig.thaw("slurmdbd");
    rig.stop("slurmdbd");
    // A killed task needs what the batch system says.
    program.write("reflow.toml", LONG_TASK);
    let submitted = program.json(&["submit", "-w", "reflow.toml", "--run-dir", "second"]);
    let run = submitted["run_id"].as_str().expect("a run id").to_owned();
    wait_for("the task to start", || {
        program.home().join("second/started").exists()
    });
    let job = program.json(&["status", &run])["tasks"][0]["jobs"][0].clone();
    let began = now_ms();
    rig.slurm("scancel", &[job.as_str().expect("an id")]);
    let end = ends_by_itself(&program.home().join("second"), LONG);
    figure(format_args!(
        "database away: a cancelled task known after {:.1} s",
        (end - began) as f64 / 1e3
    ));
    let status = program.json(&["status", &run]);
    assert_eq!(
        failure_of(&status, "long")["reason"],
        "cancelled",
        "{status}"
    );
}

/// The node's daemon is gone, and its tasks go on: Slurm gives them up after `SlurmdTimeout`, and so does
/// reflow. What they still do cannot win.
fn node_silent() {
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    let run = submitted(
        &program,
        r#"
        [workflow]
        name = "silent"
        [tasks.long]
        retries = 1
        shell = """
        echo $SLURMD_NODENAME >> {run_dir}/starts
        if [ -e {run_dir}/first ]; then echo 2; exit; fi
        touch {run_dir}/first
        sleep 200
        echo late >> {run_dir}/starts
        echo 1"""
        returns = "int"
        [tasks.after]
        shell = "echo {n} >> {run_dir}/after; echo {n}"
        params.n = { type = "int", result = "long" }
        returns = "int"
        "#,
    );
    let starts = || {
        let text = fs_err::read_to_string(program.home().join("run/starts")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_for("the task to start", || !starts().is_empty());
    let node = starts()[0].clone();
    rig.stop(&format!("slurmd.{node}"));
    let began = now_ms();
    let end = ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!(
        "node silent: the run ended after {:.1} s (Slurm waits for 60 s), {}",
        (end - began) as f64 / 1e3,
        calls.count()
    ));
    let check = || {
        let status = program.json(&["status", &run]);
        assert_eq!(status["state"], "succeeded", "{status}");
        assert_eq!(
            program.json(&["result", &run, "after"])["value"],
            json!(2),
            "the second try counts"
        );
        let after = fs_err::read_to_string(program.home().join("run/after"));
        assert_eq!(after.expect("it ran"), "2\n");
    };
    check();
    assert_ne!(
        starts().get(1),
        Some(&node),
        "the node is not used: {:?}",
        starts()
    );
    // The first try ends, late, and changes nothing.
    wait_within(Duration::from_mins(4), "the first try to end", || {
        starts().iter().any(|line| line == "late")
    });
    std::thread::sleep(Duration::from_secs(2));
    check();
}

fn nobody_there() {
    let rig = Rig::start(&[]);
    let (program, calls) = Calls::of(rig.program());
    rig.stop("slurmctld");
    program.write("reflow.toml", LONG_TASK);
    let began = now_ms();
    program
        .run(&["submit", "-w", "reflow.toml", "--run-dir", "run"])
        .expect(3)
        .says(&["Unable to contact slurm controller"]);
    let took = now_ms() - began;
    figure(format_args!(
        "submit without a controller: refused after {:.1} s, {}",
        took as f64 / 1e3,
        calls.count()
    ));
    // Slurm's own programs wait for one message timeout, 30 s here.
    assert!(took < 60_000, "{took} ms");
}

fn no_accounting() {
    let rig = Rig::start(&[("SLURM_RIG_ACCOUNTING", "no")]);
    let (program, calls) = Calls::of(rig.program());
    let run = submitted(
        &program,
        r#"
        [workflow]
        name = "unrecorded"
        [tasks.list]
        shell = "seq 0 3"
        returns = "list[int]"
        output = "lines"
        [tasks.work]
        array = true
        shell = """
        touch {run_dir}/started.{n}
        if [ {n} = 1 ]; then exit 3; fi
        if [ {n} = 2 ]; then sleep 600; fi
        echo {n}"""
        params.n = { type = "int", result = "list" }
        returns = "int"
        [tasks.each]
        array = true
        shell = "echo {n}"
        params.n = { type = "int", result = "work" }
        returns = "int"
        [tasks.total]
        shell = "echo {all}"
        params.all = { type = "list[int]", result = "work" }
        returns = "str"
        "#,
    );
    wait_for("the elements to start", || {
        (0..4).all(|n| program.home().join(format!("run/started.{n}")).exists())
    });
    let mut element = None;
    wait_for("the third element to be left", || {
        let running: Vec<String> = (rig.queue().into_iter())
            .filter(|line| line.contains("RUNNING") && line.contains("work"))
            .collect();
        element = match &running[..] {
            [line] => line.split(' ').next().map(str::to_owned),
            _ => None,
        };
        element.as_ref().is_some_and(|id| id.ends_with("_2"))
    });
    let killed = now_ms();
    rig.slurm("scancel", &[&element.expect("it was waited for")]);
    let end = ends_by_itself(&program.home().join("run"), LONG);
    figure(format_args!(
        "without accounting: a cancelled element known after {:.1} s, {}",
        (end - killed) as f64 / 1e3,
        calls.count()
    ));
    let status = program.json(&["status", &run]);
    assert_eq!(status["state"], "failed", "{status}");
    let work = &status["tasks"][1]["elements"];
    assert_eq!(work["succeeded"], 2, "{status}");
    assert_eq!(work["failed"], 1, "{status}");
    assert_eq!(work["cancelled"], 1, "{status}");
    let each = &status["tasks"][2]["elements"];
    assert_eq!(
        (&each["succeeded"], &each["skipped"]),
        (&json!(2), &json!(2)),
        "{status}"
    );
    assert_eq!(status["tasks"][3]["elements"]["skipped"], 1, "{status}");
    assert_eq!(failure_of(&status, "work")["exit_status"], 3, "{status}");
}
