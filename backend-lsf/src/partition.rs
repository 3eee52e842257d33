//! What queues allow (`bqueues -l`), and the limits that `bjobs -l` shows in the same form.

use reflow_core::scheduler::{PartitionLimits, Walltime};

use crate::memory;

/// The names of limits that stand in one heading with the run limit, in LSF's order.
const TIMES: [&str; 2] = ["CPULIMIT", "RUNLIMIT"];

/// The names of limits of sizes.
const SIZES: [&str; 6] = [
    "FILELIMIT",
    "DATALIMIT",
    "STACKLIMIT",
    "CORELIMIT",
    "MEMLIMIT",
    "SWAPLIMIT",
];

/// Returns at which place the run limit stands below this heading of limits.
pub(crate) fn run_limit_place(heading: &str) -> Option<usize> {
    place(heading, "RUNLIMIT", &TIMES)
}

/// Returns the place of `name` among the `counted` names of a heading, all of whose words are limits.
fn place(heading: &str, name: &str, counted: &[&str]) -> Option<usize> {
    let is_limit = |word: &str| word.ends_with("LIMIT");
    let mut words = heading.split_ascii_whitespace();
    if !words.clone().all(is_limit) || !words.clone().any(|word| word == name) {
        return None;
    }
    Some(
        words
            .by_ref()
            .take_while(|word| *word != name)
            .filter(|word| counted.contains(word))
            .count(),
    )
}

/// The minutes at that place of ` 60.0 min of vm      2.0 min of vm 4`.
pub(crate) fn minutes(line: &str, place: usize) -> Option<f64> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let minutes = words
        .windows(2)
        .filter(|pair| pair[1] == "min")
        .nth(place)?[0]
        .parse::<f64>()
        .ok()?;
    (minutes.is_finite() && (0.0..=1e9).contains(&minutes)).then_some(minutes)
}

/// The size at that place of ` 512 K  1 G`.
fn size(line: &str, place: usize) -> Option<reflow_core::scheduler::Memory> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let pair = words.chunks(2).nth(place)?;
    memory::shown(&pair.join(" "))
}

/// What the lines below are about.
enum Below {
    Nothing,
    RunLimit(usize),
    Memory(usize),
}

/// Reads the answer of `bqueues -l`. What is not understood is no limit.
pub(crate) fn parse(text: &str) -> Vec<PartitionLimits> {
    let mut queues: Vec<PartitionLimits> = Vec::new();
    let mut below = Below::Nothing;
    // Limits that a job gets when it asks for none come first, those that it cannot exceed below them.
    let mut are_defaults = false;
    for line in text.lines() {
        let words = line.trim();
        if let Some(name) = line.strip_prefix("QUEUE:") {
            queues.push(PartitionLimits {
                name: name.trim().to_owned(),
                is_default: false,
                time: None,
                mem: None,
            });
            (below, are_defaults) = (Below::Nothing, false);
            continue;
        }
        let Some(queue) = queues.last_mut() else {
            continue;
        };
        if words.contains("This is the default queue")
            || words.contains("This is one of the default queues")
        {
            queue.is_default = true;
        } else if words.starts_with("DEFAULT LIMITS") {
            are_defaults = true;
        } else if words.starts_with("MAXIMUM LIMITS") {
            are_defaults = false;
        } else if are_defaults {
        } else if let Some(place) = run_limit_place(words) {
            below = Below::RunLimit(place);
        } else if let Some(place) = place(words, "MEMLIMIT", &SIZES) {
            below = Below::Memory(place);
        } else {
            match below {
                Below::Nothing => {}
                Below::RunLimit(place) => {
                    let seconds = minutes(words, place).map(|minutes| (minutes * 60.0) as u64);
                    queue.time = seconds
                        .filter(|seconds| *seconds > 0)
                        .map(Walltime::from_seconds);
                }
                Below::Memory(place) => queue.mem = size(words, place),
            }
            below = Below::Nothing;
        }
    }
    queues
}

/// Returns the queues with the default that `bparams` names, where `bqueues` names none. Of several, LSF
/// chooses one that takes the job, so the first is not more of a default than the others.
pub(crate) fn with_default(
    mut queues: Vec<PartitionLimits>,
    defaults: &[String],
) -> Vec<PartitionLimits> {
    if !queues.iter().any(|queue| queue.is_default) {
        for queue in &mut queues {
            queue.is_default = defaults.contains(&queue.name);
        }
    }
    queues
}

#[cfg(test)]
mod tests;
