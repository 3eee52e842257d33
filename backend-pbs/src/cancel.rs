use reflow_core::scheduler::client::{self, Extent};
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, Target};

use crate::config::Dialect;
use crate::connect::Pbs;
use crate::parse::{Id, Part};
use crate::{fault, query};

/// Cancels jobs and elements, with one id in each call.
///
/// A client that is given an array and then others crashes and deletes nothing, and one that is given the
/// same or an unknown id twice crashes the server (OpenPBS 23.06.06 and its pull requests 2552, 2581, 2659
/// and 2716).
pub(crate) async fn cancel(pbs: &Pbs, targets: &[Target]) -> Result<(), SchedulerError> {
    let calls = calls(pbs.dialect, targets);
    // The runner keeps to the number of programs at once.
    let (a, b, c, d) = tokio::join!(
        lane(pbs, &calls, 0),
        lane(pbs, &calls, 1),
        lane(pbs, &calls, 2),
        lane(pbs, &calls, 3),
    );
    a.and(b).and(c).and(d)
}

/// Makes every fourth call. All are tried; the first error is returned.
async fn lane(pbs: &Pbs, calls: &[Vec<String>], first: usize) -> Result<(), SchedulerError> {
    let mut result = Ok(());
    for words in calls.iter().skip(first).step_by(4) {
        result = result.and(delete(pbs, words).await);
    }
    result
}

async fn delete(pbs: &Pbs, words: &[String]) -> Result<(), SchedulerError> {
    let mut call = query::question("qdel");
    call.argv.extend_from_slice(words);
    // Deleting twice, one after the other, is the same as once, so it may be tried again.
    let output = query::ask(pbs, &call).await?;
    if output.success() || fault::is_only_about_ended(&output.stderr_text()) {
        return Ok(());
    }
    let (kind, _) = fault::WORDS.classify(&output.stderr_text());
    let kind = if kind == SchedulerErrorKind::Rejected {
        SchedulerErrorKind::UnexpectedOutput
    } else {
        kind
    };
    Err(output.error(kind, "`qdel` failed"))
}

/// The arguments of each call. Ids that are not PBS's are unknown, which is no error.
fn calls(dialect: Dialect, targets: &[Target]) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for (id, extent) in client::by_job(targets, |job| Id::parse(job.as_str())) {
        let elements = match (id.part, extent) {
            (Part::Element(_), _) => continue,
            (Part::Array, Extent::Elements(elements)) => elements,
            // An array of one element is a plain job, and its element 0 the whole of it.
            (Part::Job, Extent::Elements(elements)) if !elements.contains(0) => continue,
            (Part::Job, _) => {
                calls.push(vec![id.with("")]);
                continue;
            }
            (Part::Array, Extent::Whole) => {
                calls.push(vec![id.with("[]")]);
                continue;
            }
        };
        let ranges = client::ranges(&elements, 0);
        match dialect {
            Dialect::OpenPbs => {
                calls.extend(
                    ranges
                        .iter()
                        .map(|range| vec![id.with(&format!("[{range}]"))]),
                );
            }
            Dialect::Torque => {
                calls.push(vec!["-t".to_owned(), ranges.join(","), id.whole()]);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use reflow_core::id::JobId;

    use super::*;

    fn job(text: &str) -> JobId {
        JobId::new(text).expect("is an id")
    }

    fn targets() -> Vec<Target> {
        let mut targets: Vec<Target> = [3, 1, 2, 7, 3]
            .into_iter()
            .map(|index| Target::element(job("88[].pbs"), index))
            .collect();
        targets.push(Target::element(job("9[].pbs"), 1));
        targets.push(Target::whole(job("9[].pbs")));
        targets.push(Target::element(job("9[].pbs"), 2));
        targets.push(Target::element(job("12.pbs"), 0));
        targets.push(Target::element(job("13.pbs"), 1));
        targets.push(Target::whole(job("0.pbs")));
        targets.push(Target::whole(job("0.pbs")));
        targets.push(Target::whole(job("7;slurm")));
        targets
    }

    #[test]
    fn each_call_has_one_id_and_none_comes_twice() {
        let shown: Vec<String> = calls(Dialect::OpenPbs, &targets())
            .iter()
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(
            shown,
            ["0.pbs", "12.pbs", "88[1-3].pbs", "88[7].pbs", "9[].pbs"]
        );
    }

    #[test]
    fn torque_takes_a_list_of_elements() {
        let shown: Vec<String> = calls(Dialect::Torque, &targets())
            .iter()
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(shown, ["0.pbs", "12.pbs", "-t 1-3,7 88[].pbs", "9[].pbs"]);
    }
}
