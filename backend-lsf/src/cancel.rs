use std::time::Duration;

use reflow_core::command::Call;
use reflow_core::scheduler::client::{self, Extent};
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, Target};

use crate::connect::Lsf;
use crate::{fault, query};

/// Most words in one call.
const MOST_WORDS: usize = 1_000;

/// Longest list of indexes in one word: IBM's documentation of job arrays gives a list 255 characters.
const LONGEST_LIST: usize = 200;

/// How much longer `bkill` is given for each of its words: it makes a request for each.
const EACH_WORD: Duration = Duration::from_millis(50);

/// Words that do not mean that a job goes on. `Operation is in progress` is said of every whole array, which
/// is then killed in the background over the next seconds.
const HARMLESS: &[&str] = &[
    "Operation is in progress",
    "Job has already finished",
    "No matching job found",
    "is being terminated",
    "is not found",
];

/// Cancels jobs and elements in as few calls as the command line allows.
pub(crate) async fn cancel(lsf: &Lsf, targets: &[Target]) -> Result<(), SchedulerError> {
    let words = words(targets);
    for part in client::parts(&words, client::LONGEST_ARGUMENT)
        .into_iter()
        .flat_map(|part| part.chunks(MOST_WORDS))
    {
        let mut call = Call::new(["bkill"]);
        call.environment = query::environment();
        call.argv.extend(part.iter().cloned());
        // Cancelling twice is the same as once, so it may be tried again.
        let limit = lsf.patience + EACH_WORD * u32::try_from(part.len()).unwrap_or(u32::MAX);
        let output = fault::WORDS.ask(&lsf.runner, &call, limit).await?;
        if !output.success() && !is_harmless(&output.stderr_text()) {
            return Err(match fault::WORDS.classify(&output.stderr_text()) {
                (SchedulerErrorKind::Rejected, _) => {
                    output.error(SchedulerErrorKind::UnexpectedOutput, "`bkill` failed")
                }
                (kind, _) => output.error(kind, "`bkill` failed"),
            });
        }
    }
    Ok(())
}

fn is_harmless(stderr: &str) -> bool {
    let mut lines = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    lines.peek().is_some() && lines.all(|line| HARMLESS.iter().any(|words| line.contains(words)))
}

/// The words for `bkill`: `7`, or `12[2-4,8]` for elements. Ids that are not LSF's are unknown, which is no
/// error.
fn words(targets: &[Target]) -> Vec<String> {
    let mut words = Vec::new();
    for (number, extent) in client::by_job(targets, query::number) {
        match extent {
            Extent::Whole => words.push(number.to_owned()),
            Extent::Elements(elements) => {
                let ranges = client::ranges(&elements, 1);
                let parts = client::parts(&ranges, LONGEST_LIST);
                words.extend(
                    parts
                        .into_iter()
                        .map(|part| format!("{number}[{}]", part.join(","))),
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
    fn elements_are_grouped_into_ranges_from_1_and_a_whole_job_takes_its_elements_in() {
        let mut targets: Vec<Target> = [3, 1, 2, 7, 3]
            .into_iter()
            .map(|index| Target::element(job("12"), index))
            .collect();
        targets.push(Target::element(job("9"), 1));
        targets.push(Target::whole(job("9")));
        targets.push(Target::element(job("9"), 2));
        targets.push(Target::whole(job("not-lsf")));
        assert_eq!(words(&targets), ["12[2-4,8]", "9"]);
    }

    #[test]
    fn long_lists_are_split_and_nothing_is_lost() {
        let targets: Vec<Target> = (0..1000)
            .map(|index| Target::element(job("12"), 2 * index))
            .collect();
        let words = words(&targets);
        assert!(words.iter().all(|word| word.len() <= LONGEST_LIST + 4));
        let listed: Vec<u32> = words
            .iter()
            .flat_map(|word| word["12[".len()..word.len() - 1].split(','))
            .map(|index| index.parse().expect("is an index"))
            .collect();
        let asked: Vec<u32> = (0..1000).map(|index| 2 * index + 1).collect();
        assert_eq!(listed, asked);
    }

    /// The lines of openlava 2.2.
    #[test]
    fn only_complaints_about_ended_jobs_are_no_error() {
        assert!(is_harmless("Job <117>: Operation is in progress\n"));
        assert!(is_harmless(
            "Job <72>: Job has already finished\nJob <99999>: No matching job found\n"
        ));
        assert!(!is_harmless("Job <5>: User permission denied\n"));
        assert!(!is_harmless(""));
    }
}
