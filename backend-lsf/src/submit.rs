use std::time::{Duration, SystemTime};

use reflow_core::command::Output;
use reflow_core::id::JobId;
use reflow_core::scheduler::{JobRequest, SchedulerErrorKind, SubmitError, client};

use crate::connect::Lsf;
use crate::{fault, parents, render};

/// Least time between now and an earliest start that is sent: `bsub` takes a time without a year that has
/// just passed for one of next year.
const MARGIN: Duration = Duration::from_secs(30);

/// Submits `request`: one attempt, after one question about its parents.
pub(crate) async fn submit(lsf: &Lsf, request: &JobRequest) -> Result<JobId, SubmitError> {
    // First without asking anybody: what cannot be said is refused at once.
    render::render(lsf, request).map_err(SubmitError::nothing_sent)?;
    let known = parents::ask(lsf, request)
        .await
        .map_err(SubmitError::nothing_sent)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "an earliest start is a wall clock time, and LSF compares it with its own"
    )]
    let request = start(request, SystemTime::now());
    let rendered =
        render::with_parents(lsf, &request, &known).map_err(SubmitError::nothing_sent)?;
    let output = client::send(&lsf.runner, rendered).await?;
    client::accepted(&output, job_id, |output| {
        refusal(output, rustix::process::geteuid().is_root())
    })
}

/// Returns the request without an earliest start that is past, and with one that is about to come moved a
/// minute ahead.
fn start(request: &JobRequest, now: SystemTime) -> JobRequest {
    let mut request = request.clone();
    if let Some(time) = request.not_before {
        let minute = Duration::from_mins(1);
        if time <= now {
            request.not_before = None;
        } else if let Ok(Some(rounded)) = request.not_before_in(60)
            && let Ok(rounded) = u64::try_from(rounded)
            && SystemTime::UNIX_EPOCH + Duration::from_secs(rounded) <= now + MARGIN
        {
            request.not_before = Some(time + minute);
        }
    }
    request
}

/// The id in the last line `Job <7> is submitted to queue <normal>.`: sites have `bsub` print greetings.
fn job_id(text: &str) -> Option<JobId> {
    text.lines().rev().find_map(|line| {
        line.match_indices("Job <").find_map(|(start, head)| {
            let (number, rest) = line[start + head.len()..].split_once('>')?;
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            (is_number && rest.starts_with(" is submitted"))
                .then(|| JobId::new(number).ok())
                .flatten()
        })
    })
}

/// LSF's words: the last line that ends with `Job not submitted.`, or the last line.
fn words(text: &str) -> Option<&str> {
    let lines = || text.lines().rev().map(str::trim);
    lines()
        .find_map(|line| line.strip_suffix("Job not submitted."))
        .or_else(|| lines().find(|line| !line.is_empty()))
        .map(|line| line.trim_end_matches(['.', ' ']))
        .filter(|line| !line.is_empty())
}

fn refusal(output: &Output, is_root: bool) -> SubmitError {
    let text = output.stderr_text();
    let (mut kind, may_exist) = fault::WORDS.classify(&text);
    let words = words(&text);
    // The parents were known a moment ago; the next attempt finds them gone and leaves them out.
    if kind == SchedulerErrorKind::Rejected && text.contains("No matching job found") {
        kind = SchedulerErrorKind::Busy;
    }
    let message = match (kind, words) {
        (SchedulerErrorKind::Permission, _)
            if is_root && text.contains("User permission denied") =>
        {
            "LSF takes no jobs from root: submit as another user".to_owned()
        }
        (SchedulerErrorKind::TimedOut, _) => "LSF did not answer in time".to_owned(),
        (SchedulerErrorKind::Unreachable, _) => "LSF could not be reached".to_owned(),
        (SchedulerErrorKind::LimitReached, _) => {
            "LSF takes no more jobs until some have ended: a limit on pending jobs is reached"
                .to_owned()
        }
        (_, Some(words)) => format!("LSF refused the job: {words}"),
        (_, None) => "LSF refused the job".to_owned(),
    };
    SubmitError {
        error: output.error(kind, message),
        may_exist,
    }
}

#[cfg(test)]
mod tests;
