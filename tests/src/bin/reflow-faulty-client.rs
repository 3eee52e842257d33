//! The program in front of a batch system's own, as `reflow_tests::faulty` makes them.

use std::process::ExitCode;

fn main() -> ExitCode {
    reflow_tests::faulty::run_client(std::env::args_os())
}
