use std::collections::BTreeMap;

use crate::elements::ElementSet;
use crate::id::JobId;
use crate::scheduler::Target;

/// What is cancelled of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// These elements.
    Elements(ElementSet),
}

/// Returns what is cancelled of each job, by what `key` makes of its id. Ids of which it makes nothing are
/// those of another batch system, and unknown, which is no error. A whole job takes its elements in.
pub fn by_job<'a, K: Ord>(
    targets: &'a [Target],
    key: impl Fn(&'a JobId) -> Option<K>,
) -> BTreeMap<K, Extent> {
    let mut jobs = BTreeMap::new();
    for target in targets {
        let Some(key) = key(&target.job) else {
            continue;
        };
        let extent = jobs
            .entry(key)
            .or_insert_with(|| Extent::Elements(ElementSet::new()));
        match (target.index, extent) {
            (Some(index), Extent::Elements(elements)) => elements.insert(index),
            (Some(_), Extent::Whole) => {}
            (None, extent) => *extent = Extent::Whole,
        }
    }
    jobs
}

/// Returns elements as batch systems list them, the first of which has the index `base`: `2-4`, `8`.
pub fn ranges(elements: &ElementSet, base: u32) -> Vec<String> {
    let native = |index: u32| u64::from(index) + u64::from(base);
    elements
        .ranges()
        .iter()
        .map(|&(first, end)| match end - first {
            1 => native(first).to_string(),
            _ => format!("{}-{}", native(first), native(end - 1)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_grouped_and_a_whole_job_takes_them_in() {
        let id = |text: &str| JobId::new(text).expect("is an id");
        let mut targets: Vec<Target> = [3, 1, 2, 7, 3]
            .into_iter()
            .map(|index| Target::element(id("12"), index))
            .collect();
        targets.push(Target::element(id("9"), 1));
        targets.push(Target::whole(id("9")));
        targets.push(Target::element(id("9"), 2));
        targets.push(Target::whole(id("strange")));
        let jobs = by_job(&targets, |id| id.as_str().parse::<u32>().ok());
        let elements: ElementSet = [1, 2, 3, 7].into_iter().collect();
        assert_eq!(ranges(&elements, 0), ["1-3", "7"]);
        assert_eq!(ranges(&elements, 1), ["2-4", "8"]);
        assert_eq!(
            jobs.into_iter().collect::<Vec<_>>(),
            [(9, Extent::Whole), (12, Extent::Elements(elements))]
        );
    }
}
