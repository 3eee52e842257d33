//! Dependencies.

use std::time::Duration;

use reflow_tests::fake::Dialect;

use crate::rig::{BOTH, Lsf};

const INVALID: &str = "Dependency condition invalid or never satisfied";
const NOT_YET: &str = "Job dependency condition not satisfied";

/// What becomes of a child: it runs, or pends for ever with a reason.
#[test]
fn children_run_or_pend_by_how_their_parents_ended() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let done = lsf.bsub(&["-J", "pok", "true"]);
        let failed = lsf.bsub(&["exit 4"]);
        let array = lsf.bsub(&["-J", "pa[1-3]", "[ $LSB_JOBINDEX != 2 ]"]);
        let killed = lsf.bsub(&["-H", "true"]);
        lsf.run("bkill", &[&killed]);
        lsf.wait(&done, &["DONE"]);
        lsf.wait(&failed, &["EXIT"]);
        lsf.wait(&array, &["DONE", "EXIT", "DONE"]);
        lsf.wait(&killed, &["EXIT"]);
        let with = |text: &str| {
            text.replace("DONE", &done)
                .replace("FAILED", &failed)
                .replace("ARRAY", &array)
                .replace("KILLED", &killed)
        };
        let runs = [
            "done(DONE)",
            "DONE",
            "ended(DONE)",
            "ended(FAILED)",
            "ended(KILLED)",
            "exit(FAILED)",
            "exit(FAILED,4)",
            "started(DONE)",
            "post_done(DONE)",
            "done(DONE) && ended(FAILED)",
            "done(FAILED) || done(DONE)",
            "!done(FAILED)",
            "done(\"pok\")",
            "done(pok)",
            "ended(ARRAY)",
            "numended(ARRAY,*)",
            "numdone(ARRAY, >1)",
            "done(ARRAY[1])",
            "done(ARRAY[1,3])",
            "done(pa[1])",
        ];
        let ids: Vec<_> = runs
            .iter()
            .map(|expression| lsf.bsub(&["-w", &with(expression), "true"]))
            .collect();
        let never = [
            "done(FAILED)",
            "done(KILLED)",
            "exit(DONE)",
            "exit(FAILED,5)",
            "done(ARRAY)",
            "done(ARRAY[1-2])",
            "done(DONE) && done(FAILED)",
        ];
        let held: Vec<_> = never
            .iter()
            .map(|expression| lsf.bsub(&["-w", &with(expression), "touch ran"]))
            .collect();
        let waits = lsf.bsub(&["-w", &with("numdone(ARRAY,*)"), "touch ran"]);
        for id in ids {
            lsf.wait(&id, &["DONE"]);
        }
        let host = if dialect == Dialect::OpenLava {
            ": 1 host;"
        } else {
            ";"
        };
        for id in &held {
            lsf.until("a reason", || lsf.long("bjobs", id).contains(INVALID));
            assert_eq!(lsf.states(id), ["PEND"]);
            let short = lsf.run("bjobs", &["-p", id]).out;
            assert!(short.contains(&format!(" {INVALID}{host}\n")), "{short}");
        }
        // "`numdone(43,*)` with one failed | pends for ever, reason stays `Job dependency condition not
        // satisfied`".
        assert!(
            lsf.long("bjobs", &waits)
                .contains(&format!(" {NOT_YET};\n"))
        );
        assert!(!lsf.path("ran").exists());
        // "The backend must bkill it."
        lsf.run("bkill", &[&held[0]])
            .is(&format!("Job <{}> is being terminated", held[0]), "", 0);
        lsf.wait(&held[0], &["EXIT"]);
    }
}

/// "A exits 3, B `done(A)`, D `ended(A) && ended(B)`: B and D still PEND a minute later."
#[test]
fn three_in_a_row_stand_still_behind_a_failure() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let a = lsf.bsub(&["exit 3"]);
        let b = lsf.bsub(&["-w", &format!("done({a})"), "true"]);
        let d = lsf.bsub(&["-w", &format!("ended({a}) && ended({b})"), "true"]);
        lsf.wait(&a, &["EXIT"]);
        lsf.until("a reason", || lsf.long("bjobs", &b).contains(INVALID));
        assert_eq!(
            (lsf.states(&b), lsf.states(&d)),
            (vec!["PEND".into()], vec!["PEND".into()])
        );
        assert!(lsf.long("bjobs", &d).contains(NOT_YET));
        lsf.run("bkill", &[&b]);
        lsf.wait(&d, &["DONE"]);
    }
}

#[test]
fn elements_wait_each_for_its_own() {
    for dialect in BOTH {
        let lsf = Lsf::start(dialect);
        let parent = lsf.bsub(&["-J", "pa[1-3]", "[ $LSB_JOBINDEX != 2 ]"]);
        for expression in [
            format!("done({parent}[*])"),
            "done(\"pa[*]\")".to_owned(),
            "done(pa[*])".to_owned(),
        ] {
            let id = lsf.bsub(&["-J", "e[1-3]", "-w", &expression, "true"]);
            lsf.wait(&id, &["DONE", "PEND", "DONE"]);
            assert!(lsf.long("bjobs", &format!("{id}[2]")).contains(INVALID));
        }
        let id = lsf.bsub(&["-J", "e[1-3]", "-w", &format!("ended({parent}[*])"), "true"]);
        lsf.wait(&id, &["DONE"; 3]);
        let words = "Unknown batch system error number 131. Job not submitted.";
        let other = lsf.bsub(&["-J", "o[2-4]", "true"]);
        for (name, parent) in [("e[1-3]", &other), ("e[1-4]", &parent), ("e", &parent)] {
            let expression = format!("done({parent}[*])");
            lsf.run("bsub", &["-J", name, "-w", &expression, "true"])
                .is("", words, 255);
        }
    }
}

/// "A parent that was already purged from mbatchd's memory (CLEAN_PERIOD, 1 h default) is "No matching
/// job found": a late submit with -w fails."
#[test]
fn a_parent_that_is_forgotten_is_not_found() {
    for dialect in BOTH {
        let lsf = Lsf::with(dialect, |options| {
            options.history = Some(Duration::from_millis(500));
        });
        let id = lsf.bsub(&["true"]);
        lsf.until("the job to be forgotten", || {
            lsf.run("bjobs", &[&id]).code != 0 || lsf.states(&id).is_empty()
        });
        let said = lsf.run("bsub", &["-w", &format!("ended({id})"), "true"]);
        said.is(
            "",
            &format!("{id}: No matching job found. Job not submitted."),
            255,
        );
        // "`bhist -l 42` works after the job left bjobs (reads the event log)".
        assert!(lsf.long("bhist", &id).contains("Done successfully"));
    }
}

#[test]
fn ibm_removes_orphans_when_asked() {
    let lsf = Lsf::start(Dialect::Lsf);
    let parent = lsf.bsub(&["exit 3"]);
    let expression = format!("done({parent})");
    let orphan = lsf.bsub(&["-w", &expression, "-ti", "true"]);
    let stays = lsf.bsub(&["-w", &expression, "true"]);
    lsf.wait(&orphan, &["EXIT"]);
    assert!(lsf.long("bjobs", &orphan).contains("TERM_ORPHAN_SYSTEM"));
    assert_eq!(lsf.states(&stays), ["PEND"]);
    let lsf = Lsf::with(Dialect::Lsf, |options| options.lsf.removes_orphans = true);
    let parent = lsf.bsub(&["exit 3"]);
    let orphan = lsf.bsub(&["-w", &format!("done({parent})"), "true"]);
    lsf.wait(&orphan, &["EXIT"]);
}
