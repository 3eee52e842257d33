//! What a job asks for with `-l`, and whether this cluster has it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fake::{FakeOptions, Refusal, Submission};

use super::select::{Chunk, illegal, of_nodes, parse};
use super::size::{clock, seconds, size};

/// Resources of `Resource_List` beside those that stand in `select`, by the manual
/// pbs_resources(7B).
const OTHERS: [&str; 12] = [
    "arch",
    "cput",
    "file",
    "host",
    "min_walltime",
    "max_walltime",
    "nice",
    "pcput",
    "pmem",
    "pvmem",
    "soft_walltime",
    "software",
];

/// Completes a submission from the values of its options `-l`, each of which is `name=value,...`.
pub(super) fn complete(
    options: &FakeOptions,
    submission: &mut Submission,
    lists: &[String],
) -> Result<(), Refusal> {
    let mut list: BTreeMap<String, Value> = BTreeMap::new();
    let mut asked: Vec<(String, String)> = Vec::new();
    for one in lists.iter().flat_map(|text| text.split(',')) {
        let (name, value) = one.split_once('=').ok_or_else(|| Refusal {
            text: "illegal -l value".to_owned(),
            code: 2,
        })?;
        // "`-l walltime=...`" given twice: the last one counts, as for other options.
        asked.retain(|(known, _)| known != name);
        asked.push((name.to_owned(), value.to_owned()));
    }
    let of = |name: &str| {
        asked
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    check_mixture(&asked)?;
    for (name, value) in &asked {
        let shown = shown(options, name, value)?;
        list.insert(name.clone(), shown);
    }
    let memory = of("mem").and_then(size).map(|(bytes, _)| bytes);
    let (select, place) = if let Some(select) = of("select") {
        (select.to_owned(), of("place").unwrap_or("free"))
    } else if let Some(nodes) = of("nodes") {
        (of_nodes(nodes, memory)?, "scatter")
    } else {
        let mut select = "1".to_owned();
        for name in ["mem", "mpiprocs", "ncpus", "ngpus", "ompthreads"] {
            if let Some(value) = of(name) {
                select.extend([":", name, "=", value]);
            }
        }
        if of("ncpus").is_none() {
            select.push_str(":ncpus=1");
        }
        (select, of("place").unwrap_or("pack"))
    };
    let chunks = parse(&select, options)?;
    let hosts: u32 = chunks.iter().map(|chunk| chunk.count).sum();
    let sum = |of: fn(&Chunk) -> u64| -> u64 {
        chunks
            .iter()
            .map(|chunk| of(chunk).saturating_mul(chunk.count.into()))
            .fold(0, u64::saturating_add)
    };
    let cpus = sum(|chunk| chunk.cpus.into());
    list.insert("ncpus".to_owned(), cpus.into());
    list.insert("nodect".to_owned(), hosts.into());
    if chunks.iter().any(|chunk| chunk.processes != 1) {
        list.insert(
            "mpiprocs".to_owned(),
            sum(|chunk| chunk.processes.into()).into(),
        );
    }
    let total = sum(|chunk| chunk.memory.unwrap_or(0));
    if total > 0 && !list.contains_key("mem") {
        list.insert("mem".to_owned(), short_size(total).into());
    }
    let gpus = sum(|chunk| chunk.gpus.into());
    if gpus > 0 {
        list.insert("ngpus".to_owned(), gpus.into());
    }
    list.insert("place".to_owned(), place.into());
    list.insert("select".to_owned(), select.into());
    submission.cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    submission.memory = (total > 0).then_some(total);
    submission.limit = of("walltime").and_then(seconds);
    submission.never = never(options, &chunks, place, hosts);
    let first = &chunks[0];
    submission.more.insert(
        "processes".to_owned(),
        sum(|chunk| chunk.processes.into()).into(),
    );
    // "`select=1:ncpus=4:mpiprocs=2:ompthreads=2` -> `NCPUS=2 OMP_NUM_THREADS=2`"; else "`NCPUS` and
    // `OMP_NUM_THREADS` are set to N" of `ncpus=N`.
    submission.more.insert(
        "threads".to_owned(),
        first.threads.unwrap_or(first.cpus).into(),
    );
    submission.more.insert(
        "Resource_List".to_owned(),
        Value::Object(list.into_iter().collect()),
    );
    Ok(())
}

/// "`-l select=1:ncpus=2 -l ncpus=2`: `qsub: "-lresource=" cannot be used with "select" or "place",
/// resource is: ncpus`", exit 5.
fn check_mixture(asked: &[(String, String)]) -> Result<(), Refusal> {
    let has = |wanted: &str| asked.iter().any(|(name, _)| name == wanted);
    if !has("select") && !has("place") {
        return Ok(());
    }
    let of_chunks = |name: &str| {
        matches!(
            name,
            "ncpus"
                | "mem"
                | "vmem"
                | "mpiprocs"
                | "ompthreads"
                | "ngpus"
                | "nodes"
                | "host"
                | "arch"
        )
    };
    match asked.iter().find(|(name, _)| of_chunks(name)) {
        Some((name, _)) => Err(Refusal {
            text: format!(
                "\"-lresource=\" cannot be used with \"select\" or \"place\", resource is: {name}"
            ),
            code: 5,
        }),
        None => Ok(()),
    }
}

/// Returns a value as it stands in `Resource_List`.
fn shown(options: &FakeOptions, name: &str, value: &str) -> Result<Value, Refusal> {
    let wrong = || illegal(&format!("Resource_List.{name}"));
    Ok(match name {
        // "`-l walltime=abc`: `qsub: Illegal attribute or resource value Resource_List.walltime`".
        "walltime" | "cput" | "pcput" | "min_walltime" | "max_walltime" | "soft_walltime" => {
            clock(seconds(value).ok_or_else(wrong)?).into()
        }
        "mem" | "vmem" | "pmem" | "pvmem" | "file" => size(value).ok_or_else(wrong)?.1.into(),
        "ncpus" | "mpiprocs" | "ompthreads" | "nodect" | "nice" => {
            value.parse::<i64>().map_err(|_| wrong())?.into()
        }
        "ngpus" if options.gpus.is_some() => value.parse::<u32>().map_err(|_| wrong())?.into(),
        "select" | "nodes" => value.into(),
        "place" => {
            let known = |word: &str| {
                matches!(
                    word,
                    "free" | "pack" | "scatter" | "vscatter" | "excl" | "exclhost" | "shared"
                ) || word.starts_with("group=")
            };
            if !value.split(':').all(known) {
                return Err(wrong());
            }
            value.into()
        }
        name if OTHERS.contains(&name) => value.into(),
        // "`-l nosuchres=1`: `qsub: Unknown resource Resource_List.nosuchres`", exit 187.
        _ => {
            return Err(Refusal {
                text: format!("Unknown resource Resource_List.{name}"),
                code: 187,
            });
        }
    })
}

/// Refuses what is beyond the limits of the queue: "`-q short -l walltime=01:00:00`, or ncpus=8: `qsub: Job
/// violates queue and/or server resource limits`", exit 188.
pub(super) fn check_limits(options: &FakeOptions, submission: &Submission) -> Result<(), Refusal> {
    let over = options.queue(&submission.queue).is_some_and(|queue| {
        queue.max_cpus.is_some_and(|most| submission.cpus > most)
            || queue
                .max_seconds
                .zip(submission.limit)
                .is_some_and(|(most, asked)| asked > most)
    });
    if over {
        return Err(Refusal {
            text: "Job violates queue and/or server resource limits".to_owned(),
            code: 188,
        });
    }
    Ok(())
}

/// Says why it can never run here: "`Can Never Run: Insufficient amount of resource: ncpus (R: 64 A: 16
/// T: 16)`" and "`Can Never Run: Not enough total nodes available`".
fn never(options: &FakeOptions, chunks: &[Chunk], place: &str, hosts: u32) -> Option<String> {
    if place
        .split(':')
        .any(|word| word == "scatter" || word == "vscatter")
        && hosts > 1
    {
        return Some("Can Never Run: Not enough total nodes available".to_owned());
    }
    let insufficient = |name: &str, asked: String, there: String| {
        Some(format!(
            "Can Never Run: Insufficient amount of resource: {name} (R: {asked} A: {there} T: {there})"
        ))
    };
    let kilobytes = |bytes: u64| format!("{}kb", bytes / 1024);
    let many = |chunk: &Chunk, of: u64| of.saturating_mul(chunk.count.into());
    for chunk in chunks {
        let cpus = many(chunk, chunk.cpus.into());
        if cpus > options.slots.into() {
            return insufficient("ncpus", cpus.to_string(), options.slots.to_string());
        }
        let memory = many(chunk, chunk.memory.unwrap_or(0));
        if memory > options.memory {
            return insufficient("mem", kilobytes(memory), kilobytes(options.memory));
        }
        let gpus = many(chunk, chunk.gpus.into());
        let there = options.gpus.unwrap_or(0);
        if gpus > there.into() {
            return insufficient("ngpus", gpus.to_string(), there.to_string());
        }
    }
    None
}

/// Writes a size with the largest unit that loses nothing.
fn short_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "tb"), (30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}b")
}
