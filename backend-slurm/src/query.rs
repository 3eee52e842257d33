//! What all queries share: the numbers of jobs, their clusters, and command lines that fit.

use std::collections::BTreeMap;
use std::time::Duration;

use reflow_core::command::{Call, Output, Runner};
use reflow_core::id::JobId;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, client};

use crate::connect::{Slurm, query_environment};
use crate::fault;

/// Returns the number of a job, without its cluster, or none when it is not one of Slurm's.
pub(crate) fn number(job: &JobId) -> Option<&str> {
    let number = job.as_str().split(';').next()?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(number)
}

/// Returns the cluster of a job, where its id names one.
pub(crate) fn cluster(job: &JobId) -> Option<&str> {
    job.as_str().split_once(';').map(|(_, cluster)| cluster)
}

/// Groups the numbers of `jobs` by cluster. Ids that are not Slurm's are left out.
pub(crate) fn by_cluster<'a>(
    jobs: impl IntoIterator<Item = &'a JobId>,
) -> BTreeMap<Option<&'a str>, Vec<&'a str>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for job in jobs {
        if let Some(number) = number(job) {
            groups.entry(cluster(job)).or_default().push(number);
        }
    }
    for numbers in groups.values_mut() {
        numbers.sort_unstable();
        numbers.dedup();
    }
    groups
}

/// Splits `words` so that each part joined by one character fits an argument.
pub(crate) fn parts<S: AsRef<str>>(words: &[S]) -> Vec<&[S]> {
    client::parts(words, client::LONGEST_ARGUMENT)
}

/// Asks one of Slurm's programs, and returns its answer; `is_empty` recognises failures that only say
/// that there is nothing.
pub(crate) async fn ask(
    slurm: &Slurm,
    program: &str,
    cluster: Option<&str>,
    arguments: &[&str],
    is_empty: fn(&str) -> bool,
) -> Result<Option<Output>, SchedulerError> {
    let mut call = Call::new([program]);
    call.environment = query_environment();
    call.argv
        .extend(cluster.map(|cluster| format!("--clusters={cluster}")));
    call.argv
        .extend(arguments.iter().map(|&argument| argument.to_owned()));
    let output = within(slurm.patience, &slurm.runner, &call).await?;
    if output.success() && output.is_cut_off() {
        Err(output.error(
            SchedulerErrorKind::UnexpectedOutput,
            format!("the answer of `{program}` is cut off"),
        ))
    } else if output.success() {
        Ok(Some(output))
    } else if is_empty(&output.stderr_text()) {
        Ok(None)
    } else {
        Err(fault::WORDS.error(&output, &format!("`{program}` failed")))
    }
}

/// Runs a call that may be repeated, and gives up after `limit`, however often that was.
///
/// A client waits for one `MessageTimeout` for each of its requests, whether the controller is away or
/// hangs; `squeue` makes two. `sacct` waits for a database that hangs without regard to it.
pub(crate) async fn within(
    limit: Duration,
    runner: &Runner,
    call: &Call,
) -> Result<Output, SchedulerError> {
    Ok(fault::WORDS.ask(runner, call, limit).await?)
}

/// Returns the numeric id of the user, as `squeue` and `sacct` take it.
///
/// Naming one user makes the controller send that user's jobs alone, not everybody's.
pub(crate) fn user() -> String {
    rustix::process::getuid().as_raw().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_grouped_by_cluster_and_strange_ids_left_out() {
        let ids =
            ["7;a", "12", "7", "x[]", "12", "8;a"].map(|id| JobId::new(id).expect("is an id"));
        let groups: Vec<_> = by_cluster(&ids).into_iter().collect();
        assert_eq!(
            groups,
            [(None, vec!["12", "7"]), (Some("a"), vec!["7", "8"])]
        );
    }
}
