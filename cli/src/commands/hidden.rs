//! The commands that jobs and reflow itself run. Their form is no promise: the program that submitted
//! a run is pinned with it.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a hidden command, if the arguments name one.
pub(crate) fn execute(_arguments: &[OsString]) -> Option<ExitCode> {
    None
}
