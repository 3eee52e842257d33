//! Files of a run that another program has cut short, overwritten, or put there.
//!
//! `wait` drives the run and is killed once it has sent the first arrays: their results lie in the spool
//! when the damage is done, and a second `wait` finds them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use reflow_tests::{Case, local_case};

use crate::drivers::SLOW_START;
use crate::rig::{Backend, Rig};
use crate::side_by_side;
use crate::story::{self, Told};

pub(crate) const CASES: &[Case] = &[local_case(
    "files_cut_short_or_written_by_something_else_never_crash_a_run",
    damaged,
)];

/// A way to damage a run directory, and how many elements it may cost.
struct Damage {
    name: &'static str,
    /// Elements that may be lost.
    most: usize,
    apply: fn(&Path),
}

/// All elements of the workload: any may have its result in the spool by then.
const ALL: usize = 23;

const DAMAGES: &[Damage] = &[
    Damage {
        name: "results with foreign bytes behind them",
        most: 0,
        apply: |dir| {
            each(dir, "results", |_, bytes| {
                bytes.extend_from_slice(b"foreign\n");
            });
        },
    },
    Damage {
        name: "results cut by a byte",
        // That is in the frame that says that nothing follows.
        most: 0,
        apply: |dir| {
            each(dir, "results", |_, bytes| {
                bytes.pop();
            });
        },
    },
    Damage {
        name: "results cut in the middle",
        most: ALL,
        apply: |dir| each(dir, "results", |_, bytes| bytes.truncate(bytes.len() / 2)),
    },
    Damage {
        name: "results emptied",
        most: ALL,
        apply: |dir| each(dir, "results", |_, bytes| bytes.clear()),
    },
    Damage {
        name: "results overwritten with text",
        most: ALL,
        apply: |dir| {
            each(dir, "results", |_, bytes| {
                *bytes = b"#!/bin/sh\nnot a result\n".repeat(9);
            });
        },
    },
    Damage {
        name: "results with one bit flipped",
        most: ALL,
        apply: |dir| {
            each(dir, "results", |_, bytes| {
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 4;
                }
            });
        },
    },
    Damage {
        name: "foreign files and directories among the results",
        most: 0,
        apply: |dir| {
            for spool in folders(&dir.join("results")) {
                fs::write(spool.join(".nfs0001"), b"x").expect("writable");
                fs::write(spool.join("notes.txt"), b"x").expect("writable");
                fs::create_dir_all(spool.join("7/deep/deeper")).expect("writable");
                fs::write(spool.join("wrong"), [0xff; 40]).expect("writable");
            }
            fs::write(dir.join("results/README"), b"x").expect("writable");
        },
    },
    Damage {
        name: "foreign requests to plan again",
        most: 0,
        apply: |dir| {
            fs::write(dir.join("wake/foreign"), [0xff, 0xfe, 0]).expect("writable");
            fs::write(dir.join("wake/text"), b"please").expect("writable");
            fs::create_dir(dir.join("wake/folder")).expect("writable");
        },
    },
    Damage {
        name: "a journal with foreign bytes behind it, and a foreign file",
        most: 0,
        apply: |dir| {
            each(dir, "journal", |_, bytes| {
                bytes.extend_from_slice(b"foreign\n");
            });
            fs::write(dir.join("journal/backup~"), b"x").expect("writable");
        },
    },
    Damage {
        name: "packs cut short",
        most: ALL,
        apply: |dir| each(dir, "packs", |_, bytes| bytes.truncate(bytes.len() / 2)),
    },
    Damage {
        name: "owners overwritten",
        most: ALL,
        apply: |dir| {
            each(dir, "results", |path, bytes| {
                // Results stay: the files of owners lie beside the folders of results.
                if path
                    .extension()
                    .is_some_and(|extension| extension == "owner")
                {
                    *bytes = b"somebody".to_vec();
                }
            });
        },
    },
];

/// Changes each file below a folder in place, owners only where `change` asks for them.
fn each(dir: &Path, folder: &str, change: impl Fn(&Path, &mut Vec<u8>) + Copy) {
    for entry in fs::read_dir(dir.join(folder)).expect("it is there") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            let inside = path.strip_prefix(dir).expect("it is below");
            each(dir, inside.to_str().expect("a name of reflow"), change);
            continue;
        }
        let is_owner = path
            .extension()
            .is_some_and(|extension| extension == "owner" || extension == "closed");
        let before = fs::read(&path).expect("it is there");
        let mut bytes = before.clone();
        change(&path, &mut bytes);
        let is_about_owners = bytes == b"somebody";
        if bytes != before && is_owner == is_about_owners {
            let mut file = fs::File::create(&path).expect("writable");
            file.write_all(&bytes).expect("writable");
        }
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("it is there");
    entries
        .map(|entry| entry.expect("it is there").path())
        .filter(|path| path.is_dir())
        .collect()
}

fn damaged() {
    side_by_side(DAMAGES, |damage| damage.name, one);
}

fn one(damage: &Damage) {
    // The last of what follows from `seed`.
    let plan = "wait engine/submitted 8 kill\n";
    let rig = Rig::new(Backend::Local, "login", 3, SLOW_START, plan);
    rig.submit().expect(0);
    let first = rig.on_run("wait");
    assert_eq!(first.code, None, "it is killed: {}", first.stderr);
    wait_for_bodies(&rig);
    (damage.apply)(&rig.run_dir().join(".reflow"));
    let waited = rig.on_run("wait");
    assert_eq!(waited.code, Some(1), "one element fails: {}", waited.stderr);
    rig.on_run("status").expect(0);
    let mut told = Told::default();
    story::check_run(&rig, damage.most, true, &mut told);
    told.faults.extend(rig.left_over());
    if !told.faults.is_empty() {
        let at = rig.program.home().to_owned();
        rig.program.keep();
        panic!("{:#?}\nleft in {}", told.faults, at.display());
    }
}

/// Waits until all bodies that were sent have ended, and their workers with them.
fn wait_for_bodies(rig: &Rig) {
    let begin = Instant::now();
    let mut before = 0;
    let mut still = 0;
    while begin.elapsed() < Duration::from_secs(30) && still < 5 {
        std::thread::sleep(Duration::from_millis(100));
        let feed = rig.feed();
        let ended: u32 = feed.ended.values().sum();
        let is_still = ended == before && feed.ended.contains_key(&("batched".to_owned(), 2));
        still = if is_still { still + 1 } else { 0 };
        before = ended;
    }
}
