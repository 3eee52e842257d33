use std::collections::BTreeSet;

use reflow_core::scheduler::{DependencyKind, EndReason, Target, Walltime};

use super::Case;
use crate::rig::{Rig, after, wait_for};

pub(super) const CASES: &[Case] = &[
    ("workers_serve_every_index_once", once),
    ("the_exit_status_of_each_index_counts", statuses),
    (
        "a_cancelled_index_leaves_the_others_to_a_fresh_worker",
        cancelled,
    ),
    ("walltime_holds_for_each_index", walltime),
    ("an_index_whose_worker_dies_has_failed", dies),
    ("a_worker_that_talks_nonsense_is_ended", garbage),
    ("element_wise_children_are_served_too", element_wise),
];

fn once() {
    let rig = Rig::new();
    let job = rig.submit(&rig.served("append", 2000));
    assert!(
        rig.ends(&job)
            .iter()
            .all(|end| end.reason == EndReason::Completed)
    );
    let ran = rig.read("ran");
    let lines: Vec<(u32, u32)> = ran
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(index, process)| (index.parse().unwrap(), process.parse().unwrap()))
        .collect();
    assert_eq!(lines.len(), 2000);
    let indices: BTreeSet<u32> = lines.iter().map(|line| line.0).collect();
    assert_eq!(indices.len(), 2000);
    let workers: BTreeSet<u32> = lines.iter().map(|line| line.1).collect();
    assert!(workers.len() <= 2, "{} workers", workers.len());
    wait_for("the workers to end", || {
        workers
            .iter()
            .all(|worker| !std::path::Path::new(&format!("/proc/{worker}")).exists())
    });
}

fn statuses() {
    let rig = Rig::new();
    let job = rig.submit(&rig.served("fail", 10));
    let codes: Vec<Option<i32>> = rig.ends(&job).iter().map(|end| end.code).collect();
    assert_eq!(
        codes,
        (0..10).map(|index| Some(index % 2)).collect::<Vec<_>>()
    );
}

fn cancelled() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let job = rig.submit(&rig.served("sleep", 5));
    rig.wait_running(&job);
    rig.block_on(rig.connect().cancel(&[Target::element(job.clone(), 0)]))
        .unwrap();
    let reasons: Vec<EndReason> = rig.ends(&job).iter().map(|end| end.reason).collect();
    assert_eq!(reasons[0], EndReason::Cancelled);
    assert!(
        reasons[1..]
            .iter()
            .all(|reason| *reason == EndReason::Completed),
        "{reasons:?}"
    );
}

fn walltime() {
    let rig = Rig::with(serde_json::json!({"cpus": 1}));
    let mut request = rig.served("sleep", 3);
    request.resources.time = Some(Walltime::from_seconds(1));
    let reasons: Vec<EndReason> = rig
        .ends(&rig.submit(&request))
        .iter()
        .map(|end| end.reason)
        .collect();
    let ok = EndReason::Completed;
    assert_eq!(reasons, [EndReason::Walltime, ok, ok]);
}

fn dies() {
    let rig = Rig::new();
    let ends = rig.ends(&rig.submit(&rig.served("die", 4)));
    assert_eq!(
        (ends[1].reason, ends[1].signal),
        (EndReason::Failed, Some(6))
    );
    for other in [0, 2, 3] {
        assert_eq!(ends[other].reason, EndReason::Completed, "{other}");
    }
}

fn garbage() {
    let rig = Rig::new();
    let ends = rig.ends(&rig.submit(&rig.served("garbage", 4)));
    assert_eq!(ends[1].reason, EndReason::Failed);
    assert_eq!(
        ends[1].native.as_deref(),
        Some("the worker answered `hello`")
    );
    for other in [0, 2, 3] {
        assert_eq!(ends[other].reason, EndReason::Completed, "{other}");
    }
}

fn element_wise() {
    let rig = Rig::new();
    let parent = rig.submit(&rig.served("fail", 50));
    let request = rig.served("append", 50);
    let child = rig.submit(&after(request, &parent, DependencyKind::ElementWise));
    for (index, end) in rig.ends(&child).iter().enumerate() {
        let expected = if index % 2 == 0 {
            EndReason::Completed
        } else {
            EndReason::DependencyFailed
        };
        assert_eq!(end.reason, expected, "{index}");
    }
    assert_eq!(rig.read("ran").lines().count(), 25);
}
