//! Several processes that plan the same run, and holders of the lease that freeze and wake up later.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reflow_core::engine::RunState;
use reflow_tests::{Case, local_case, slow_case};
use rustix::process::{Pid, Signal, kill_process};

use crate::check::Look;
use crate::rig::{Backend, Rig};
use crate::side_by_side;
use crate::story::{self, Told};

pub(crate) const CASES: &[Case] = &[
    local_case("many_dispatches_at_once", many),
    local_case(
        "a_frozen_holder_that_was_replaced_by_cancel_does_nothing_more",
        frozen_and_cancelled,
    ),
    slow_case(
        "a_frozen_holder_is_replaced_and_harms_nobody_when_it_wakes_up",
        frozen_and_replaced,
    ),
    slow_case("a_frozen_worker_or_supervisor_goes_on", frozen_at_work),
];

/// Has the first task take so long that `submit` ends before: somebody else drives the run.
pub(crate) const SLOW_START: &str = "[ $REFLOW_TASK != seed ] || sleep 2";

/// Starts `wait` without waiting for it.
pub(crate) fn begin_wait(rig: &Rig) -> Child {
    let run = rig.run_dir();
    rig.program
        .command(&["wait", "--quiet", run.to_str().expect("home is UTF-8")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started")
}

/// Checks a run that came to its end with nothing lost.
fn whole(rig: &Rig, what: &str) {
    let mut told = Told::default();
    story::check_run(rig, 0, false, &mut told);
    told.faults.extend(rig.left_over());
    assert!(told.faults.is_empty(), "{what}: {:#?}", told.faults);
}

fn many() {
    for dispatch in ["login", "worker"] {
        let rig = Rig::new(
            Backend::Local,
            dispatch,
            4,
            SLOW_START,
            "* engine/take-lease 2 delay=50\n* journal/create 3 delay=100\n* engine/release 2 delay=300\n* engine/look-for-wake 1 delay=300\n",
        );
        rig.submit().expect(0);
        let mut waits: Vec<Child> = (0..6).map(|_| begin_wait(&rig)).collect();
        for wait in &mut waits {
            let status = wait.wait().expect("the child is ours");
            assert_eq!(status.code(), Some(1), "one element fails in every run");
        }
        whole(&rig, dispatch);
    }
}

/// Waits for the process that a fault has frozen.
fn frozen(rig: &Rig) -> Option<Pid> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        if let Some((_, pid)) = rig.fired().first() {
            return Pid::from_raw(*pid as i32);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn thaw(pid: Pid) {
    // A worker that does not end when it should may have been killed meanwhile.
    let _ = kill_process(pid, Signal::CONT);
}

/// Points at which a holder that is frozen can do harm later, if anything can.
const HOLDING: &[(&str, u32)] = &[
    ("engine/ingest", 2),
    ("engine/intent", 2),
    ("journal/append", 9),
    ("engine/submit", 2),
    ("local/ask", 2),
    ("local/hear", 3),
    ("engine/submitted", 3),
    ("pack/write", 2),
    ("file/link", 2),
    ("journal/sync", 5),
    ("ingest/close", 2),
    ("ingest/unspool", 1),
    ("submission/write", 3),
    ("engine/finish", 1),
    ("engine/release", 1),
];

/// Freezes `wait`, which drives the run, at a point; returns the rig, the child, and its pid.
fn freeze(point: &str, time: u32) -> (Rig, Child, Pid) {
    let plan = format!("wait {point} {time} freeze\n");
    let rig = Rig::new(Backend::Local, "login", 3, SLOW_START, &plan);
    rig.submit().expect(0);
    let child = begin_wait(&rig);
    let pid = frozen(&rig).unwrap_or_else(|| panic!("`wait` never reached {point}"));
    (rig, child, pid)
}

fn frozen_and_cancelled() {
    let points = [
        ("engine/submit", 2),
        ("local/ask", 4),
        ("journal/append", 9),
    ];
    side_by_side(
        &points,
        |(point, _)| point,
        |&(point, time)| {
            let (rig, mut child, pid) = freeze(point, time);
            rig.on_run("cancel").expect(0);
            let before = rig.feed();
            thaw(pid);
            child.wait().expect("the child is ours");
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(
                rig.feed().started,
                before.started,
                "{point}: started after cancel"
            );
            let look = Look::at(&rig.run_dir()).expect("the run can be read");
            assert_eq!(look.state, Some(RunState::Cancelled), "{point}");
            let wrong = look.disagrees(&rig.feed());
            assert!(wrong.is_empty(), "{point}: {wrong:?}");
            let left = rig.left_over();
            assert!(left.is_empty(), "{point}: {left:?}");
        },
    );
}

fn frozen_and_replaced() {
    side_by_side(
        HOLDING,
        |(point, _)| point,
        |&(point, time)| {
            let (rig, mut child, pid) = freeze(point, time);
            // It is there, and shows no sign of life: that takes half a minute to believe.
            rig.on_run("wait").expect(1);
            thaw(pid);
            let status = child.wait().expect("the child is ours");
            assert_eq!(
                status.code(),
                Some(1),
                "{point}: the run ended with one failure"
            );
            whole(&rig, point);
        },
    );
}

fn frozen_at_work() {
    let points = [
        ("worker spool/start", 3),
        ("worker worker/body", 5),
        ("worker spool/end", 4),
        ("worker spool/close", 2),
        ("worker owner/claim", 2),
        ("supervisor supervisor/record", 7),
        ("supervisor supervisor/spawn", 4),
        ("supervisor supervisor/answer", 5),
        ("supervisor supervisor/take-answer", 3),
    ];
    side_by_side(
        &points,
        |(place, _)| place,
        |&(place, time)| {
            let plan = format!("{place} {time} freeze\n");
            let rig = Rig::new(Backend::Local, "worker", 3, ":", &plan);
            let run = rig.run_dir();
            let run = run.to_str().expect("home is UTF-8");
            let mut submit = rig
                .program
                .command(&["submit", "--dispatch", "worker", "--run-dir", run])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program can be started");
            let pid = frozen(&rig).unwrap_or_else(|| panic!("nobody reached {place}"));
            std::thread::sleep(Duration::from_secs(3));
            thaw(pid);
            let status = submit.wait().expect("the child is ours");
            assert_eq!(status.code(), Some(0), "{place}");
            rig.on_run("wait").expect(1);
            whole(&rig, place);
        },
    );
}
