use std::collections::BTreeMap;
use std::time::Duration;

use reflow_core::command::Call;
use reflow_core::scheduler::client::{self, Extent};
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, Target};

use crate::connect::Slurm;
use crate::{fault, query};

/// Most bytes of job ids in one call.
const MOST_WORDS: usize = 2_000;

/// How much longer `scancel` is given for each of its words: it makes a request for each.
const EACH_WORD: Duration = Duration::from_millis(50);

/// Words that only say that there is nothing left to cancel.
const NOTHING_LEFT: &[&str] = &[
    "Invalid job id",
    "already completing or completed",
    "Job/step already completing",
    "No active jobs",
    "No jobs match",
];

/// Cancels jobs and elements in as few calls as the command line allows.
pub(crate) async fn cancel(slurm: &Slurm, targets: &[Target]) -> Result<(), SchedulerError> {
    for (cluster, words) in words(targets) {
        for part in query::parts(&words)
            .into_iter()
            .flat_map(|part| part.chunks(MOST_WORDS))
        {
            let mut call = Call::new(["scancel"]);
            call.argv
                .extend(cluster.map(|cluster| format!("--clusters={cluster}")));
            call.argv.extend(part.iter().cloned());
            // Cancelling twice is the same as once, so it may be tried again.
            let limit = slurm.patience + EACH_WORD * u32::try_from(part.len()).unwrap_or(u32::MAX);
            let output = query::within(limit, &slurm.runner, &call).await?;
            if !output.success() && !is_only_about_ended(&output.stderr_text()) {
                return Err(match fault::WORDS.classify(&output.stderr_text()) {
                    (SchedulerErrorKind::Rejected, _) => {
                        output.error(SchedulerErrorKind::UnexpectedOutput, "`scancel` failed")
                    }
                    (kind, _) => output.error(kind, "`scancel` failed"),
                });
            }
        }
    }
    Ok(())
}

fn is_only_about_ended(stderr: &str) -> bool {
    let mut lines = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    // A program that was killed says nothing.
    lines.peek().is_some()
        && lines.all(|line| NOTHING_LEFT.iter().any(|words| line.contains(words)))
}

/// The words for `scancel`: `7`, or `12_[1-3,7]` for elements. Ids that are not Slurm's are unknown,
/// which is no error.
fn words(targets: &[Target]) -> BTreeMap<Option<&str>, Vec<String>> {
    let key = |job| Some((query::cluster(job), query::number(job)?));
    let mut words: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for ((cluster, number), extent) in client::by_job(targets, key) {
        let words = words.entry(cluster).or_default();
        match extent {
            Extent::Whole => words.push(number.to_owned()),
            Extent::Elements(elements) => {
                let ranges = client::ranges(&elements, 0);
                words.extend(
                    query::parts(&ranges)
                        .into_iter()
                        .map(|part| format!("{number}_[{}]", part.join(","))),
                );
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use reflow_core::id::JobId;

    use super::*;

    fn job(text: &str) -> JobId {
        JobId::new(text).expect("is an id")
    }

    #[test]
    fn elements_are_grouped_into_ranges_and_a_whole_job_takes_its_elements_in() {
        let mut targets: Vec<Target> = [3, 1, 2, 7, 3]
            .into_iter()
            .map(|index| Target::element(job("12"), index))
            .collect();
        targets.push(Target::element(job("9"), 1));
        targets.push(Target::whole(job("9")));
        targets.push(Target::element(job("9"), 2));
        targets.push(Target::whole(job("4;other")));
        targets.push(Target::whole(job("not-slurm")));
        let words: Vec<_> = words(&targets).into_iter().collect();
        assert_eq!(
            words,
            [
                (None, vec!["12_[1-3,7]".to_owned(), "9".to_owned()]),
                (Some("other"), vec!["4".to_owned()]),
            ]
        );
    }

    #[test]
    fn only_complaints_about_ended_jobs_are_no_error() {
        assert!(is_only_about_ended(
            "scancel: error: Kill job error on job id 5: Job/step already completing or completed\n"
        ));
        assert!(is_only_about_ended(
            "scancel: error: Kill job error on job id 99999: Invalid job id specified\n"
        ));
        assert!(!is_only_about_ended(
            "scancel: error: Kill job error on job id 5: Access/permission denied\n"
        ));
    }
}
