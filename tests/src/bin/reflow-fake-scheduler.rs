//! The clients and the server of fake batch systems, see `reflow_tests::fake`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reflow_tests::fake::client::entry(std::env::args_os())
}
