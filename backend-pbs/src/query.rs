//! What all questions share.

use reflow_core::command::{Call, Output};
use reflow_core::id::JobId;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind, client};

use crate::connect::Pbs;
use crate::parse::{self, Answer, Id};
use crate::{config::Dialect, fault};

/// Most bytes of ids in one command line, each an argument of its own: Linux takes 2 MiB with the
/// environment.
const MOST_IDS: usize = 500_000;

/// Returns the ids that are PBS's, without those that come twice.
pub(crate) fn known_forms<'a>(jobs: impl IntoIterator<Item = &'a JobId>) -> Vec<String> {
    let mut ids: Vec<String> = jobs
        .into_iter()
        .filter(|job| Id::parse(job.as_str()).is_some())
        .map(|job| job.as_str().to_owned())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Asks about jobs, with the elements of arrays or without: one question, split only where a command line
/// would be too long. Those that PBS does not know are missing from the answer.
pub(crate) async fn jobs(
    pbs: &Pbs,
    ids: &[String],
    elements: bool,
) -> Result<Answer, SchedulerError> {
    let mut answer = Answer::default();
    // Without an id, `qstat` would tell of all jobs: for none, there is no part here.
    for part in client::parts(ids, MOST_IDS) {
        let some = ask_jobs(pbs, part, elements).await?;
        answer.now = some.now;
        answer.records.extend(some.records);
    }
    Ok(answer)
}

/// Asks Torque about all jobs of all users.
pub(crate) async fn jobs_of_all(pbs: &Pbs) -> Result<Answer, SchedulerError> {
    ask_jobs(pbs, &[], false).await
}

async fn ask_jobs(pbs: &Pbs, ids: &[String], elements: bool) -> Result<Answer, SchedulerError> {
    let mut with_history = pbs.has_history();
    loop {
        let mut call = question("qstat");
        call.argv.extend(with_history.then(|| "-x".to_owned()));
        call.argv.extend(elements.then(|| "-t".to_owned()));
        call.argv.push("-f".to_owned());
        if pbs.json {
            call.argv.extend(["-F".to_owned(), "json".to_owned()]);
        }
        call.argv.extend(ids.iter().cloned());
        let output = ask(pbs, &call).await?;
        // Since connecting, the server may have been told to keep no history.
        if with_history && output.stderr_text().contains(fault::NO_HISTORY) {
            with_history = false;
            continue;
        }
        return read(pbs, &output);
    }
}

/// Reads an answer, which has what PBS knows although the exit status is 153 or 35 when it does not know
/// all.
fn read(pbs: &Pbs, output: &Output) -> Result<Answer, SchedulerError> {
    let is_partial = !output.success();
    if is_partial && !fault::is_only_about_ended(&output.stderr_text()) {
        return Err(failed(output, "`qstat` failed"));
    }
    let text = output.stdout_text();
    let asks_all = output.argv.last().is_some_and(|word| word == "-f");
    if text.trim().is_empty() && (is_partial || asks_all) {
        return Ok(Answer::default());
    }
    let answer = if pbs.json {
        parse::json(&text)
    } else {
        parse::text(&text)
    };
    answer.map_err(|line| {
        output
            .error(
                SchedulerErrorKind::UnexpectedOutput,
                "could not read the answer of `qstat`",
            )
            .with_context("stdout", line)
    })
}

/// The error of a question that failed: never a refusal, which would be about a request.
pub(crate) fn failed(output: &Output, message: &str) -> SchedulerError {
    let (kind, _) = fault::WORDS.classify(&output.stderr_text());
    let kind = match kind {
        SchedulerErrorKind::Rejected | SchedulerErrorKind::LimitReached => {
            SchedulerErrorKind::UnexpectedOutput
        }
        kind => kind,
    };
    output.error(kind, message)
}

/// Runs a call that may be repeated.
pub(crate) async fn ask(pbs: &Pbs, call: &Call) -> Result<Output, SchedulerError> {
    Ok(fault::WORDS.ask(&pbs.runner, call, pbs.patience).await?)
}

/// Returns a call of a program that asks.
///
/// Times come from the server as numbers, and the clients write them in their own time zone.
pub(crate) fn question(program: &str) -> Call {
    let mut call = Call::new([program]);
    call.environment.insert("TZ".to_owned(), "UTC".to_owned());
    call
}

impl Pbs {
    /// Whether programs are to be asked for ended jobs (`-x`). Torque, where it means another thing, shows
    /// them without being asked.
    pub(crate) fn has_history(&self) -> bool {
        self.dialect == Dialect::OpenPbs && self.capabilities.history.is_some()
    }
}
