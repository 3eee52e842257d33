//! Run directories for tests.

use std::path::Path;

use serde_json::json;

use super::RunDir;

/// Makes a run of no tasks in `path`.
pub(crate) fn empty_run(path: &Path) -> RunDir {
    let path = RunDir::prepare(path).expect("prepared");
    let record = json!({
        "schema": 1, "run_id": "20260101-000000-abcdef", "created": "", "version": "0",
        "description": {"schema": 1, "name": "w", "tasks": []},
        "parameters": {"values": {}, "tasks": {}}, "backend": {},
        "capabilities": {
            "array_limit": null, "array_base": 0, "element_wise": true, "failed_parent": "runs",
            "after_not_ok": true, "not_before": true, "concurrency_limit": true,
            "element_cancel": true, "history": null, "submit_from_jobs": true,
            "serves_indices": false, "message_timeout": {"secs": 0, "nanos": 0}},
        "launcher": [], "dispatch": "job", "latency_ms": 0});
    RunDir::found(path, serde_json::from_value(record).expect("a record")).expect("a run")
}
