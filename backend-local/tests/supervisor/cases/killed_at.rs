//! A supervisor, or the process that watches over it, killed at each of its fault points, once, while
//! elements run and wait. Nothing runs twice, nothing is lost.

use libtest_mimic::{Failed, Trial};
use reflow_backend_local::FAULT_POINTS;
use reflow_core::scheduler::{EndReason, Memory, Target};

use crate::rig::{Rig, array, faults, wait_for};

/// How many elements each of two arrays has.
const COUNT: u32 = 20;

/// Holds more than it may, for as long as it may.
const FAT: &str = "(head -c 150000000 /dev/zero; sleep 60) | tail -n 1 > /dev/null";

/// Returns a case for each point, in the `REFLOW_TEST_FULL` suite several.
pub(super) fn trials() -> Vec<Trial> {
    let is_full = std::env::var_os("REFLOW_TEST_FULL").is_some();
    let counts: &[u32] = if is_full {
        &[1, 2, 3, 5, 8, 13]
    } else {
        &[1, 4]
    };
    let points = FAULT_POINTS
        .iter()
        .filter(|point| !point.starts_with("local/"));
    points
        .flat_map(|point| counts.iter().map(|count| (*point, *count)))
        .map(|(point, count)| {
            Trial::test(format!("killed_at_{point}_{count}"), move || {
                killed_at(point, count);
                Ok::<(), Failed>(())
            })
        })
        .collect()
}

fn killed_at(point: &str, count: u32) {
    let mut rig = Rig::with(serde_json::json!({"cpus": 4, "kill_wait": 1}));
    let scratch = rig.scratch();
    rig.environment.insert(
        faults::VARIABLE.to_owned(),
        format!("{point} {count} {}", scratch.display()),
    );
    // One that has to be killed, and leaves something behind.
    let deaf = rig.submit_surely(&rig.shell(
        "setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & trap '' TERM; touch on; wait",
    ));
    let line = "echo start d$2 >> ran; sleep 0.03; echo end d$2 >> ran";
    let mut request = array(rig.shell(line), COUNT, None);
    request.resources.mem = Some(Memory::from_bytes(100 << 20));
    let direct = rig.submit_surely(&request);
    // One that has to be killed for its memory.
    let mut request = array(rig.shell(FAT), 1, None);
    request.resources.mem = Some(Memory::from_bytes(50 << 20));
    let fat = rig.submit_surely(&request);
    let served = rig.submit_surely(&rig.served("slow", COUNT));
    wait_for("it to run", || scratch.join("on").exists());
    wait_for("the cancel to be taken", || {
        let targets = [Target::whole(deaf.clone())];
        rig.block_on(rig.connect().cancel(&targets)).is_ok()
    });
    let fat = rig.ends_surely(&fat);
    assert_eq!(fat[0].reason, EndReason::Memory, "{fat:?}");
    let (direct, served) = (rig.ends_surely(&direct), rig.ends_surely(&served));
    wait_for("the cancelled one to end", || {
        let status = rig.block_on(rig.connect().status(std::slice::from_ref(&deaf)));
        status.is_ok_and(|status| status[0].state.is_ended())
    });
    let ran = rig.read("ran");
    let check = |letter: char, ends: &[reflow_core::scheduler::ExitStatus]| {
        assert_eq!(ends.len(), COUNT as usize);
        let mut unknown = 0;
        for (index, end) in ends.iter().enumerate() {
            let count = |word: &str| {
                let line = format!("{word} {letter}{index}");
                ran.lines().filter(|other| **other == line).count()
            };
            let (starts, stops) = (count("start"), count("end"));
            assert!(starts <= 1, "{letter}{index} ran twice");
            assert_eq!(starts, stops, "{letter}{index} was stopped");
            match end.reason {
                EndReason::Completed => assert_eq!(stops, 1, "{letter}{index}"),
                EndReason::Lost => unknown += 1,
                other => panic!("{letter}{index}: {other:?} {end:?}"),
            }
        }
        unknown
    };
    // Everything that a process of its own runs is known to the end, unless the one is killed that knows.
    if !point.starts_with("watcher/") {
        assert_eq!(check('d', &direct), 0, "{direct:?}");
    }
    // A worker whose supervisor is gone may have ended before the next one could ask it.
    assert!(check('s', &served) <= 4, "{served:?}");
    wait_for("the supervisor to end", || {
        rig.block_on(reflow_backend_local::stop(rig.options(), true))
            .is_ok()
    });
}
