//! Memory limits: who uses more than it asked for is killed, and nobody else.

use reflow_backend_local::{MemoryLimits, memory_limits};
use reflow_core::scheduler::{EndReason, ExitStatus, JobRequest, Memory};

use super::Case;
use crate::rig::{Rig, array, processes_with};

pub(super) const CASES: &[Case] = &[
    ("who_uses_more_than_it_asked_for_is_killed", || {
        direct("auto");
    }),
    ("where_memory_is_measured_it_is_killed_too", || {
        direct("measured");
    }),
    ("a_worker_loses_the_index_that_used_too_much", || {
        served("auto");
    }),
    ("where_memory_is_measured_so_does_it", || served("measured")),
    ("what_escapes_the_group_of_its_process_counts", escaped),
    ("the_peak_of_a_served_index_is_told", peak),
    ("limits_can_be_switched_off", off),
];

/// Holds that many megabytes in a grandchild, for as long as it may.
fn hog(megabytes: u32, seconds: &str) -> String {
    format!("(head -c {megabytes}000000 /dev/zero; sleep {seconds}) | tail -n 1 > /dev/null")
}

fn limited(mut request: JobRequest, megabytes: u64) -> JobRequest {
    request.resources.mem = Some(Memory::from_bytes(megabytes << 20));
    request
}

fn check_killed(end: &ExitStatus) {
    assert_eq!(end.reason, EndReason::Memory, "{end:?}");
    let told = end.native.as_deref().unwrap();
    let (peak, rest) = told
        .strip_prefix("it used ")
        .unwrap()
        .split_once(' ')
        .unwrap();
    assert_eq!(rest, "MiB of memory, and its limit is 100M");
    assert!(
        (100..=1000).contains(&peak.parse::<u32>().unwrap()),
        "{told}"
    );
    let peak = end.peak_memory.unwrap().bytes() >> 20;
    assert!((100..=1000).contains(&peak), "{peak} MiB");
}

fn direct(how: &str) {
    let rig = Rig::with(serde_json::json!({"cpus": 3, "mem_limits": how}));
    let line = format!(
        "[ $2 = 1 ] || {{ sleep 0.5; exit 0; }}; {}",
        hog(300, "99851")
    );
    let job = rig.submit(&limited(array(rig.shell(&line), 3, None), 100));
    let ends = rig.ends(&job);
    check_killed(&ends[1]);
    for other in [0, 2] {
        assert_eq!(ends[other].reason, EndReason::Completed, "{other}");
    }
    assert!(processes_with("sleep\x0099851\0").is_empty());
}

fn served(how: &str) {
    let rig = Rig::with(serde_json::json!({"cpus": 2, "mem_limits": how}));
    let job = rig.submit(&limited(rig.served("fat", 6), 100));
    let ends = rig.ends(&job);
    check_killed(&ends[1]);
    for other in [0, 2, 3, 4, 5] {
        assert_eq!(ends[other].reason, EndReason::Completed, "{other}");
    }
}

fn escaped() {
    let rig = Rig::with(serde_json::json!({"mem_limits": "measured"}));
    let line = format!("setsid sh -c '{}' & wait", hog(300, "99852"));
    let job = rig.submit(&limited(rig.shell(&line), 100));
    check_killed(&rig.end(&job));
    assert!(processes_with("sleep\x0099852\0").is_empty());
}

fn peak() {
    let rig = Rig::new();
    let job = rig.submit(&limited(rig.served("fat", 2), 900));
    for (index, least) in [(0, 1), (1, 250)] {
        let end = &rig.ends(&job)[index];
        assert_eq!(end.reason, EndReason::Completed, "{end:?}");
        let peak = end.peak_memory.unwrap().bytes() >> 20;
        assert!((least..900).contains(&peak), "{index}: {peak} MiB");
    }
}

fn off() {
    let rig = Rig::with(serde_json::json!({"mem_limits": "off"}));
    let job = rig.submit(&limited(rig.shell(&hog(300, "0.5")), 100));
    assert_eq!(rig.end(&job).reason, EndReason::Completed);
    assert!(["groups", "measured"].contains(&memory_limits().as_str()));
    assert_ne!(MemoryLimits::Groups, MemoryLimits::Measured);
}
