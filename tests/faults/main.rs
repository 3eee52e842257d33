//! Runs that survive: processes are ended, frozen and delayed between any two steps of I/O, and files are
//! damaged; nothing is lost, and nothing is done twice.
//!
//! Every body appends a line to a file when it starts and another when it ends: what was computed how
//! often is seen there, whatever the run says of itself.

mod check;
mod damage;
mod disk;
mod drivers;
mod kills;
mod plan;
mod rig;
mod story;
mod workload;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use reflow_tests::{Case, run_cases};

fn main() -> ExitCode {
    let cases: Vec<Case> = [kills::CASES, drivers::CASES, damage::CASES].concat();
    let exit = run_cases(&cases);
    let disk = libtest_mimic::run(&Arguments::from_args(), disk::trials());
    rig::tidy();
    if disk.has_failed() {
        ExitCode::FAILURE
    } else {
        exit
    }
}

/// Runs something for all of `these` at the same time, since it mostly waits. Panics with all that went
/// wrong.
fn side_by_side<T: Sync>(these: &[T], name: fn(&T) -> &str, run: impl Fn(&T) + Sync) {
    let run = &run;
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = these
            .iter()
            .map(|this| scope.spawn(move || run(this)))
            .collect();
        let ended = threads.into_iter().zip(these);
        ended
            .filter_map(|(thread, this)| {
                let panic = thread.join().err()?;
                let text = panic.downcast_ref::<String>().cloned();
                Some(format!("{}: {}", name(this), text.unwrap_or_default()))
            })
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
