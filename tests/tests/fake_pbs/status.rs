//! Status.

use reflow_tests::fake::{Dialect, FakeOptions};
use serde_json::Value;

use crate::rig::Rig;

#[test]
fn the_finished_and_the_unknown() {
    let rig = Rig::open();
    let id = rig.submit(&["ok.sh"]);
    rig.end(&id);
    let said = rig.run(&["qstat", &id]);
    assert_eq!(
        said.stderr,
        "qstat: 0.localhost Job has finished, use -x or -H to obtain historical job information\n"
    );
    assert_eq!(said.code, Some(35));
    let said = rig.run(&["qstat", "99999"]);
    assert_eq!(said.stderr, "qstat: Unknown Job Id 99999.localhost\n");
    assert_eq!(said.code, Some(153));
}

#[test]
fn known_ones_are_told_among_unknown_ones() {
    let rig = Rig::open();
    let first = rig.submit(&["-h", "ok.sh"]);
    let second = rig.submit(&["-h", "ok.sh"]);
    let said = rig.run(&["qstat", "-x", "-f", "-F", "json", &first, "99999", &second]);
    assert_eq!(said.code, Some(153));
    assert_eq!(said.stderr, "qstat: Unknown Job Id 99999.localhost\n");
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["pbs_version"], "23.06.06");
    assert_eq!(document["pbs_server"], "localhost");
    assert!(document["timestamp"].is_u64());
    let jobs = document["Jobs"].as_object().unwrap();
    assert_eq!(
        jobs.keys().collect::<Vec<_>>(),
        ["0.localhost", "1.localhost"]
    );
}

#[test]
fn nothing_has_no_jobs_in_it() {
    let rig = Rig::open();
    let said = rig.run(&["qstat", "-x", "-t", "-f", "-F", "json"]);
    assert_eq!(said.code, Some(0));
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(document.get("Jobs").is_none());
}

#[test]
fn without_history_the_finished_are_unknown_at_once() {
    let options = FakeOptions {
        history: None,
        ..FakeOptions::of(Dialect::OpenPbs)
    };
    let rig = Rig::with(options);
    let id = rig.submit(&["ok.sh"]);
    rig.wait(&id, "gone", Value::is_null);
    let said = rig.run(&["qstat", "-x", &id]);
    assert_eq!(said.code, Some(153));
    let said = rig.run(&["qstat", "-Bf"]);
    assert!(!said.stdout.contains("job_history_enable"));
}

#[test]
fn values_have_the_types_observed() {
    let rig = Rig::open();
    rig.write("seven.sh", "exit 7\n");
    let id = rig.submit(&["-N", "123", "-l", "walltime=90,mem=1gb", "seven.sh"]);
    let job = rig.end(&id);
    assert_eq!(job["Exit_status"], 7);
    assert_eq!(job["Priority"], 0);
    // "an all-digit Job_Name stayed a string".
    assert_eq!(job["Job_Name"], "123");
    assert_eq!(job["Resource_List"]["walltime"], "00:01:30");
    assert!(job["resources_used"]["walltime"].is_string());
    let comment = job["comment"].as_str().unwrap();
    assert!(comment.ends_with(" and failed"), "{comment}");
    // "Times are `"Sun Nov 22 16:39:13 2026"` strings."
    let time = job["ctime"].as_str().unwrap();
    assert!(
        jiff::civil::DateTime::strptime("%a %b %e %H:%M:%S %Y", time).is_ok(),
        "{time}"
    );
    assert_eq!(time.len(), 24);
}

#[test]
fn the_table_cuts_what_is_long() {
    let rig = Rig::open();
    rig.submit(&["-h", "-N", "a234567890123456", "-J", "0-9999", "ok.sh"]);
    let said = rig.run(&["qstat", "-t"]);
    let row = said.stdout.lines().last().unwrap();
    assert!(
        row.starts_with("0[9999].localhos* a23456789012345* "),
        "{row}"
    );
}

#[test]
fn jobs_are_selected() {
    let rig = Rig::open();
    let waiting = rig.submit(&["-h", "-N", "mine", "ok.sh"]);
    let ended = rig.submit(&["-N", "mine", "ok.sh"]);
    rig.submit(&["-h", "ok.sh"]);
    rig.end(&ended);
    let said = rig.run(&["qselect", "-N", "mine"]);
    assert_eq!(said.stdout, format!("{waiting}.localhost\n"));
    let said = rig.run(&["qselect", "-x", "-N", "mine"]);
    assert_eq!(said.stdout, "0.localhost\n1.localhost\n");
    let said = rig.run(&["qselect", "-u", "nobody-of-this-name"]);
    assert_eq!((said.stdout.as_str(), said.code), ("", Some(0)));
}

#[test]
fn the_server_tells_about_itself() {
    let rig = Rig::open();
    let said = rig.run(&["qstat", "-Bf"]);
    for line in [
        "    default_queue = workq",
        "    max_array_size = 10000",
        "    job_history_enable = True",
        "    flatuid = True",
    ] {
        assert!(said.stdout.lines().any(|own| own == line), "{line}");
    }
    let said = rig.run(&["qstat", "-Q", "-f", "-F", "json"]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["Queue"]["short"]["resources_max"]["ncpus"], 4);
    assert_eq!(document["Queue"]["closed"]["enabled"], "False");
    let said = rig.run(&["qstat", "--version"]);
    assert_eq!(said.stdout, "pbs_version = 23.06.06\n");
}
