//! The program `reflow`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reflow::entry(std::env::args_os())
}
