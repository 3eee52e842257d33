//! Supervisors that are killed, and machines that go down.

use reflow_core::scheduler::{DependencyKind, EndReason, JobState, Target, Walltime};
use rustix::process::Signal;

use super::Case;
use crate::rig::{Rig, after, array, processes_with, signal, wait_for};

pub(super) const CASES: &[Case] = &[
    ("what_runs_outlives_a_killed_supervisor", outlives),
    ("nobody_has_to_call_for_the_rest_to_go_on", alone),
    ("workers_answer_the_next_supervisor", served),
    ("limits_and_cancels_outlive_a_killed_supervisor", limits),
    (
        "killed_with_its_watcher_it_is_started_by_the_next_client",
        with_watcher,
    ),
    ("what_may_run_again_does_when_it_is_lost", again),
    ("after_a_reboot_everything_open_is_lost", reboot),
];

/// Kills the watcher first, so that it cannot start another supervisor.
fn kill_both(rig: &Rig) {
    let supervisor = rig.supervisor();
    signal(rig.watcher(), Signal::KILL);
    signal(supervisor, Signal::KILL);
    let directory = rig.options().runtime_dir;
    wait_for("both to be gone", || {
        processes_with(directory.to_str().unwrap()).is_empty()
    });
}

/// Kills the supervisor, and waits for the next.
fn kill(rig: &Rig) {
    let before = rig.supervisor();
    let watcher = rig.watcher();
    signal(before, Signal::KILL);
    wait_for("the next supervisor", || {
        let pids = processes_with("supervisor\0--dir");
        pids.iter()
            .any(|(process, _)| *process != before && crate::rig::parent(*process) == Some(watcher))
    });
}

fn outlives() {
    let rig = Rig::with(serde_json::json!({"cpus": 3}));
    let ended = rig.submit(&rig.shell("exit 3"));
    let before = rig.end(&ended);
    let line = "echo x >> ran; (while [ ! -e go ]; do sleep 0.02; done); exit $2";
    let job = rig.submit(&array(rig.shell(line), 3, None));
    let child = rig.submit(&after(
        rig.shell("echo y >> ran"),
        &job,
        DependencyKind::NotOk,
    ));
    wait_for("all to run", || rig.read("ran") == "x\nx\nx\n");
    kill(&rig);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let states = rig.status(&job).elements;
    assert!(
        states
            .iter()
            .all(|element| matches!(element.state, JobState::Running { .. })),
        "{states:?}"
    );
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    let codes: Vec<Option<i32>> = rig.ends(&job).iter().map(|end| end.code).collect();
    assert_eq!(codes, [Some(0), Some(1), Some(2)], "each end is known");
    assert_eq!(rig.end(&child).reason, EndReason::Completed);
    assert_eq!(rig.read("ran"), "x\nx\nx\ny\n");
    assert_eq!(rig.end(&ended), before);
}

fn alone() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let first = rig.submit(&rig.shell("echo 1 >> ran; sleep 0.5; echo 2 >> ran"));
    let second = rig.submit(&after(
        rig.shell("echo 3 >> ran"),
        &first,
        DependencyKind::Ok,
    ));
    wait_for("it to run", || rig.read("ran") == "1\n");
    signal(rig.supervisor(), Signal::KILL);
    wait_for("the rest to run", || rig.read("ran") == "1\n2\n3\n");
    assert_eq!(rig.end(&second).reason, EndReason::Completed);
}

fn served() {
    let rig = Rig::new();
    let request = rig.served("slow", 60);
    let job = rig.submit(&request);
    for _ in 0..3 {
        let before = rig.read("ran").lines().count();
        wait_for("some to end", || {
            rig.read("ran").lines().count() > before + 12
        });
        kill(&rig);
    }
    let ends = rig.ends_surely(&job);
    let ran = rig.read("ran");
    for (index, end) in ends.iter().enumerate() {
        let count = |word: &str| {
            let line = format!("{word} s{index}");
            ran.lines().filter(|other| **other == line).count()
        };
        assert!(count("start") <= 1, "{index} ran twice");
        match end.reason {
            EndReason::Completed => assert_eq!(count("end"), 1, "{index}"),
            // It ended while nobody listened.
            EndReason::Lost => assert_eq!(count("start"), count("end"), "{index}"),
            other => panic!("{index}: {other:?}"),
        }
    }
    let lost = ends.iter().filter(|end| end.reason == EndReason::Lost);
    assert!(lost.count() <= 6, "two workers, three kills");
}

