//! A real supervisor in a process of its own, and real processes under it.
//!
//! This program is the tests, the supervisor that they start, and the workers that it starts.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests look at files and processes as they are"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "workers answer on standard output"
)]

mod cases;
mod rig;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("supervisor") => {
            rig::faults::install();
            let directory = arguments.last().expect("the directory comes last");
            match reflow_backend_local::supervise(directory.as_ref()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            }
        }
        Some("worker") => rig::worker::main(&arguments[2..]),
        _ => {
            let arguments = libtest_mimic::Arguments::from_args();
            libtest_mimic::run(&arguments, cases::all()).exit_code()
        }
    }
}
