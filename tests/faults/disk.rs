//! A disk that is full for a while, at any moment of a run.
//!
//! The run directory is on a small file system in memory. Another program fills it to the last byte, and
//! frees it some seconds later.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use libtest_mimic::{Completion, Trial};
use reflow_tests::{Outcome, Random};

use crate::drivers::{SLOW_START, begin_wait};
use crate::rig::{Backend, Rig};
use crate::side_by_side;
use crate::story::{self, Told};

/// Bytes of the file system: room for the pinned program and the run.
const SIZE: &str = "size=80m";

/// A file system of its own, gone when this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir_all(&at).expect("home is writable");
        let at_text = at.to_str().expect("home is UTF-8");
        run("mount", &["-t", "tmpfs", "-o", SIZE, "tmpfs", at_text]);
        Self(at)
    }

    /// Takes all space that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = fs::File::create(self.0.join("filling")).expect("a directory has room");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![b'.'; size]).is_ok() {}
        }
    }

    fn free(&self) {
        // Before it was filled there is nothing to remove.
        let _ = fs::remove_file(self.0.join("filling"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let at = self.0.to_str().expect("home is UTF-8");
        run("umount", &["--lazy", at]);
    }
}

fn run(program: &str, arguments: &[&str]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a tool of the test, no client of a batch system"
    )]
    let status = std::process::Command::new(program).args(arguments).status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{program} {arguments:?}: {status:?}"
    );
}

/// Returns the cases, which are ignored for all but root: nobody else can mount a file system.
pub(crate) fn trials() -> Vec<Trial> {
    let cases: [(&str, fn()); 3] = [
        ("submit_on_a_full_disk_says_so_and_works_later", submit),
        (
            "an_update_that_a_full_disk_has_stopped_is_given_again",
            update,
        ),
        (
            "a_disk_that_is_full_for_a_while_loses_nothing",
            full_for_a_while,
        ),
    ];
    let trial = |(name, run): (&str, fn())| {
        Trial::ignorable_test(name, move || {
            if !rustix::process::geteuid().is_root() {
                return Ok(Completion::ignored_with(
                    "only root can mount a file system to fill",
                ));
            }
            run();
            Ok(Completion::Completed)
        })
    };
    cases.into_iter().map(trial).collect()
}

fn rig() -> (Rig, Disk) {
    let rig = Rig::new(Backend::Local, "worker", 3, SLOW_START, "");
    let disk = Disk::mount(rig.run_dir());
    (rig, disk)
}

fn says_why(outcome: &Outcome) {
    assert!(
        outcome.stderr.contains("No space left on device") && outcome.stderr.contains("/run"),
        "`{}` does not say that the disk is full, and where: {}",
        outcome.arguments.join(" "),
        outcome.stderr
    );
}

/// A submission that finds no space says so, and works once there is some.
fn submit() {
    let (rig, disk) = rig();
    disk.fill();
    let refused = rig.submit();
    assert!(
        !matches!(refused.code, Some(0 | 70) | None),
        "{:?}: {}",
        refused.code,
        refused.stderr
    );
    says_why(&refused);
    disk.free();
    submit_at_last(&rig);
    rig.on_run("wait").expect(1);
    whole(&rig, "submit");
}

/// A retry with a new program of which only a part could be copied takes all of it the next time.
fn update() {
    let (rig, disk) = rig();
    rig.submit().expect(0);
    rig.on_run("wait").expect(1);
    rig.heal();
    // The loader does not mind what is behind the program.
    let program = rig.program.home().join("bin/reflow-faulty");
    let mut bytes = fs::read(&program).expect("it is ours");
    bytes.push(b'\n');
    // Other runs have links to it.
    fs::remove_file(&program).expect("it is ours");
    fs::write(&program, bytes).expect("home is writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("it is ours");

    disk.fill();
    let run = rig.run_dir();
    let retry = ["retry", run.to_str().expect("home is UTF-8"), "--update"];
    let refused = rig.program.run(&retry);
    assert_ne!(refused.code, Some(0), "{}", refused.stderr);
    says_why(&refused);
    disk.free();
    rig.program.run(&retry).expect(0);
    rig.on_run("wait").expect(0);
    whole(&rig, "update");
}

/// Submits until there is a run, doing what messages say.
fn submit_at_last(rig: &Rig) {
    for _ in 0..10 {
        if rig.run_dir().join(".reflow/run.json").exists() {
            return;
        }
        let submitted = rig.submit();
        if submitted.stderr.contains("has begun and not ended") {
            fs::remove_dir_all(rig.run_dir().join(".reflow")).expect("it is there");
        }
    }
    panic!("no run could be submitted");
}

fn whole(rig: &Rig, what: &str) {
    let mut told = Told::default();
    story::check_run(rig, 0, false, &mut told);
    told.faults.extend(rig.left_over());
    assert!(told.faults.is_empty(), "{what}: {:#?}", told.faults);
}

/// Fills the disk at moments all over a run, and frees it a little later.
fn full_for_a_while() {
    let moments: Vec<Moment> = (0..8)
        .map(|number| {
            let mut random = Random::new(number);
            Moment {
                name: format!("moment {number}"),
                start: Duration::from_millis(random.below(3500)),
                length: Duration::from_millis(500 + random.below(3000)),
            }
        })
        .collect();
    side_by_side(&moments, |moment| &moment.name, fill_at);
}

struct Moment {
    name: String,
    start: Duration,
    length: Duration,
}

fn fill_at(moment: &Moment) {
    let (rig, disk) = rig();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let submitting = scope.spawn(|| rig.submit());
        std::thread::sleep(moment.start.saturating_sub(begin.elapsed()));
        disk.fill();
        let mut wait = exists(&rig.run_dir()).then(|| begin_wait(&rig));
        std::thread::sleep(moment.length);
        disk.free();
        let submitted = submitting.join().expect("it does not panic");
        if submitted.code != Some(0) {
            says_why(&submitted);
        }
        if let Some(wait) = &mut wait {
            let code = wait.wait().expect("the child is ours").code();
            assert_ne!(code, Some(70), "a full disk is no fault of reflow");
        }
    });
    submit_at_last(&rig);
    rig.on_run("wait").expect(1);
    whole(&rig, &moment.name);
}

fn exists(run_dir: &Path) -> bool {
    run_dir.join(".reflow/run.json").exists()
}
