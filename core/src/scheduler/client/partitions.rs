use std::collections::BTreeMap;

use crate::scheduler::PartitionLimits;

/// Returns the limits under the names that requests use: the partitions' own, and those of the site,
/// which hide partitions of the same name. A name for several partitions (`a,b`) has the widest limits.
pub fn named_partitions(
    partitions: &[PartitionLimits],
    logical: &BTreeMap<String, String>,
) -> Vec<PartitionLimits> {
    let mut named: Vec<PartitionLimits> = partitions
        .iter()
        .filter(|partition| (logical.get(&partition.name)).is_none_or(|to| *to == partition.name))
        .cloned()
        .collect();
    for (name, natives) in logical.iter().filter(|(name, to)| name != to) {
        let widest = natives
            .split(',')
            .map(|native| partitions.iter().find(|known| known.name == native.trim()))
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default()
            .into_iter()
            .cloned()
            .reduce(|a, b| PartitionLimits {
                time: a.time.zip(b.time).map(|(a, b)| a.max(b)),
                mem: a.mem.zip(b.mem).map(|(a, b)| a.max(b)),
                ..a
            });
        named.extend(widest.map(|widest| PartitionLimits {
            name: name.clone(),
            is_default: false,
            ..widest
        }));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{Memory, Walltime};

    fn limits(
        name: &str,
        is_default: bool,
        time: Option<u64>,
        mem: Option<u64>,
    ) -> PartitionLimits {
        PartitionLimits {
            name: name.into(),
            is_default,
            time: time.map(Walltime::from_seconds),
            mem: mem.map(Memory::from_mebibytes),
        }
    }

    #[test]
    fn names_of_the_site_have_the_limits_of_what_they_stand_for() {
        let native = [
            limits("a100", false, Some(60), Some(10)),
            limits("h100", false, None, Some(20)),
            limits("gpu", true, Some(5), Some(5)),
        ];
        let logical = [
            ("gpu", "a100"),
            ("any", "a100,h100"),
            ("gone", "v100"),
            ("h100", "h100"),
        ]
        .map(|(name, to)| (name.to_owned(), to.to_owned()))
        .into();
        assert_eq!(
            named_partitions(&native, &logical),
            [
                limits("a100", false, Some(60), Some(10)),
                limits("h100", false, None, Some(20)),
                limits("any", false, None, Some(20)),
                limits("gpu", false, Some(60), Some(10)),
            ]
        );
    }
}
