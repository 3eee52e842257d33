//! Named points between steps of I/O, where tests end, freeze or delay a process.
//!
//! A process that was killed may have stopped anywhere. These points are where it makes a difference:
//! before and after everything that others can see. Outside tests nothing is installed, and a point
//! costs one load.

use std::sync::OnceLock;

static HOOK: OnceLock<fn(&'static str)> = OnceLock::new();

/// The points of this crate, sorted. What a point is about comes before the slash: `file` is any file
/// that is published whole, wherever it goes; the others are named after the part of a run directory,
/// or after the program, that they belong to.
pub const POINTS: &[&str] = &[
    "command/ended",
    "command/give",
    "command/start",
    "engine/cancel",
    "engine/cancel-request",
    "engine/checkpoint",
    "engine/find",
    "engine/finish",
    "engine/ingest",
    "engine/intent",
    "engine/log-folder",
    "engine/look-for-wake",
    "engine/release",
    "engine/request",
    "engine/retry-request",
    "engine/status",
    "engine/submit",
    "engine/submitted",
    "engine/take-lease",
    "engine/verdict",
    "engine/write-submission",
    "file/create",
    "file/link",
    "file/rename",
    "file/sync",
    "file/unlink",
    "file/write",
    "ingest/close",
    "ingest/close-remembered",
    "ingest/unspool",
    "journal/append",
    "journal/beat",
    "journal/create",
    "journal/first",
    "journal/measure",
    "journal/sync",
    "owner/claim",
    "pack/write",
    "request/create",
    "rundir/begin",
    "rundir/create",
    "rundir/folder",
    "rundir/found",
    "spool/claim",
    "spool/close",
    "spool/close-sync",
    "spool/end",
    "spool/first",
    "spool/folder",
    "spool/reopen",
    "spool/serve",
    "spool/set-aside",
    "spool/start",
    "spool/sync",
    "store/create",
    "store/folder",
    "store/link",
    "store/settle",
    "store/sync",
    "store/undraft",
    "store/unlink",
    "submission/write",
    "submit/environment",
    "submit/environment-write",
    "submit/files",
    "submit/founded",
    "submit/pin",
    "submit/pin-folder",
    "submit/pinned",
    "update/create",
    "value/write",
    "wake/answer",
    "wake/ask",
    "worker/answer",
    "worker/body",
    "worker/body-ended",
    "worker/check",
    "worker/log-open",
    "worker/log-write",
    "worker/scratch",
    "worker/tidy",
    "worker/unscratch",
];

/// Has `hook` called at every point from now on, with the name of the point. Says whether it was taken:
/// the first one stays.
pub fn install(hook: fn(&'static str)) -> bool {
    HOOK.set(hook).is_ok()
}

/// Marks a point. Names are `what/step`, such as `worker/claim`; each stands right before the step.
#[inline]
pub fn reach(point: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use fs_err as fs;

    use super::*;

    /// Collects the names that are reached in the source below `dir`.
    fn collect(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("src/fault.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                for part in text.split("reach(").skip(1) {
                    let name = part.trim_start().strip_prefix('"');
                    if let Some((name, _)) = name.and_then(|name| name.split_once('"')) {
                        names.insert(name.to_owned());
                    }
                }
            }
        }
    }

    #[test]
    fn the_list_names_the_points_of_the_source_and_no_others() {
        let mut found = BTreeSet::new();
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        let listed: Vec<String> = POINTS.iter().map(|point| (*point).to_owned()).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), listed);
    }
}
