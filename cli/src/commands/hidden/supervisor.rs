use std::process::ExitCode;

use super::{Exit, Options};
use crate::error::CliError;

/// Runs the supervisor of local runs until it is idle or stopped.
pub(super) fn execute(options: &Options) -> Result<ExitCode, CliError> {
    reflow_backend_local::supervise(&options.path("dir")?)?;
    Ok(Exit::Done.into())
}
