use std::collections::HashMap;

use reflow_core::command::Output;
use reflow_core::id::JobId;
use reflow_core::scheduler::{
    DependencyKind, EndReason, JobRequest, JobState, SchedulerError, SchedulerErrorKind,
    SubmitError, client,
};

use crate::connect::Pbs;
use crate::parse::Id;
use crate::{fault, query, render, status};

/// Submits `request`: one attempt, after one question about the jobs that it waits for.
pub(crate) async fn submit(pbs: &Pbs, request: &JobRequest) -> Result<JobId, SubmitError> {
    // What cannot be rendered is told before anything is asked.
    let mut rendered = render::render(pbs, request).map_err(SubmitError::nothing_sent)?;
    if !request.dependencies.is_empty() {
        let open = without_met(pbs, request)
            .await
            .map_err(SubmitError::nothing_sent)?;
        rendered = render::render(pbs, &open).map_err(SubmitError::nothing_sent)?;
    }
    accepted(&client::send(&pbs.runner, rendered).await?)
}

/// Returns the request without the conditions that hold already.
///
/// A job that waits for one that the server does not know is taken, and is deleted at once (OpenPBS
/// 23.06.06); one that waits for a job which was deleted before it ran stays held for ever. Neither may
/// happen to a condition that holds.
async fn without_met(pbs: &Pbs, request: &JobRequest) -> Result<JobRequest, SchedulerError> {
    let parents: Vec<JobId> = request.dependencies.iter().map(|d| d.job.clone()).collect();
    let answer = query::jobs(pbs, &query::known_forms(&parents), true).await?;
    let states: HashMap<JobId, JobState> = status::read(
        pbs.dialect,
        &parents,
        &answer,
        &std::collections::HashSet::new(),
    )
    .into_iter()
    .map(|status| {
        // An array of which nothing is known now is known to be there all the same.
        let is_there = Id::parse(status.job.as_str()).is_some_and(|asked| {
            answer
                .records
                .iter()
                .any(|record| Id::parse(&record.id).is_some_and(|id| id.is_same_job(&asked)))
        });
        match status.state {
            JobState::Unknown if is_there => (status.job, JobState::Running { since: None }),
            state => (status.job, state),
        }
    })
    .collect();
    let mut open = request.clone();
    open.dependencies.clear();
    for dependency in &request.dependencies {
        let state = states.get(&dependency.job).unwrap_or(&JobState::Unknown);
        let is_met = match (dependency.kind, state) {
            (DependencyKind::Any, JobState::Unknown | JobState::Ended(_)) => true,
            (_, JobState::Unknown) => {
                return Err(SchedulerError::new(
                    SchedulerErrorKind::Rejected,
                    format!(
                        "PBS does not know job {} any more, so that nothing can wait for how it ends",
                        dependency.job
                    ),
                ));
            }
            (DependencyKind::Ok, JobState::Ended(end)) => end.reason == EndReason::Completed,
            (DependencyKind::NotOk, JobState::Ended(end)) => end.reason != EndReason::Completed,
            _ => false,
        };
        if !is_met {
            open.dependencies.push(dependency.clone());
        }
    }
    Ok(open)
}

/// Reads what `qsub` said: the id, `7.server` or `7[].server`.
fn accepted(output: &Output) -> Result<JobId, SubmitError> {
    client::accepted(output, job_id, |output| {
        let text = output.stderr_text();
        if text.trim().is_empty() {
            // Every refusal of PBS has words.
            return SubmitError::maybe_sent(output.error(
                SchedulerErrorKind::UnexpectedOutput,
                "`qsub` failed and did not say why",
            ));
        }
        let (kind, may_exist) = fault::WORDS.classify(&text);
        SubmitError {
            error: refusal(output, kind),
            may_exist,
        }
    })
}

/// The last line of `text` that is a job id: sites have `qsub` print greetings.
fn job_id(text: &str) -> Option<JobId> {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| Id::parse(line).is_some_and(|id| !id.server.is_empty()))
        .and_then(|line| JobId::new(line).ok())
}

fn refusal(output: &Output, kind: SchedulerErrorKind) -> SchedulerError {
    let text = output.stderr_text();
    let words = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("qsub: "))
        .next_back();
    match (kind, words) {
        (SchedulerErrorKind::TimedOut, _) => output.error(kind, "PBS did not answer in time"),
        (SchedulerErrorKind::Unreachable, _) => {
            output.error(kind, "PBS's server could not be reached")
        }
        (SchedulerErrorKind::LimitReached, words) => output.error(
            kind,
            format!(
                "PBS takes no more jobs until some have ended: {}",
                words.unwrap_or("a limit is reached")
            ),
        ),
        (_, Some(words)) => output.error(kind, format!("PBS refused the job: {words}")),
        (_, None) => output.error(kind, "PBS refused the job"),
    }
}

#[cfg(test)]
mod tests;
