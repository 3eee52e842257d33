use std::collections::{BTreeMap, BTreeSet};

use reflow_core::id::{JobId, Tag};
use reflow_core::scheduler::{Found, SchedulerError, SchedulerErrorKind};

use crate::connect::Slurm;
use crate::query;

/// Job ids by tag.
type Jobs = BTreeMap<String, BTreeSet<JobId>>;

/// Looks jobs up by name, in the queue and in the accounting.
pub(crate) async fn find(slurm: &Slurm, tags: &[Tag]) -> Result<Vec<Found>, SchedulerError> {
    let cluster = slurm.cluster.as_deref();
    let user = query::user();
    let mut jobs = Jobs::new();
    let mut both_answered = slurm.accounting;
    for names in query::parts(tags) {
        let names = names.iter().map(Tag::as_str).collect::<Vec<_>>().join(",");
        let arguments = [
            "--noheader",
            "--all",
            "--states=all",
            &format!("--user={user}"),
            &format!("--name={names}"),
            "--format=%F|%j",
        ];
        let output = query::ask(slurm, "squeue", cluster, &arguments, |_| false).await?;
        if let Some(output) = output {
            read(&mut jobs, &output.stdout_text(), cluster).map_err(|line| {
                output
                    .error(
                        SchedulerErrorKind::UnexpectedOutput,
                        "could not read the answer of `squeue`",
                    )
                    .with_context("line", line)
            })?;
        }
        if slurm.accounting {
            both_answered &= ask_accounting(slurm, &user, &names, &mut jobs).await;
        }
    }
    Ok(tags
        .iter()
        .map(|tag| match jobs.get(tag.as_str()) {
            Some(ids) => Found::Present(ids.iter().cloned().collect()),
            None if both_answered => Found::Absent,
            None => Found::Unknowable,
        })
        .collect())
}

/// Adds what the accounting knows; returns whether it answered.
async fn ask_accounting(slurm: &Slurm, user: &str, names: &str, jobs: &mut Jobs) -> bool {
    let cluster = slurm.cluster.as_deref();
    let arguments = [
        "--noheader",
        "--parsable2",
        "--allocations",
        &format!("--user={user}"),
        &format!("--name={names}"),
        &format!("--starttime=now-{}days", slurm.history_days),
        "--format=jobid,jobname",
    ];
    match query::ask(slurm, "sacct", cluster, &arguments, |_| false).await {
        Ok(Some(output)) => match read(jobs, &output.stdout_text(), cluster) {
            Ok(()) => true,
            Err(line) => {
                tracing::warn!(line, "could not read the answer of `sacct`");
                false
            }
        },
        Ok(None) => false,
        Err(error) => {
            tracing::warn!(%error, "the accounting could not be asked");
            false
        }
    }
}

/// Reads lines of `ID|NAME`. The error is a line that does not fit.
fn read(jobs: &mut Jobs, text: &str, cluster: Option<&str>) -> Result<(), String> {
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("CLUSTER:"))
    {
        let (id, name) = line.split_once('|').ok_or_else(|| line.to_owned())?;
        // `12_3` and `12_[4-9]` are elements of `12`, `12+1` is a part of `12`.
        let number = id.trim().split(['_', '+', '.']).next().unwrap_or_default();
        let id = match cluster {
            Some(cluster) => format!("{number};{cluster}"),
            None => number.to_owned(),
        };
        let id = JobId::new(id).ok().filter(|id| query::number(id).is_some());
        let id = id.ok_or_else(|| line.to_owned())?;
        jobs.entry(name.trim().to_owned()).or_default().insert(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_one_array_are_one_job() {
        let mut jobs = Jobs::new();
        let text = "12_0|raaaa\n12_[1-3%2]|raaaa\n15|raaaa\n16|rbbbb\n";
        read(&mut jobs, text, None).expect("is understood");
        let shown: Vec<String> = jobs["raaaa"].iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["12", "15"]);
        assert_eq!(
            read(&mut jobs, "slurm says hello\n", None),
            Err("slurm says hello".to_owned())
        );
    }
}
