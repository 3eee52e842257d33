//! `-W depend=type:id[:id...][,type:id...]`.

use crate::fake::{Cause, Cluster, Condition, How, Job, Outcome, Verdict, Which};

use super::id::{Id, Part};

/// The types of OpenPBS that this fake carries out. By the manual there are also `before`, `beforeok`,
/// `beforenotok`, `beforeany`, `on` and `runone`, which it refuses.
const TYPES: [&str; 4] = ["after", "afterok", "afternotok", "afterany"];

/// Torque's further types, for arrays (README.array_changes).
const ARRAY_TYPES: [&str; 4] = [
    "afterstartarray",
    "afterokarray",
    "afternotokarray",
    "afteranyarray",
];

/// Reads the value of `depend`. Nothing is "`illegal -W value`", exit 2, as for a bad type,
/// "`afterok:53[0]` (element)" and "`afterokarray:` (Torque's)".
pub(super) fn parse(text: &str, torque: bool) -> Option<Condition> {
    let mut all = Vec::new();
    for one in text.split(',') {
        let mut words = one.split(':');
        let word = words.next()?;
        let is_known = TYPES.contains(&word) || (torque && ARRAY_TYPES.contains(&word));
        if !is_known {
            return None;
        }
        let before = all.len();
        for text in words {
            let id = Id::parse(text)?;
            if matches!(id.part, Some(Part::Indices(_))) {
                return None;
            }
            all.push(Condition::On {
                word: word.to_owned(),
                job: id.number,
                which: Which::Whole,
                arguments: vec![if id.part.is_some() { "[]" } else { "" }.to_owned()],
            });
        }
        if all.len() == before {
            return None;
        }
    }
    Some(Condition::All(all))
}

/// Whether it names a job that is not known: "unknown parent id (`afterok:99999`): submit SUCCEEDS \[0\]
/// and prints an id; job is at once F without Exit_status".
pub(super) fn names_unknown(condition: &Condition, cluster: &Cluster) -> bool {
    let Condition::All(all) = condition else {
        return false;
    };
    all.iter().any(|one| {
        let Condition::On { job, arguments, .. } = one else {
            return false;
        };
        let is_array = arguments.first().is_some_and(|part| part == "[]");
        cluster
            .known(*job)
            .is_none_or(|job| job.is_array() != is_array)
    })
}

/// Says what the dependencies of a job mean.
pub(super) fn verdict(cluster: &Cluster, job: &Job) -> Verdict {
    let Some(Condition::All(all)) = &job.submission.condition else {
        return Verdict::Release;
    };
    if job.submission.more.contains_key("unknown_parent") {
        return Verdict::Remove;
    }
    let mut sum = Verdict::Release;
    for one in all {
        let Condition::On {
            word, job: parent, ..
        } = one
        else {
            continue;
        };
        let verdict = cluster
            .jobs
            .get(parent)
            .map_or(Verdict::Remove, |parent| on_parent(word, parent, job));
        // "`afterok:A:B`: needs both; deleted as soon as one fails".
        sum = match (sum, verdict) {
            (Verdict::Remove, _) | (_, Verdict::Remove) => Verdict::Remove,
            (Verdict::Never, _) | (_, Verdict::Never) => Verdict::Never,
            (Verdict::Wait, _) | (_, Verdict::Wait) => Verdict::Wait,
            _ => Verdict::Release,
        };
    }
    sum
}

fn on_parent(word: &str, parent: &Job, child: &Job) -> Verdict {
    let kind = word.trim_end_matches("array");
    if kind == "after" || kind == "afterstart" {
        return match (parent.started, parent.ended) {
            (Some(_), _) => Verdict::Release,
            (None, Some(_)) => Verdict::Remove,
            (None, None) => Verdict::Wait,
        };
    }
    let Some(ended) = parent.ended else {
        return Verdict::Wait;
    };
    let is_ok = if ended <= child.submitted && parent.started.is_none() {
        // Found in history. By the server's source (req_register.c) only its exit status counts, which
        // is 0 for what never ran.
        true
    } else if parent.started.is_none() {
        return match removed_by(parent) {
            // "chain: child deleted -> its own children: deleted too, with `afterok` AND with
            // `afterany`".
            Some(Cause::Dependency) => Verdict::Remove,
            // "P deleted by qdel BEFORE it ever ran (Q or H): children with afterok AND afterany stay H
            // (substate 22) FOREVER".
            _ => Verdict::Never,
        };
    } else {
        // "decided by the status of the element that FINISHED LAST only".
        parent.last_outcome().is_some_and(Outcome::is_success)
    };
    match kind {
        // "runs either way; also when P was qdel-ed WHILE RUNNING"
        "afterany" => Verdict::Release,
        "afterok" if is_ok => Verdict::Release,
        "afternotok" if !is_ok => Verdict::Release,
        // "child DELETED by the server: `job_state F`, substate 92, NO Exit_status field, Hold_Types s."
        _ => Verdict::Remove,
    }
}

fn removed_by(parent: &Job) -> Option<Cause> {
    let outcome = parent.last_outcome()?;
    (outcome.how == How::NeverRan)
        .then(|| outcome.cause.clone())
        .flatten()
}

/// Writes the conditions as the attribute `depend`: "`depend = afterok:39.localhost@localhost`".
pub(super) fn written(condition: &Condition, server: &str) -> String {
    let Condition::All(all) = condition else {
        return String::new();
    };
    let mut types: Vec<(&str, String)> = Vec::new();
    for one in all {
        let Condition::On {
            word,
            job,
            arguments,
            ..
        } = one
        else {
            continue;
        };
        let brackets = arguments.first().map_or("", String::as_str);
        let id = format!(":{job}{brackets}.{server}@{server}");
        match types.iter_mut().find(|(known, _)| known == word) {
            Some((_, ids)) => ids.push_str(&id),
            None => types.push((word, id)),
        }
    }
    let types: Vec<String> = types
        .into_iter()
        .map(|(word, ids)| format!("{word}{ids}"))
        .collect();
    types.join(",")
}
