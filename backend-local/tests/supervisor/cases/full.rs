//! A full disk under the log.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};
use reflow_core::scheduler::{DependencyKind, EndReason, JobState, SchedulerErrorKind};
use rustix::process::Signal;

use crate::rig::{Rig, after, array, signal, wait_for};

/// Runs on a small file system.
type Run = fn(&Rig, &Path);

/// Returns the cases, which need the right to mount a file system.
pub(super) fn trials() -> Vec<Trial> {
    let cases: [(&str, Run); 2] = [
        (
            "on_a_full_disk_nothing_is_lost_and_all_goes_on_when_there_is_room",
            goes_on,
        ),
        ("a_supervisor_killed_on_a_full_disk_loses_nothing", killed),
    ];
    cases
        .into_iter()
        .map(|(name, case)| {
            Trial::ignorable_test(name, move || {
                let rig = Rig::with(serde_json::json!({"cpus": 2}));
                let Some(small) = Small::mount(rig.options().runtime_dir) else {
                    return Ok::<_, Failed>(Completion::ignored_with(
                        "needs the right to mount a small file system",
                    ));
                };
                case(&rig, &small.0);
                let _ = rig.block_on(reflow_backend_local::stop(rig.options(), true));
                Ok(Completion::Completed)
            })
        })
        .collect()
}

/// A small file system, gone at the end.
struct Small(PathBuf);

impl Small {
    fn mount(directory: PathBuf) -> Option<Self> {
        std::fs::create_dir(&directory).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs"];
        let mount = Command::new("mount").args(options).arg(&directory).output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then_some(Self(directory))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Leaves no room, not even in pages that are written already.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    path
}

/// Submits until the last page of the log is full too. Returns what the refusal says.
fn submit_until_refused(rig: &Rig) -> (usize, String) {
    for taken in 0..100 {
        match rig.block_on(rig.connect().submit(&rig.shell("echo x >> filling"))) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.error.kind(), SchedulerErrorKind::Io, "{error}");
                assert!(!error.may_exist, "{error}");
                return (taken, error.to_string());
            }
        }
    }
    panic!("a full disk took a hundred jobs");
}

fn goes_on(rig: &Rig, disk: &Path) {
    let line = "echo start$2 >> ran; while [ ! -e go ]; do sleep 0.02; done; echo end$2 >> ran";
    let job = rig.submit(&array(rig.shell(line), 6, None));
    let child = rig.submit(&after(
        rig.shell("echo child >> ran"),
        &job,
        DependencyKind::Ok,
    ));
    wait_for("two to run", || rig.read("ran").lines().count() == 2);
    let filler = fill(disk);
    let (taken, refusal) = submit_until_refused(rig);
    assert!(
        refusal.contains("could not write the job down") && refusal.contains("No space left"),
        "{refusal}"
    );
    // Two end, and others are started only as long as the rest of the last page has room for that.
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    wait_for("two to end", || rig.read("ran").matches("end").count() >= 2);
    wait_for("clients to be told", || {
        let status = rig.block_on(rig.connect().status(std::slice::from_ref(&job)));
        status.is_err_and(|error| {
            assert_eq!(error.kind(), SchedulerErrorKind::Io, "{error}");
            error.to_string().contains("cannot write its log")
        })
    });
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(
        !rig.read("ran").contains("child"),
        "nobody can know that all have ended"
    );
    std::fs::remove_file(filler).unwrap();
    finish(rig, &job, &child, taken);
}

fn killed(rig: &Rig, disk: &Path) {
    let line = "echo start$2 >> ran; while [ ! -e go ]; do sleep 0.02; done; echo end$2 >> ran";
    let job = rig.submit(&array(rig.shell(line), 6, None));
    let child = rig.submit(&after(
        rig.shell("echo child >> ran"),
        &job,
        DependencyKind::Ok,
    ));
    wait_for("two to run", || rig.read("ran").lines().count() == 2);
    let filler = fill(disk);
    let (taken, _) = submit_until_refused(rig);
    let watcher = rig.watcher();
    signal(rig.supervisor(), Signal::KILL);
    std::fs::write(rig.scratch().join("go"), "").unwrap();
    wait_for("two to end", || rig.read("ran").matches("end").count() == 2);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(rig.read("ran").matches("start").count(), 2);
    assert!(
        Path::new("/proc").join(watcher.to_string()).exists(),
        "the watcher tries again"
    );
    std::fs::remove_file(filler).unwrap();
    finish(rig, &job, &child, taken);
}

/// Checks that all runs to its end, once.
fn finish(rig: &Rig, job: &reflow_core::id::JobId, child: &reflow_core::id::JobId, taken: usize) {
    for end in rig.ends_surely(job) {
        assert_eq!(end.reason, EndReason::Completed, "{end:?}");
    }
    wait_for("the child to end", || {
        matches!(rig.status(child).state, JobState::Ended(_))
    });
    let ran = rig.read("ran");
    for index in 0..6 {
        for word in ["start", "end"] {
            let line = format!("{word}{index}");
            assert_eq!(
                ran.lines().filter(|other| **other == line).count(),
                1,
                "{line}"
            );
        }
    }
    assert!(ran.ends_with("child\n"), "{ran}");
    wait_for("what was taken to run", || {
        rig.read("filling").lines().count() == taken
    });
}
