//! What partitions allow (`sinfo`).

use reflow_core::scheduler::{Memory, PartitionLimits, Walltime};

use crate::parse;

/// What `sinfo` is asked with: a line for each partition and kind of node, also of partitions that are
/// hidden or down.
pub(crate) const ARGUMENTS: [&str; 4] = ["--noheader", "--all", "--exact", "--format=%P|%l|%m"];

/// Reads lines of `NAME|TIME|MIB`, the name of the default partition with a `*` after it. Lines that do
/// not fit are left out.
pub(crate) fn parse(text: &str) -> Vec<PartitionLimits> {
    let Ok(lines) = parse::lines(text) else {
        tracing::warn!("the answer of `sinfo` was cut short");
        return Vec::new();
    };
    let mut partitions: Vec<PartitionLimits> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, limit, memory] = fields[..] else {
            tracing::warn!(line, "could not read the answer of `sinfo`");
            continue;
        };
        let (name, is_default) = match name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mem = memory
            .trim_end_matches('+')
            .parse()
            .ok()
            .filter(|mebibytes| *mebibytes > 0)
            .map(Memory::from_mebibytes);
        if let Some(known) = partitions.iter_mut().find(|known| known.name == name) {
            known.mem = known.mem.max(mem);
        } else {
            partitions.push(PartitionLimits {
                name: name.to_owned(),
                is_default,
                time: time(limit),
                mem,
            });
        }
    }
    partitions
}

/// Reads `D-HH:MM:SS`, `HH:MM:SS`, `MM:SS`; `infinite` and `n/a` are no limit.
fn time(text: &str) -> Option<Walltime> {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let mut seconds = 0u64;
    for part in clock.split(':') {
        seconds = seconds
            .checked_mul(60)?
            .checked_add(part.parse::<u64>().ok()?)?;
    }
    let seconds = (days.parse::<u64>().ok()?.checked_mul(86_400)?).checked_add(seconds)?;
    (clock.contains(':') && seconds > 0).then_some(Walltime::from_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn partitions_tell_their_limits_and_which_is_the_default() {
        let text = include_str!("../tests/fixtures/sinfo-22.05.txt");
        assert_eq!(
            parse(text),
            [
                limits("compute", true, Some(86_400), Some(16_000)),
                limits("gpu", false, Some(3600), Some(8000)),
                limits("endless", false, None, Some(16_000)),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_no_limit() {
        let text = "CLUSTER: big\nshort|30:00|500+\nodd|soon|n/a\nempty|n/a|0\nhello\n";
        assert_eq!(
            parse(text),
            [
                limits("short", false, Some(1800), Some(500)),
                limits("odd", false, None, None),
                limits("empty", false, None, None),
            ]
        );
        assert!(parse("compute*|1-00:00:00|80").is_empty());
    }
}
