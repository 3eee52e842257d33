//! Dependencies.

use serde_json::Value;

use crate::rig::Rig;

fn after(rig: &Rig, condition: &str) -> String {
    rig.submit(&["-W", &format!("depend={condition}"), "ok.sh"])
}

#[track_caller]
fn deleted(rig: &Rig, id: &str) {
    // "child DELETED by the server: `job_state F`, substate 92, NO Exit_status field, Hold_Types s."
    let job = rig.end(id);
    assert_eq!(job["substate"], 92, "{job:#}");
    assert_eq!(job.get("Exit_status"), None::<&Value>, "{job:#}");
    assert_eq!(job["Hold_Types"], "s", "{job:#}");
}

#[track_caller]
fn ran(rig: &Rig, id: &str) {
    let job = rig.end(id);
    assert_eq!(job["Exit_status"], 0, "{job:#}");
}

#[test]
fn a_parent_that_ends_decides() {
    let rig = Rig::open();
    let good = rig.submit(&["-h", "ok.sh"]);
    let bad = rig.submit(&["-h", "fail.sh"]);
    let ok = after(&rig, &format!("afterok:{good}"));
    let not_ok = after(&rig, &format!("afterok:{bad}"));
    let any = after(&rig, &format!("afterany:{good}:{bad}"));
    let failed = after(&rig, &format!("afternotok:{bad}"));
    let not_failed = after(&rig, &format!("afternotok:{good}"));
    let both = after(&rig, &format!("afterok:{good}:{bad}"));
    let mixed = after(&rig, &format!("afterok:{good},afterany:{bad}"));
    let job = rig.state(&ok, "H");
    assert_eq!(job["substate"], 22);
    assert_eq!(job["Hold_Types"], "s");
    assert_eq!(job["depend"], format!("afterok:{good}.localhost@localhost"));
    rig.run(&["qrls", &good]);
    rig.run(&["qrls", &bad]);
    for id in [&ok, &any, &failed, &mixed] {
        ran(&rig, id);
    }
    for id in [&not_ok, &not_failed, &both] {
        deleted(&rig, id);
    }
}

#[test]
fn the_deleted_take_their_own_children_along() {
    // "Three jobs in a row: A exits 3, B `afterok:A`, D `afterany:A:B`: B was deleted and D was deleted
    // too. With `afterany` throughout all three ran."
    let rig = Rig::open();
    let a = rig.submit(&["-h", "fail.sh"]);
    let b = after(&rig, &format!("afterok:{a}"));
    let d = after(&rig, &format!("afterany:{a}:{b}"));
    let any = after(&rig, &format!("afterany:{a}"));
    let both = after(&rig, &format!("afterany:{a}:{any}"));
    rig.run(&["qrls", &a]);
    deleted(&rig, &b);
    deleted(&rig, &d);
    ran(&rig, &any);
    ran(&rig, &both);
}

#[test]
fn a_parent_deleted_before_it_ran_holds_for_ever() {
    let rig = Rig::open();
    let parent = rig.submit(&["-h", "ok.sh"]);
    let ok = after(&rig, &format!("afterok:{parent}"));
    let any = after(&rig, &format!("afterany:{parent}"));
    assert_eq!(rig.run(&["qdel", &parent]).code, Some(0));
    rig.end(&parent);
    let other = rig.submit(&["ok.sh"]);
    rig.end(&other);
    for id in [&ok, &any] {
        let job = &rig.jobs()[id];
        assert_eq!(job["job_state"], "H");
        assert_eq!(job["substate"], 22);
        assert_eq!(rig.run(&["qdel", id]).code, Some(0));
        rig.end(id);
    }
}

#[test]
fn a_parent_deleted_while_it_ran_has_ended() {
    let rig = Rig::open();
    let parent = rig.submit(&["sleep.sh"]);
    let any = after(&rig, &format!("afterany:{parent}"));
    let failed = after(&rig, &format!("afternotok:{parent}"));
    rig.state(&parent, "R");
    rig.run(&["qdel", &parent]);
    ran(&rig, &any);
    ran(&rig, &failed);
}

#[test]
fn an_unknown_parent_ends_the_child_at_once() {
    let rig = Rig::open();
    for condition in ["afterok:99999", "afterany:99999"] {
        let id = after(&rig, condition);
        let job = rig.end(&id);
        assert_eq!(job.get("Exit_status"), None::<&Value>);
    }
}

#[test]
fn a_parent_in_history_still_decides() {
    let rig = Rig::open();
    let good = rig.submit(&["ok.sh"]);
    let bad = rig.submit(&["fail.sh"]);
    rig.end(&good);
    rig.end(&bad);
    ran(&rig, &after(&rig, &format!("afterok:{good}")));
    ran(&rig, &after(&rig, &format!("afterany:{bad}")));
    let id = after(&rig, &format!("afterok:{bad}"));
    assert_eq!(rig.end(&id).get("Exit_status"), None::<&Value>);
}

#[test]
fn the_element_that_ends_last_decides_for_its_array() {
    let rig = Rig::open();
    // "Element 0 of 0-2 failed early, last one ok: afterok child RAN, afternotok child was deleted."
    rig.write(
        "early.sh",
        "#!/bin/bash\n[ $PBS_ARRAY_INDEX = 0 ] && exit 1\nsleep 1\n",
    );
    let array = rig.submit(&["-h", "-J", "0-2", "early.sh"]);
    let ok = after(&rig, &format!("afterok:{array}"));
    let failed = after(&rig, &format!("afternotok:{array}"));
    rig.run(&["qrls", &array]);
    ran(&rig, &ok);
    deleted(&rig, &failed);
    // "Last-finishing one failed: afterok child deleted."
    rig.write(
        "late.sh",
        "#!/bin/bash\n[ $PBS_ARRAY_INDEX = 0 ] || exit 0\nsleep 1\nexit 1\n",
    );
    let array = rig.submit(&["-J", "0-2", "late.sh"]);
    deleted(&rig, &after(&rig, &format!("afterok:{array}")));
}

#[test]
fn an_array_waits_as_a_whole() {
    let rig = Rig::open();
    let parent = rig.submit(&["-J", "0-1", "sleep.sh"]);
    let depend = format!("depend=afterany:{parent}");
    let child = rig.submit(&["-J", "0-2", "-W", &depend, "ok.sh"]);
    rig.state("0[1]", "R");
    rig.run(&["qdel", "0[0]"]);
    rig.state("0[0]", "X");
    assert_eq!(rig.jobs()["1[2]"]["job_state"], "H");
    rig.run(&["qdel", "0[1]"]);
    rig.end(&child);
    assert_eq!(rig.jobs()["1[2]"]["Exit_status"], 0);
}
