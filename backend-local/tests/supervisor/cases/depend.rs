use reflow_core::id::JobId;
use reflow_core::scheduler::{DependencyKind, EndReason, JobState};

use super::Case;
use crate::rig::{Rig, after, array};

pub(super) const CASES: &[Case] = &[
    ("s5_all_kinds_hold_on_running_parents", running),
    ("s5_all_kinds_hold_on_ended_parents", ended),
    ("s5_a_parent_that_is_not_known_satisfies_any_alone", unknown),
    (
        "s5_element_wise_releases_and_drops_single_elements",
        element_wise,
    ),
    ("s5_not_before_is_kept", not_before),
];

/// What becomes of a child: whether it runs after a parent that succeeds, and one that fails.
const TABLE: [(DependencyKind, bool, bool); 5] = [
    (DependencyKind::Ok, true, false),
    (DependencyKind::Any, true, true),
    (DependencyKind::NotOk, false, true),
    (DependencyKind::ElementWise, true, false),
    (DependencyKind::ElementWiseAny, true, true),
];

fn expect(rig: &Rig, child: &JobId, runs: bool) {
    let end = rig.end(child);
    if runs {
        assert_eq!(end.reason, EndReason::Completed);
    } else {
        assert_eq!(end.reason, EndReason::DependencyFailed);
        assert_eq!(end.started, None);
    }
}

fn running() {
    let rig = Rig::new();
    let good = rig.submit(&rig.shell("sleep 0.5"));
    let bad = rig.submit(&rig.shell("sleep 0.5; false"));
    let children: Vec<_> = TABLE
        .iter()
        .map(|(kind, after_good, after_bad)| {
            let child = |parent| rig.submit(&after(rig.shell("true"), parent, *kind));
            (child(&good), *after_good, child(&bad), *after_bad)
        })
        .collect();
    assert!(matches!(
        rig.status(&children[1].0).state,
        JobState::Pending { .. }
    ));
    for (first, after_good, second, after_bad) in children {
        expect(&rig, &first, after_good);
        expect(&rig, &second, after_bad);
    }
}

fn ended() {
    let rig = Rig::new();
    let good = rig.submit(&rig.shell("true"));
    // One element is enough to fail the whole.
    let bad = rig.submit(&array(rig.shell("[ $2 != 1 ]"), 3, None));
    rig.end(&good);
    rig.end(&bad);
    for (kind, after_good, after_bad) in TABLE {
        expect(
            &rig,
            &rig.submit(&after(rig.shell("true"), &good, kind)),
            after_good,
        );
        if !kind.is_element_wise() {
            expect(
                &rig,
                &rig.submit(&after(rig.shell("true"), &bad, kind)),
                after_bad,
            );
        }
    }
}

fn unknown() {
    let rig = Rig::new();
    let gone = JobId::new("local-abcdefghijabcd-1").unwrap();
    for (kind, ..) in TABLE {
        let child = rig.submit(&after(rig.shell("true"), &gone, kind));
        let is_any = matches!(kind, DependencyKind::Any | DependencyKind::ElementWiseAny);
        expect(&rig, &child, is_any);
    }
}

fn element_wise() {
    let rig = Rig::new();
    let line = "case $2 in 0) while [ ! -e go ]; do sleep 0.02; done;; 1) exit 3;; esac";
    let parent = rig.submit(&array(rig.shell(line), 4, None));
    let request = array(rig.shell("echo $2 >> ran"), 4, None);
    let child = rig.submit(&after(request, &parent, DependencyKind::ElementWise));
    let grandchild = rig.submit(&after(rig.shell("true"), &child, DependencyKind::NotOk));
    crate::rig::wait_for("elements 2 and 3", || rig.read("ran").lines().count() == 2);
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    let reasons: Vec<EndReason> = rig.ends(&child).iter().map(|end| end.reason).collect();
    let ok = EndReason::Completed;
    assert_eq!(reasons, [ok, EndReason::DependencyFailed, ok, ok]);
    let mut ran: Vec<String> = rig.read("ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["0", "2", "3"]);
    expect(&rig, &grandchild, true);

    let request = array(rig.shell("echo $2 >> all"), 4, None);
    let child = rig.submit(&after(request, &parent, DependencyKind::ElementWiseAny));
    let reasons: Vec<EndReason> = rig.ends(&child).iter().map(|end| end.reason).collect();
    assert_eq!(reasons, [ok; 4]);

    let unequal = after(
        array(rig.shell("true"), 5, None),
        &parent,
        DependencyKind::ElementWise,
    );
    let error = rig.block_on(rig.connect().submit(&unequal)).unwrap_err();
    insta::assert_snapshot!(error, @"an element-wise dependency needs arrays of one length, and these have 4 and 5");
}

fn not_before() {
    let rig = Rig::new();
    let mut request = rig.shell("true");
    let earliest = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    request.not_before = Some(earliest);
    let end = rig.end(&rig.submit(&request));
    let late = end.started.unwrap() + std::time::Duration::from_millis(2);
    assert!(late >= earliest, "it started too early");
}
