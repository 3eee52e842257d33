//! Cancelling.

use std::os::unix::process::ExitStatusExt;

use crate::rig::{Rig, Row, check};

#[test]
fn qdel_answers_as_observed() {
    let rig = Rig::open();
    let ended = rig.submit(&["ok.sh"]);
    rig.end(&ended);
    let rows: &[Row] = &[
        (&["qdel", "0"], 35, "", "qdel: Job has finished 0.localhost"),
        (
            &["qdel", "99999"],
            153,
            "",
            "qdel: Unknown Job Id 99999.localhost",
        ),
    ];
    check(&rig, rows);
    let id = rig.submit(&["-h", "ok.sh"]);
    let program = fs_err::read_to_string(rig.fake.bin().join("qdel")).unwrap();
    fs_err::write(
        rig.fake.bin().join("qdel"),
        program.replace(" --as", " --user somebody --as"),
    )
    .unwrap();
    check(
        &rig,
        &[(
            &["qdel", &id],
            159,
            "",
            "qdel: Unauthorized Request  1.localhost",
        )],
    );
}

#[test]
fn the_queued_and_the_running_are_deleted() {
    let rig = Rig::open();
    let queued = rig.submit(&["-h", "ok.sh"]);
    assert_eq!(rig.run(&["qdel", &queued]).code, Some(0));
    let job = rig.end(&queued);
    assert_eq!(job["substate"], 91);
    assert!(job.get("Exit_status").is_none());
    let running = rig.submit(&["sleep.sh"]);
    rig.state(&running, "R");
    assert_eq!(rig.run(&["qdel", &running]).code, Some(0));
    let job = rig.end(&running);
    // "qdel, default script in bash `sleep`: 143 (128+15 from the shell); other times 271 (256+15)".
    assert!(
        [143, 271].contains(&job["Exit_status"].as_i64().unwrap()),
        "{job:#}"
    );
    assert_eq!(job["substate"], 91);
    let comment = job["comment"].as_str().unwrap();
    assert!(comment.contains(" and terminated by "), "{comment}");
}

#[test]
fn elements_are_deleted_by_their_indices() {
    let rig = Rig::open();
    let id = rig.submit(&["-h", "-J", "0-4", "ok.sh"]);
    assert_eq!(rig.run(&["qdel", "0[1]"]).code, Some(0));
    assert_eq!(rig.run(&["qdel", "0[2-3]"]).code, Some(0));
    let element = rig.state("0[1]", "X");
    // "Element deleted before it ran: substate 91, `Exit_status` 0 in history (1 while array active)".
    assert_eq!(element["substate"], 91);
    assert_eq!(element["Exit_status"], 1);
    assert_eq!(rig.jobs()["0[4]"]["job_state"], "H");
    assert_eq!(rig.run(&["qdel", "0[]"]).code, Some(0));
    rig.end(&id);
    assert_eq!(rig.jobs()["0[1]"]["Exit_status"], 0);
}

#[test]
fn an_array_first_and_others_after_it_crash_the_client() {
    let rig = Rig::open();
    let array = rig.submit(&["-h", "-J", "0-1", "ok.sh"]);
    let plain = rig.submit(&["-h", "ok.sh"]);
    let output = rig
        .fake
        .client("qdel")
        .args([&array, &plain])
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(6));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "double free or corruption (fasttop)\n"
    );
    assert_eq!(rig.jobs()[&plain]["job_state"], "H");
    assert_eq!(rig.run(&["qdel", &plain, &array]).code, Some(0));
    rig.end(&plain);
    rig.end(&array);
}

#[test]
fn history_can_be_removed() {
    let rig = Rig::open();
    let id = rig.submit(&["ok.sh"]);
    rig.end(&id);
    assert_eq!(rig.run(&["qdel", "-x", &id]).code, Some(0));
    assert_eq!(rig.run(&["qstat", "-x", &id]).code, Some(153));
}

#[test]
fn signals_reach_the_elements() {
    let rig = Rig::open();
    rig.write("exec.sh", "exec sleep 60\n");
    let id = rig.submit(&["-J", "0-1", "--", "/bin/sleep", "60"]);
    rig.state("0[1]", "R");
    assert_eq!(rig.run(&["qsig", "-s", "USR2", &id]).code, Some(0));
    rig.end(&id);
    assert_eq!(rig.jobs()["0[1]"]["Exit_status"], 268);
}

#[test]
fn a_fake_leaves_nothing() {
    let rig = Rig::open();
    let path = rig.fake.directory().to_owned();
    let id = rig.submit(&["-o", "/dev/null", "-k", "oed", "sleep.sh"]);
    rig.state(&id, "R");
    drop(rig);
    assert!(!path.exists());
    let mark = path.display().to_string();
    let left: Vec<String> = fs_err::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs_err::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(&mark))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
