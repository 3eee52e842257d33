//! Random runs of the engine against a simulated cluster.
//!
//! `REFLOW_SIMULATION_RUNS` sets their number, `REFLOW_SIMULATION_SEED` the first seed; with
//! `REFLOW_SIMULATION_RUNS=1` a failing run is replayed from the seed that was printed, and with
//! `REFLOW_SIMULATION_KEEP=1` its directory stays.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use reflow_tests::simulation::{Summary, run};

#[expect(
    clippy::disallowed_methods,
    reason = "the runs are chosen by the environment, as cargo passes on nothing else to all tests"
)]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn every_run_ends_right_whatever_fails() {
    let runs = setting("REFLOW_SIMULATION_RUNS", 10_000);
    let first = setting("REFLOW_SIMULATION_SEED", 1);
    // Memory, where there is some: the runs are many and small.
    let base = PathBuf::from("/dev/shm");
    let base = if base.is_dir() {
        base
    } else {
        std::env::temp_dir()
    };
    let scratch = tempfile::Builder::new()
        .disable_cleanup(setting("REFLOW_SIMULATION_KEEP", 0) > 0)
        .tempdir_in(base)
        .expect("a scratch directory");
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut total = Summary::default();
        let mut faults = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + runs || faults.len() > 4 {
                return (total, faults);
            }
            match run(seed, scratch.path()) {
                Ok(summary) => {
                    total.bodies += summary.bodies;
                    total.submits += summary.submits;
                    total.rescues += summary.rescues;
                    total.seconds += summary.seconds;
                }
                Err(fault) => faults.push(fault),
            }
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("no panic"))
            .collect()
    });
    let mut faults = Vec::new();
    for (total, found) in results {
        println!("{total:?}");
        faults.extend(found);
    }
    println!("{runs} runs from seed {first}");
    assert!(
        faults.is_empty(),
        "replay with REFLOW_SIMULATION_RUNS=1 REFLOW_SIMULATION_SEED=<seed>\n{}",
        faults.join("\n")
    );
}
