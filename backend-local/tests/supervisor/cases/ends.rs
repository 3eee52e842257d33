use reflow_core::scheduler::{
    DependencyKind, EndReason, ExitStatus, JobState, Signal, Target, Walltime,
};

use super::Case;
use crate::rig::{Rig, after, array, processes_with, wait_for};

pub(super) const CASES: &[Case] = &[
    ("walltime_terminates_then_kills", walltime),
    ("a_signal_is_sent_ahead_of_the_walltime", ahead),
    ("c1_what_has_ended_or_is_unknown_is_no_error", ended),
    ("c2_pending_jobs_never_start", pending),
    ("c2_the_whole_tree_is_killed", tree),
    ("c2_a_job_that_hides_its_environment_is_killed_too", hidden),
    ("c3_other_elements_go_on", others),
    ("what_a_job_leaves_behind_is_killed", leftovers),
    (
        "what_a_job_leaves_behind_is_told_from_what_others_run",
        hidden_leftovers,
    ),
];

fn cancel(rig: &Rig, targets: &[Target]) {
    rig.block_on(rig.connect().cancel(targets)).unwrap();
}

fn walltime() {
    let rig = Rig::new();
    let mut polite = rig.shell("trap 'echo term > said; exit 0' TERM; sleep 1000 & wait");
    polite.resources.time = Some(Walltime::from_seconds(1));
    let mut deaf = rig.shell("trap '' TERM; while :; do sleep 1; done");
    deaf.resources.time = Some(Walltime::from_seconds(1));
    let (polite, deaf) = (rig.submit(&polite), rig.submit(&deaf));
    assert_eq!(rig.end(&polite).reason, EndReason::Walltime);
    assert_eq!(rig.read("said"), "term\n");
    let end = rig.end(&deaf);
    assert_eq!((end.reason, end.signal), (EndReason::Walltime, Some(9)));
    assert!(end.elapsed.unwrap().as_secs() >= 2, "{end:?}");
}

fn ahead() {
    let rig = Rig::new();
    let mut request =
        rig.shell("trap 'echo usr1 > said; exit 0' USR1; while :; do sleep 0.05; done");
    request.resources.time = Some(Walltime::from_seconds(30));
    request.resources.signal = Some(Signal {
        name: "USR1".to_owned(),
        before: Walltime::from_seconds(29),
    });
    let job = rig.submit(&request);
    // The signal goes to the whole tree, so that `sleep` may die of it; the shell must not.
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    assert_eq!(rig.read("said"), "usr1\n");
}

fn ended() {
    let rig = Rig::new();
    let job = rig.submit(&rig.shell("true"));
    let before = rig.end(&job);
    let strange = reflow_core::id::JobId::new("7").unwrap();
    let targets = [
        Target::whole(job.clone()),
        Target::element(job.clone(), 0),
        Target::element(job.clone(), 77),
        Target::whole(strange),
    ];
    cancel(&rig, &targets);
    assert_eq!(rig.end(&job), before);
}

fn pending() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let first = rig.submit(&rig.shell("sleep 1000"));
    let second = rig.submit(&array(rig.shell("echo x >> ran"), 3, None));
    let third = rig.submit(&after(
        rig.shell("echo x >> ran"),
        &second,
        DependencyKind::Ok,
    ));
    rig.wait_running(&first);
    cancel(&rig, &[Target::whole(second.clone())]);
    assert!(rig.status(&second).state.is_ended(), "at once");
    assert_eq!(rig.end(&third).reason, EndReason::DependencyFailed);
    cancel(&rig, &[Target::whole(first.clone())]);
    let end = rig.end(&first);
    assert_eq!((end.reason, end.signal), (EndReason::Cancelled, Some(15)));
    let last = rig.submit(&rig.shell("true"));
    rig.end(&last);
    assert_eq!(rig.read("ran"), "");
    assert!(
        rig.ends(&second)
            .iter()
            .all(|end| end.reason == EndReason::Cancelled && end.started.is_none())
    );
}

/// A line that starts sleeping processes in every way that escapes a process group.
fn escapes(seconds: &str) -> String {
    format!(
        "sleep {seconds} & setsid sleep {seconds} & setsid nohup sh -c 'trap \"\" TERM HUP; sleep {seconds} & sleep {seconds}' >/dev/null 2>&1 & \
         ( ( setsid sh -c 'sleep {seconds} & (sleep {seconds} &)' & ) & ) & "
    )
}

fn sleeping(seconds: &str) -> usize {
    processes_with(&format!("sleep\0{seconds}\0")).len()
}

fn tree() {
    let rig = Rig::new();
    let job = rig.submit(&rig.shell(&(escapes("99871") + "wait; sleep 99871")));
    wait_for("all to run", || sleeping("99871") == 6);
    cancel(&rig, &[Target::whole(job.clone())]);
    let end = rig.end(&job);
    assert_eq!(end.reason, EndReason::Cancelled);
    assert_eq!(
        sleeping("99871"),
        0,
        "nothing is left when it is told as ended"
    );
}

fn hidden() {
    let rig = Rig::new();
    let job = rig
        .submit(&rig.shell("env -i setsid sh -c 'sleep 99872 & sleep 99872' & sleep 99872; true"));
    wait_for("all to run", || sleeping("99872") == 3);
    cancel(&rig, &[Target::whole(job.clone())]);
    rig.end(&job);
    assert_eq!(sleeping("99872"), 0);
}

fn others() {
    let rig = Rig::new();
    let line = "case $2 in 0) sleep 1000;; *) while [ ! -e go ]; do sleep 0.02; done;; esac";
    let job = rig.submit(&array(rig.shell(line), 4, None));
    wait_for("two to run", || {
        let elements = rig.status(&job).elements;
        let runs = |at: usize| matches!(elements[at].state, JobState::Running { .. });
        runs(0) && runs(1)
    });
    cancel(
        &rig,
        &[
            Target::element(job.clone(), 0),
            Target::element(job.clone(), 3),
        ],
    );
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    let reasons: Vec<EndReason> = rig.ends(&job).iter().map(|end| end.reason).collect();
    let (ok, cancelled) = (EndReason::Completed, EndReason::Cancelled);
    assert_eq!(reasons, [cancelled, ok, ok, cancelled]);
}

fn hidden_leftovers() {
    let rig = Rig::new();
    let other = rig.submit(&rig.shell("env -i sleep 99884 & wait"));
    wait_for("it to run", || {
        !processes_with("sleep\x0099884\0").is_empty()
    });
    let job = rig.submit(&rig.shell("env -i sleep 99885 & exit 0"));
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    assert!(processes_with("sleep\x0099885\0").is_empty());
    assert_eq!(processes_with("sleep\x0099884\0").len(), 1);
    cancel(&rig, &[Target::whole(other)]);
}

fn leftovers() {
    let rig = Rig::new();
    let job = rig.submit(&rig.shell(&(escapes("99873") + "sleep 0.3; exit 0")));
    let end: ExitStatus = rig.end(&job);
    assert_eq!(end.reason, EndReason::Completed);
    assert_eq!(sleeping("99873"), 0);
}
