//! Output files.

use std::os::unix::fs::PermissionsExt;

use crate::rig::Rig;

fn mode(rig: &Rig, name: &str) -> u32 {
    let metadata = fs_err::metadata(rig.path(name)).expect("it was delivered");
    metadata.permissions().mode() & 0o777
}

#[test]
fn files_have_the_names_observed() {
    let rig = Rig::open();
    let plain = rig.submit(&["ok.sh"]);
    rig.end(&plain);
    assert_eq!(rig.read("ok.sh.o0"), "out\n");
    assert_eq!(rig.read("ok.sh.e0"), "err\n");
    assert_eq!(mode(&rig, "ok.sh.o0"), 0o600);
    let array = rig.submit(&["-N", "a", "-J", "0-3", "ok.sh"]);
    rig.end(&array);
    assert_eq!(rig.read("a.o1.3"), "out\n");
    assert_eq!(rig.read("a.e1.0"), "err\n");
    let readable = rig.submit(&["-W", "umask=0022", "-j", "oe", "-o", "both", "ok.sh"]);
    rig.end(&readable);
    assert_eq!(mode(&rig, "both"), 0o644);
    assert_eq!(rig.read("both"), "out\nerr\n");
}

#[test]
fn an_index_is_filled_in_for_arrays_alone() {
    let rig = Rig::open();
    let id = rig.submit(&["-J", "1-2", "-o", "out.^array_index^.txt", "ok.sh"]);
    rig.end(&id);
    assert_eq!(rig.read("out.2.txt"), "out\n");
    let id = rig.submit(&["-o", "single.^array_index^", "ok.sh"]);
    rig.end(&id);
    assert_eq!(rig.read("single.^array_index^"), "out\n");
}

#[test]
fn a_file_is_overwritten() {
    let rig = Rig::open();
    rig.write("here and there", "much more than that\n");
    let path = format!("host:{}", rig.path("here and there").display());
    let id = rig.submit(&["-o", &path, "-e", "/dev/null", "ok.sh"]);
    rig.end(&id);
    assert_eq!(rig.read("here and there"), "out\n");
}

#[test]
fn a_directory_gets_files_named_by_ids() {
    let rig = Rig::open();
    fs_err::create_dir(rig.path("dir")).unwrap();
    let array = rig.submit(&["-J", "1-2", "-o", "dir/", "-e", "dir", "ok.sh"]);
    rig.end(&array);
    assert_eq!(rig.read("dir/0[2].localhost.OU"), "out\n");
    assert_eq!(rig.read("dir/0[2].localhost.ER"), "err\n");
}

#[test]
fn a_missing_directory_holds_the_end_up_and_loses_the_output() {
    let rig = Rig::open();
    let id = rig.submit(&["-o", "missing/out", "ok.sh"]);
    let job = rig.state(&id, "E");
    assert!(job.get("Exit_status").is_none());
    let job = rig.end(&id);
    assert_eq!(job["Exit_status"], 0);
    assert!(!rig.path("missing").exists());
    let left = rig.fake.directory().join("undelivered/0.localhost.OU");
    assert_eq!(fs_err::read_to_string(left).unwrap(), "out\n");
    assert_eq!(rig.read("ok.sh.e0"), "err\n");
}

#[test]
fn output_is_seen_at_the_end_unless_it_is_written_directly() {
    let rig = Rig::open();
    rig.write("say.sh", "#!/bin/bash\necho said\nsleep 60\n");
    let spooled = rig.submit(&["-o", "spooled", "say.sh"]);
    let direct = rig.submit(&["-o", "direct", "-k", "oed", "say.sh"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !rig.path("direct").exists() || rig.read("direct").is_empty() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    rig.state(&spooled, "R");
    assert!(!rig.path("spooled").exists());
    for id in [&spooled, &direct] {
        rig.run(&["qdel", id]);
        rig.end(id);
    }
    assert_eq!(rig.read("spooled"), "said\n");
}
