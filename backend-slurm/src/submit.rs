use std::time::Duration;

use reflow_core::command::Output;
use reflow_core::id::JobId;
use reflow_core::scheduler::{JobRequest, SchedulerError, SchedulerErrorKind, SubmitError, client};

use crate::connect::Slurm;
use crate::{fault, render};

/// How long `sbatch` sleeps and tries again by itself while the controller takes no jobs: 15 times,
/// one second longer each time.
pub(crate) const CLIENT_RETRIES: Duration = Duration::from_secs(150);

/// Submits `request`: one attempt.
pub(crate) async fn submit(slurm: &Slurm, request: &JobRequest) -> Result<JobId, SubmitError> {
    let rendered = render::render(slurm, request).map_err(SubmitError::nothing_sent)?;
    accepted(&client::send(&slurm.runner, rendered).await?)
}

/// Reads what `sbatch --parsable` said: `7`, or `7;cluster`.
fn accepted(output: &Output) -> Result<JobId, SubmitError> {
    client::accepted(output, job_id, |output| {
        let (kind, may_exist) = fault::WORDS.classify(&output.stderr_text());
        SubmitError {
            error: refusal(output, kind),
            may_exist,
        }
    })
}

/// The last line of `text` that is a job id: sites have `sbatch` print greetings.
fn job_id(text: &str) -> Option<JobId> {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| {
            let number = line.split(';').next().unwrap_or_default();
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
        .and_then(|line| JobId::new(line.trim_end_matches(';')).ok())
}

/// Returns the limit that `sbatch` names on a line of its own.
fn limit(text: &str) -> Option<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("sbatch: error: "))
        .map(str::trim)
        .find(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn refusal(output: &Output, kind: SchedulerErrorKind) -> SchedulerError {
    let text = output.stderr_text();
    let words = text
        .lines()
        .filter_map(|line| line.split_once("Batch job submission failed: "))
        .map(|(_, words)| words.trim())
        .next_back();
    match (kind, words) {
        (SchedulerErrorKind::TimedOut, _) => output.error(kind, "Slurm did not answer in time"),
        (SchedulerErrorKind::Unreachable, _) => {
            output.error(kind, "Slurm's controller could not be reached")
        }
        (SchedulerErrorKind::LimitReached, _) => output.error(
            kind,
            format!(
                "Slurm takes no more jobs until some have ended: {}",
                limit(&text).or(words).unwrap_or("a limit is reached")
            ),
        ),
        (_, Some(words)) => match limit(&text) {
            Some(limit) => output.error(kind, format!("Slurm refused the job: {words}: {limit}")),
            None => output.error(kind, format!("Slurm refused the job: {words}")),
        },
        (_, None) => output.error(kind, "Slurm refused the job"),
    }
}

#[cfg(test)]
mod tests {
    use reflow_core::command::Exit;

    use super::*;

    fn output(exit: Exit, stdout: &str, stderr: &str) -> Output {
        Output {
            argv: vec!["sbatch".into()],
            exit,
            stdout: stdout.into(),
            stderr: stderr.into(),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn the_id_is_kept_whole() {
        for (stdout, id) in [("7\n", "7"), ("8;rig\n", "8;rig"), ("Welcome!\n9\n", "9")] {
            let id = JobId::new(id).expect("is an id");
            assert_eq!(accepted(&output(Exit::Code(0), stdout, "")).ok(), Some(id));
        }
    }

    #[test]
    fn a_missing_id_is_no_proof_that_nothing_was_queued() {
        for (exit, stdout) in [
            (Exit::Code(0), ""),
            (Exit::Code(0), "Submitted!\n"),
            (Exit::Signal(15), ""),
        ] {
            let error = accepted(&output(exit, stdout, "")).expect_err("has no id");
            assert!(error.may_exist);
            assert_eq!(error.error.kind(), SchedulerErrorKind::UnexpectedOutput);
        }
    }

    #[test]
    fn a_refusal_has_slurms_words() {
        let stderr = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified\n";
        let error = accepted(&output(Exit::Code(1), "", stderr)).expect_err("is refused");
        assert!(!error.may_exist);
        assert_eq!(error.error.kind(), SchedulerErrorKind::Rejected);
        insta::assert_snapshot!(error.error.message(), @"Slurm refused the job: Invalid partition name specified");
        let refused = |limit: &str| {
            let stderr = format!(
                "sbatch: error: {limit}\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n"
            );
            let error = accepted(&output(Exit::Code(1), "", &stderr)).expect_err("is refused");
            error.error.message().to_owned()
        };
        insta::assert_snapshot!(refused("QOSMaxWallDurationPerJobLimit"), @"Slurm refused the job: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits): QOSMaxWallDurationPerJobLimit");
        insta::assert_snapshot!(refused("AssocMaxSubmitJobLimit"), @"Slurm takes no more jobs until some have ended: AssocMaxSubmitJobLimit");
        let error = accepted(&output(
            Exit::Code(255),
            "",
            "sbatch: error: Invalid --time specification\n",
        ))
        .expect_err("is refused");
        assert!(!error.may_exist);
    }
}