fn limits() {
    let rig = Rig::new();
    let mut limited = rig.shell("sleep 99861");
    limited.resources.time = Some(Walltime::from_seconds(2));
    let deaf = "trap '' TERM; touch on; while :; do sleep 0.1; done";
    let (limited, deaf) = (rig.submit(&limited), rig.submit(&rig.shell(deaf)));
    wait_for("it to run", || rig.scratch().join("on").exists());
    rig.block_on(rig.connect().cancel(&[Target::whole(deaf.clone())]))
        .unwrap();
    kill(&rig);
    let end = rig.end(&deaf);
    assert_eq!((end.reason, end.signal), (EndReason::Cancelled, Some(9)));
    let end = rig.end(&limited);
    assert_eq!((end.reason, end.signal), (EndReason::Walltime, Some(15)));
    let elapsed = end.elapsed.unwrap().as_millis();
    assert!((2000..20000).contains(&elapsed), "{elapsed} ms");
    assert!(processes_with("sleep\x0099861\0").is_empty());
}

fn with_watcher() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let line = "echo x >> ran; while [ ! -e go ]; do sleep 0.02; done; setsid sleep 99862 & exit 0";
    let running = rig.submit(&rig.shell(line));
    let pending = rig.submit(&rig.shell("echo y >> ran"));
    wait_for("it to run", || rig.read("ran") == "x\n");
    kill_both(&rig);
    // Asked for open work, it is started again.
    assert!(matches!(
        rig.status(&running).state,
        JobState::Running { .. }
    ));
    rig.supervisor();
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    let end = rig.end(&running);
    // Nobody was there to be told how it ended.
    assert_eq!((end.reason, end.code), (EndReason::Lost, None));
    assert_eq!(
        end.native.as_deref(),
        Some("the supervisor was killed while it ran, so that how it ended is not known")
    );
    assert_eq!(rig.end(&pending).reason, EndReason::Completed);
    assert_eq!(rig.read("ran"), "x\ny\n");
    assert!(
        processes_with("sleep\x0099862\0").is_empty(),
        "what it left behind is killed"
    );
}

fn again() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let line = "echo x >> ran; [ -e go ] || exec sleep 99863";
    let mut request = rig.shell(line);
    request.requeue = true;
    let again = rig.submit(&request);
    let sleeps = || processes_with("sleep\x0099863\0");
    wait_for("it to sleep", || !sleeps().is_empty());
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    kill_both(&rig);
    signal(sleeps()[0].0, Signal::KILL);
    assert_eq!(rig.end(&again).reason, EndReason::Completed);
    assert_eq!(rig.read("ran"), "x\nx\n");
}

/// What a machine leaves that goes down: no processes, and a log that tells of another life of it.
fn reboot() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let ended = rig.submit(&rig.shell("exit 3"));
    let before = rig.end(&ended);
    let running = rig.submit(&rig.shell("echo x >> ran; exec sleep 99864"));
    let pending = rig.submit(&array(rig.shell("echo y >> ran"), 3, None));
    let sleeps = || processes_with("sleep\x0099864\0");
    wait_for("it to sleep", || !sleeps().is_empty());
    kill_both(&rig);
    signal(sleeps()[0].0, Signal::KILL);
    let local = std::fs::read_dir(rig.options().runtime_dir.join("local")).unwrap();
    let log = local.last().unwrap().unwrap().path().join("jobs");
    let text = std::fs::read_to_string(&log).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()), "{text}");
    std::fs::write(&log, text.replace(boot.trim(), "an-earlier-one")).unwrap();

    let check = || {
        assert_eq!(rig.end(&running).reason, EndReason::Lost);
        for end in rig.ends(&pending) {
            assert_eq!((end.reason, end.started), (EndReason::Lost, None));
        }
        assert_eq!(rig.end(&ended), before);
    };
    check();
    let told = rig.end(&running).native;
    assert_eq!(told.as_deref(), Some("the machine was started anew"));
    let started = processes_with(rig.options().runtime_dir.to_str().unwrap());
    assert!(
        started.is_empty(),
        "asking for what is lost starts nothing: {started:?}"
    );
    // What is submitted next runs, and nothing of the past comes back.
    let next = rig.submit(&rig.shell("echo z >> ran"));
    assert_eq!(rig.end(&next).reason, EndReason::Completed);
    check();
    assert_eq!(rig.read("ran"), "x\nz\n");
}
