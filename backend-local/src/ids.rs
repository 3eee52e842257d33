use reflow_core::id::JobId;
use reflow_core::scheduler::{Dependency, DependencyKind};

/// What ids of this backend start with.
const PREFIX: &str = "local-";

/// Returns the id of job `number` of an instance.
pub(crate) fn job_id(instance: &str, number: u64) -> JobId {
    JobId::new(format!("{PREFIX}{instance}-{number}"))
        .expect("an instance is letters and digits, so the id is printable")
}

/// Returns the instance and the number of an id, or none where it is not of this backend.
pub(crate) fn parse(id: &JobId) -> Option<(&str, u64)> {
    let (instance, number) = id.as_str().strip_prefix(PREFIX)?.split_once('-')?;
    let is_instance = !instance.is_empty() && instance.bytes().all(|b| b.is_ascii_alphanumeric());
    let number = number.parse().ok()?;
    (is_instance && job_id(instance, number) == *id).then_some((instance, number))
}

/// Returns number and kind of each dependency; no number where the parent is none of this instance.
pub(crate) fn parents(
    instance: &str,
    dependencies: &[Dependency],
) -> Vec<(Option<u64>, DependencyKind)> {
    dependencies
        .iter()
        .map(|dependency| {
            let parent = parse(&dependency.job).filter(|(of, _)| *of == instance);
            (parent.map(|(_, number)| number), dependency.kind)
        })
        .collect()
}
