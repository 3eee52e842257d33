//! Where Torque differs, by its documentation.

use std::time::{Duration, Instant};

use reflow_tests::fake::{Dialect, FakeOptions};

use crate::rig::Rig;

fn open() -> Rig {
    Rig::of(Dialect::Torque, FakeOptions::of(Dialect::Torque))
}

fn full(rig: &Rig, id: &str, is: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = rig.run(&["qstat", "-f", id]).stdout;
        if is(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn lists_of_indices_and_their_variable() {
    let rig = open();
    rig.write("show.sh", "echo $PBS_ARRAYID ${PBS_ARRAY_INDEX-unset}\n");
    let id = rig.submit(&["-t", "1,3-4%2", "-N", "a", "show.sh"]);
    assert_eq!(id, "0[]");
    full(&rig, "0[4]", |text| text.contains("job_state = C"));
    let text = full(&rig, "0[3]", |text| text.contains("exit_status = 0"));
    assert!(text.starts_with("Job Id: 0[3].localhost\n"), "{text}");
    assert_eq!(rig.read("a.o0-3"), "3 unset\n");
    let one = rig.submit(&["-t", "7", "show.sh"]);
    assert_eq!(one, "1[]");
}

#[test]
fn a_directory_is_set() {
    let rig = open();
    rig.write("where.sh", "pwd -P\n");
    let here = rig.work.path().canonicalize().unwrap();
    let here = here.display().to_string();
    let id = rig.submit(&["-d", &here, "-o", "out", "where.sh"]);
    full(&rig, &id, |text| text.contains("job_state = C"));
    assert_eq!(rig.read("out"), format!("{here}\n"));
}

#[test]
fn ends_have_names_and_numbers_of_their_own() {
    let rig = open();
    rig.write("sleep.sh", "sleep 60\n");
    let id = rig.submit(&["-N", "mine", "-l", "walltime=1", "sleep.sh"]);
    let text = full(&rig, &id, |text| text.contains("job_state = C"));
    assert!(text.contains("    exit_status = -11\n"), "{text}");
    assert!(text.contains("    start_time = "), "{text}");
    assert!(text.contains("    comp_time = "), "{text}");
    assert_eq!(rig.run(&["qselect", "-N", "mine"]).stdout, "0.localhost\n");
}

#[test]
fn xml_instead_of_json() {
    let rig = open();
    let id = rig.submit(&["-h", "-v", "A=<b>", "ok.sh"]);
    let said = rig.run(&["qstat", "-x", &id]);
    assert!(
        said.stdout
            .starts_with("<Data><Job><Job_Id>0.localhost</Job_Id>")
    );
    assert!(said.stdout.contains("<job_state>H</job_state>"));
    assert!(said.stdout.contains("A=&lt;b&gt;"));
    assert_eq!(rig.run(&["qstat", "-F", "json"]).code, Some(2));
}

#[test]
fn arrays_have_conditions_of_their_own() {
    let rig = open();
    let array = rig.submit(&["-t", "0-1", "ok.sh"]);
    let depend = format!("depend=afterokarray:{array}");
    let id = rig.submit(&["-W", &depend, "ok.sh"]);
    full(&rig, &id, |text| text.contains("exit_status = 0"));
}

#[test]
fn the_complete_are_forgotten_after_a_while() {
    let options = FakeOptions {
        history: Some(Duration::from_millis(500)),
        ..FakeOptions::of(Dialect::Torque)
    };
    let rig = Rig::of(Dialect::Torque, options);
    let id = rig.submit(&["ok.sh"]);
    full(&rig, &id, |text| text.contains("job_state = C"));
    full(&rig, &id, str::is_empty);
    assert_eq!(rig.run(&["qstat", "-f", &id]).code, Some(153));
    assert_eq!(rig.run(&["qdel", "-t", "3", "9[]"]).code, Some(153));
}
