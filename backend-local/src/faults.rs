/// The fault points of this backend (see [`reflow_core::fault`]): `supervisor/...` in the supervisor's
/// process, `watcher/...` in the one that starts it again, `local/...` in its clients. Each stands right before a step of I/O that others can see.
pub const FAULT_POINTS: &[&str] = &[
    "local/ask",
    "local/connect",
    "local/create-directory",
    "local/hear",
    "local/start",
    "local/write-plate",
    "supervisor/accept",
    "supervisor/answer",
    "supervisor/compact",
    "supervisor/dismiss",
    "supervisor/end-strays",
    "supervisor/farewell",
    "supervisor/hand-over",
    "supervisor/kill",
    "supervisor/kill-for-memory",
    "supervisor/kill-left",
    "supervisor/limit",
    "supervisor/listen",
    "supervisor/lock",
    "supervisor/make-groups",
    "supervisor/read-log",
    "supervisor/reap",
    "supervisor/record",
    "supervisor/record-exit",
    "supervisor/record-hand-over",
    "supervisor/record-job",
    "supervisor/record-process",
    "supervisor/remove-socket",
    "supervisor/replace-log",
    "supervisor/signal",
    "supervisor/spawn",
    "supervisor/take-answer",
    "watcher/lock",
    "watcher/reap",
    "watcher/record-exit",
    "watcher/start",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn collect(directory: &Path, found: &mut Vec<String>) {
        for entry in fs_err::read_dir(directory).expect("the source is there") {
            let path = entry.expect("the source is there").path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                let text = fs_err::read_to_string(&path).expect("source is text");
                let calls = text.split("reach(\"").skip(1);
                found.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn the_list_has_every_point_of_the_source_once_and_no_other() {
        let mut found = Vec::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        collect(&source, &mut found);
        // This file mentions the call itself.
        found.retain(|name| name.contains('/'));
        found.sort();
        assert_eq!(found, FAULT_POINTS);
        let distinct: BTreeSet<&str> = FAULT_POINTS.iter().copied().collect();
        assert_eq!(distinct.len(), FAULT_POINTS.len());
    }
}
