//! Calls of the engine.

use std::path::PathBuf;

use reflow_core::engine::RunStatus;
use reflow_core::id::{RunId, TaskName, WorkflowName};
use reflow_core::rundir::{BackendRecord, RunDir};
use reflow_core::scheduler::Scheduler;
use reflow_core::workflow::{Bound, Graph};
use serde_json::Value;

use crate::context::Context;
use crate::error::CliError;

pub(crate) struct Submission {
    pub(crate) graph: Graph,
    pub(crate) parameters: Bound,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) run_dir: PathBuf,
    pub(crate) run_id: RunId,
    pub(crate) backend: BackendRecord,
}

pub(crate) struct ElementLog {
    pub(crate) task: TaskName,
    pub(crate) index: Option<u32>,
    pub(crate) attempt: u32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) path: PathBuf,
}

fn missing() -> CliError {
    CliError::request("not in this version")
}
pub(crate) fn status(_: &RunDir) -> Result<RunStatus, CliError> {
    Err(missing())
}
pub(crate) fn result(_: &RunDir, _: &TaskName, _: Option<u32>) -> Result<Value, CliError> {
    Err(missing())
}
pub(crate) fn logs(_: &RunDir, _: &TaskName, _: Option<u32>) -> Result<Vec<ElementLog>, CliError> {
    Err(missing())
}
pub(crate) fn new_run_id(name: &WorkflowName) -> RunId {
    RunId::new(format!("{name}-1")).expect("x")
}
pub(crate) async fn submit(_: &Context, _: Submission) -> Result<RunDir, CliError> {
    Err(missing())
}
pub(crate) async fn dispatch(_: &RunDir, _: &dyn Scheduler) -> Result<(), CliError> {
    Err(missing())
}
