mod errand;

use std::path::Path;
use std::time::Duration;

use reflow_core::rundir::{BackendRecord, DispatchMode};
use reflow_core::scheduler::Scheduler;

use self::errand::{Errand, Outcome, Seen};
use super::{Findings, Level};
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::probe::{self, Reached, Round};
use crate::render::words::span;
use crate::scratch::Scratch;

const TOPIC: &str = "node";
const JOB: &str = "a tiny job";

/// Clocks that differ by less are not worth a word.
const CLOSE: i64 = 2000;

/// What the job is asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) context: &'a Context,
    pub(super) backend: &'a BackendRecord,
    pub(super) scheduler: &'a dyn Scheduler,
    /// Where runs are going to be.
    pub(super) directory: &'a Path,
    pub(super) partition: Option<&'a str>,
    /// How long the job may wait in the queue.
    pub(super) patience: Duration,
}

/// How the looking ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Interrupted,
}

/// Sends a tiny job that asks for what dispatch jobs ask for, and looks what it can do. Leaves nothing
/// behind, also when it is interrupted.
pub(super) async fn look(
    asked: &Asked<'_>,
    interrupt: &mut Interrupt,
    findings: &mut Findings,
) -> Ending {
    let scratch = match Scratch::below(asked.directory) {
        Ok(scratch) => scratch,
        Err(error) => {
            findings
                .add(
                    TOPIC,
                    Level::Problem,
                    JOB,
                    format!("could not be made: {error}"),
                )
                .advise("choose a directory that can be written with `--directory`");
            return Ending::Done;
        }
    };
    let mut errand = match Errand::new(asked, scratch.path()) {
        Ok(errand) => errand,
        Err(error) => {
            let message = format!("could not be made: {}", error.message);
            findings
                .add(TOPIC, Level::Problem, JOB, message)
                .advise(error.hints.join("; "));
            return Ending::Done;
        }
    };
    let outcome = tokio::select! {
        biased;
        () = interrupt.came() => None,
        outcome = errand.run() => Some(outcome),
    };
    errand.tidy_up().await;
    drop(scratch);
    let Some(outcome) = outcome else {
        return Ending::Interrupted;
    };
    tell(asked, outcome, findings);
    Ending::Done
}

fn tell(asked: &Asked<'_>, outcome: Outcome, findings: &mut Findings) {
    let seen = match outcome {
        Outcome::Answered(seen) => seen,
        Outcome::Silent {
            level,
            message,
            advice,
        } => {
            findings.add(TOPIC, level, JOB, message).advise(advice);
            return;
        }
    };
    findings
        .ok(
            TOPIC,
            JOB,
            format!(
                "job {} ran on {} after {}, and reflow starts there",
                seen.job,
                seen.host,
                span(seen.waited)
            ),
        )
        .fact("host", seen.host.clone())
        .fact("waited_seconds", seen.waited.as_secs_f64());
    files(asked, &seen, findings);
    clock(&seen, findings);
    submits(asked, &seen, findings);
}

/// How soon files are seen. There and back is the most that one way can have taken.
fn files(asked: &Asked<'_>, seen: &Seen, findings: &mut Findings) {
    let allowed = asked.context.latency(&asked.backend.name);
    let about = "files between here and there";
    let Some(slowest) = seen.rounds.iter().map(|round| round.took).max() else {
        findings
            .add(
                TOPIC,
                Level::Problem,
                about,
                "what is written here was not seen there, or the other way round",
            )
            .advise("choose a directory on a file system that the nodes share");
        return;
    };
    let message = format!("seen, there and back, within {}", span(slowest));
    let finding = if slowest > allowed {
        let seconds = slowest.as_secs() + 1;
        findings
            .add(
                TOPIC,
                Level::Warning,
                about,
                format!("{message}: longer than `latency`, which is {}", span(allowed)),
            )
            .advise(format!(
                "set `latency = \"{seconds}s\"` in `[backend.{}]`, so that no job is called lost whose result is on its way",
                asked.backend.name
            ))
    } else {
        findings.ok(TOPIC, about, message)
    };
    finding.fact("latency_ms", slowest.as_millis() as u64);
}

fn clock(seen: &Seen, findings: &mut Findings) {
    let Some((ahead, error)) = seen.rounds.iter().map(Round::ahead).min_by_key(|it| it.1) else {
        return;
    };
    let about = "clock of the node";
    let finding = if ahead.abs() > CLOSE + error {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let by = span(Duration::from_millis(ahead.unsigned_abs()));
        findings
            .add(TOPIC, Level::Warning, about, format!("{by} {way} the one here"))
            .advise("tell those who run the cluster; reflow decides nothing by clocks, but times that it shows are off, and so may be what your tasks make of them")
    } else {
        findings.ok(TOPIC, about, format!("the same as here, within {error} ms"))
    };
    finding.fact("ahead_ms", ahead).fact("uncertain_ms", error);
}

fn submits(asked: &Asked<'_>, seen: &Seen, findings: &mut Findings) {
    let about = "the batch system, from the node";
    match &seen.reached {
        Some(Reached { fault: None }) => {
            findings.ok(TOPIC, about, "answers: jobs can plan the run further");
        }
        _ if asked.context.configuration.resolved.dispatch() == DispatchMode::Login => {
            findings.ok(
                TOPIC,
                about,
                "does not answer, and need not: `dispatch` is `login`",
            );
        }
        reached => {
            let why = reached
                .as_ref()
                .and_then(|reached| reached.fault.as_deref());
            let why = why.unwrap_or("the job did not say in time");
            findings
                .add(TOPIC, Level::Problem, about, format!("does not answer: {why}"))
                .advise("set `dispatch = \"login\"` and keep `reflow drive` or `reflow wait` running, or have the nodes made hosts that may submit");
        }
    }
    if seen.host == probe::host() && asked.backend.name != "local" {
        findings
            .ok(
                TOPIC,
                "where the job ran",
                "on this machine itself: nothing is known of other nodes",
            )
            .advise("choose a partition of other nodes with `--partition`, if there are any");
    }
}
