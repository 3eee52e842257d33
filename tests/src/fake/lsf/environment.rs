//! The environment of jobs.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fake::{Cluster, Dialect, Job, Text};

/// Returns what of this process's environment goes with a job: "The WHOLE submit environment is passed".
/// `-env` of IBM LSF changes that: `none`, `all`, names, `~name` to leave out and `name=value`.
#[expect(
    clippy::disallowed_methods,
    reason = "the client's own environment is what the job gets"
)]
pub(super) fn chosen(env: Option<&str>) -> Vec<(Text, Text)> {
    let own: BTreeMap<Text, Text> = std::env::vars_os()
        .map(|(name, value)| (Text::from(name), Text::from(value)))
        .collect();
    let words: Vec<&str> = env.unwrap_or("all").split(',').map(str::trim).collect();
    let mut passed = if words.contains(&"all") {
        own.clone()
    } else {
        BTreeMap::new()
    };
    for word in words {
        if let Some(name) = word.strip_prefix('~') {
            passed.remove(&Text::from(name));
        } else if let Some((name, value)) = word.split_once('=') {
            passed.insert(Text::from(name), Text::from(value));
        } else if let Some(value) = own.get(&Text::from(word)) {
            passed.insert(Text::from(word), value.clone());
        }
    }
    passed.into_iter().collect()
}

/// Returns the environment of an element. `file` is its copy of the script or command.
///
/// "`LSB_JOBID=43` (the array id, without index), `LSB_JOBINDEX=2` (**0 for non-array jobs**, set, not
/// empty), `LSB_JOBINDEX_END` (array only, = last index), `LSB_JOBNAME` (`c[3]` with its index; the
/// command text when -J is absent), `LSB_QUEUE`, `LSB_HOSTS="vm vm vm vm"`, `LSB_MCPU_HOSTS="vm 4 "`,
/// `LSB_OUTPUTFILE`, `LSB_SUB_HOST`, `LS_SUBCWD`, `LSB_JOBFILENAME=~/.lsbatch/<time>.<id>`.
/// `LSB_DJOB_NUMPROC` is not set by openlava (IBM sets it)."
pub(super) fn of_element(
    cluster: &Cluster,
    job: &Job,
    position: usize,
    file: &Path,
) -> Vec<(Text, Text)> {
    let submission = &job.submission;
    let mut all: BTreeMap<Text, Text> = submission.environment.iter().cloned().collect();
    let mut set = |name: &str, value: String| {
        all.insert(Text::from(name), Text::from(value));
    };
    let host = &cluster.options.server;
    let slots = submission.cpus.max(1);
    set("LSB_JOBID", job.number.to_string());
    let index = job.elements[position].index;
    set("LSB_JOBINDEX", index.unwrap_or(0).to_string());
    if let Some(last) = submission
        .array
        .as_ref()
        .and_then(|array| array.indices.last())
    {
        set("LSB_JOBINDEX_END", last.to_string());
    }
    set("LSB_JOBNAME", super::name_of(job, position));
    set("LSB_QUEUE", submission.queue.clone());
    set("LSB_HOSTS", vec![host.as_str(); slots as usize].join(" "));
    set("LSB_MCPU_HOSTS", format!("{host} {slots} "));
    if let Some(output) = &submission.stdout {
        set("LSB_OUTPUTFILE", output.lossy());
    }
    set("LSB_SUB_HOST", host.clone());
    set("LS_SUBCWD", submission.directory.lossy());
    set("LSB_JOBFILENAME", file.display().to_string());
    if cluster.dialect == Dialect::Lsf {
        set("LSB_DJOB_NUMPROC", slots.to_string());
    }
    all.into_iter().collect()
}
