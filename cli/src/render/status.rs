use std::fmt::Write;

use clap::builder::styling::Style;
use reflow_core::engine::{Counts, ElementReport, ElementState, RunState, RunStatus, TaskStatus};
use reflow_core::id::RunId;
use reflow_core::scheduler::EndReason;

use super::table;
use crate::output::{BAD, FAINT, GOOD, STRONG, WARN, styled};
use crate::queue::{Waiting, advice};

/// Most jobs named in one line.
const MOST_JOBS: usize = 4;

/// Returns a run as `reflow status` shows it, with why its jobs wait where that is known.
pub(crate) fn run(status: &RunStatus, waiting: &[Waiting]) -> String {
    let mut text = format!(
        "{}  {}\n",
        styled(STRONG, &status.run_id),
        state_words(status.state)
    );
    if let Some(message) = &status.message {
        let _ = writeln!(text, "  {}", message.trim_end().replace('\n', "\n  "));
    }
    let facts = [
        ("workflow", status.workflow.to_string()),
        ("backend", status.backend.clone()),
        ("submitted", status.created.clone()),
        ("directory", status.run_dir.display().to_string()),
    ];
    let facts: Vec<Vec<String>> = facts
        .into_iter()
        .map(|(name, value)| vec![styled(FAINT, name), value])
        .collect();
    text.push_str(&table::columns(&facts, "  "));
    text.push('\n');
    text.push_str(&tasks(status));
    text.push_str(&waits(status, waiting));
    text.push_str(&failures(status));
    text
}

/// Returns why jobs wait, those that can never start with what to do.
fn waits(status: &RunStatus, waiting: &[Waiting]) -> String {
    let mut text = String::new();
    for Waiting {
        task,
        job,
        reason,
        never,
    } in waiting
    {
        let reason = reason.as_deref().map_or("", str::trim).replace('\n', " ");
        if *never {
            let reason = if reason.is_empty() {
                "no reason is given"
            } else {
                &reason
            };
            let _ = writeln!(
                text,
                "  {} {reason}\n    {} {}",
                styled(BAD, format!("{task} can never start: job {job}:")),
                styled(GOOD, "hint:"),
                advice(status.run_id.as_str(), task)
            );
        } else if !reason.is_empty() {
            let _ = writeln!(
                text,
                "  {}",
                styled(FAINT, format!("{task} waits: job {job}: {reason}"))
            );
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

/// Returns the failures of a run, or nothing.
pub(crate) fn failures(status: &RunStatus) -> String {
    let mut text = String::new();
    for report in &status.failures {
        text.push('\n');
        text.push_str(&element(report, &status.run_id));
    }
    for task in &status.tasks {
        let failed = task.elements.failed + task.elements.lost;
        let shown = status
            .failures
            .iter()
            .filter(|report| report.task == task.name)
            .count() as u32;
        if shown > 0 && failed > shown {
            let _ = writeln!(text, "\n{} more of {} failed", failed - shown, task.name);
        }
    }
    text
}

/// Returns the state of a run as a styled word.
pub(crate) fn state_words(state: RunState) -> String {
    let (style, word) = match state {
        RunState::Running => (STRONG, "running"),
        RunState::Paused => (WARN, "paused"),
        RunState::Stalled => (WARN, "stalled"),
        RunState::Succeeded => (GOOD, "succeeded"),
        RunState::Failed => (BAD, "failed"),
        RunState::Cancelled => (WARN, "cancelled"),
    };
    styled(style, word)
}

fn tasks(status: &RunStatus) -> String {
    let rows: Vec<Vec<String>> = status
        .tasks
        .iter()
        .map(|task| vec![task_name(task), task_words(task), jobs(task)])
        .collect();
    table::columns(&rows, "  ")
}

/// Returns the name of a task, with its width where it is an array.
pub(crate) fn task_name(task: &TaskStatus) -> String {
    match (task.array, task.width) {
        (true, Some(width)) => format!("{}[{width}]", task.name),
        (true, None) => format!("{}[]", task.name),
        (false, _) => task.name.to_string(),
    }
}

/// Returns what is known of a task, in words.
pub(crate) fn task_words(task: &TaskStatus) -> String {
    if let Some(message) = &task.message {
        return message.trim().replace('\n', " ");
    }
    match task.width {
        None => styled(FAINT, "waiting for its width"),
        Some(0) => styled(FAINT, "no elements"),
        Some(_) => counts(&task.elements),
    }
}

/// Returns numbers of elements by state: those that there are.
pub(crate) fn counts(counts: &Counts) -> String {
    let parts: Vec<String> = ElementState::ALL
        .into_iter()
        .filter(|state| counts.get(*state) > 0)
        .map(|state| {
            let words = format!("{} {}", counts.get(state), state.word());
            styled(style(state), words)
        })
        .collect();
    parts.join(", ")
}

fn style(state: ElementState) -> Style {
    match state {
        ElementState::Succeeded | ElementState::Cached => GOOD,
        ElementState::Failed | ElementState::Lost => BAD,
        ElementState::Cancelled | ElementState::Skipped => WARN,
        ElementState::Running => STRONG,
        ElementState::Waiting | ElementState::Queued => FAINT,
    }
}

fn jobs(task: &TaskStatus) -> String {
    let names: Vec<String> = task
        .jobs
        .iter()
        .rev()
        .take(MOST_JOBS)
        .map(ToString::to_string)
        .collect();
    if names.is_empty() {
        return String::new();
    }
    let word = if task.jobs.len() == 1 { "job" } else { "jobs" };
    let more = if task.jobs.len() > MOST_JOBS {
        ", ..."
    } else {
        ""
    };
    styled(FAINT, format!("{word} {}{more}", names.join(", ")))
}

/// Returns the name of an element: `count[3]`, or `split` for a task that is no array.
pub(crate) fn element_name(report: &ElementReport) -> String {
    match report.index {
        Some(index) => format!("{}[{index}]", report.task),
        None => report.task.to_string(),
    }
}

/// Returns elements one by one.
pub(crate) fn elements(reports: &[ElementReport], run_id: &RunId) -> String {
    let texts: Vec<String> = reports.iter().map(|it| element(it, run_id)).collect();
    texts.join("\n")
}

/// Returns an element with all that is known of it, its earlier attempts included.
fn element(report: &ElementReport, run_id: &RunId) -> String {
    let heading = styled(style(report.state), element_name(report));
    let mut text = format!("{heading} {}\n", end_words(report));
    let mut facts = Vec::new();
    let most = report.attempt + report.retries_left;
    if most > 1 {
        facts.push(format!("attempt {} of {most}", report.attempt.max(1)));
    }
    facts.extend(usage(report));
    if !facts.is_empty() {
        let _ = writeln!(text, "  {}", styled(FAINT, facts.join(", ")));
    }
    for line in report.stderr.trim_end().lines() {
        let _ = writeln!(text, "  {} {line}", styled(FAINT, "|"));
    }
    if let Some(log) = report.log.as_ref().filter(|_| !report.state.has_value()) {
        let _ = writeln!(text, "  {} {}", styled(FAINT, "log:"), log.display());
    }
    text.push_str(&late_words(report));
    for past in report.past.iter().rev() {
        let _ = writeln!(text, "  attempt {} {}", past.attempt, end_words(past));
        let facts = usage(past);
        if !facts.is_empty() {
            let _ = writeln!(text, "    {}", styled(FAINT, facts.join(", ")));
        }
        let _ = writeln!(
            text,
            "    {} reflow logs {run_id} '{}' --attempt {}",
            styled(FAINT, "log:"),
            element_name(past),
            past.attempt
        );
        text.push_str(&late_words(past));
    }
    text
}

/// Returns the state of an element, with why it ended where that is news.
fn end_words(report: &ElementReport) -> String {
    let word = report.state.word();
    if report.state.has_value() || !report.state.is_ended() {
        return word.to_owned();
    }
    format!("{word}: {}", reason_words(report))
}

fn late_words(report: &ElementReport) -> String {
    match report.late {
        Some(late) => format!(
            "    its worker said later that it {}, which counts for nothing\n",
            match late {
                ElementState::Succeeded => "succeeded",
                ElementState::Failed => "failed",
                _ => "ended",
            }
        ),
        None => String::new(),
    }
}

/// Returns where an element ran, and what it used.
fn usage(report: &ElementReport) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(report.job.as_ref().map(|job| format!("job {job}")));
    facts.extend(report.node.as_ref().map(|node| format!("on {node}")));
    facts.extend(
        report
            .elapsed
            .map(|elapsed| format!("after {:.1} s", elapsed.as_secs_f64())),
    );
    facts.extend(
        report
            .peak_memory
            .map(|memory| format!("peak memory {memory}")),
    );
    facts
}

/// Returns why an element ended, in words.
fn reason_words(report: &ElementReport) -> String {
    let reason = report.reason.map(|reason| match reason {
        EndReason::Completed | EndReason::Failed => "",
        EndReason::Walltime => "over its walltime",
        EndReason::Memory => "over its memory",
        EndReason::Cancelled => "cancelled",
        EndReason::DependencyFailed => "a job that it depends on failed",
        EndReason::NodeFailure => "its node failed",
        EndReason::Preempted => "preempted by another job",
        EndReason::StartFailure => "could not be started",
        _ => "ended without a word",
    });
    let mut parts: Vec<String> = reason
        .into_iter()
        .filter(|words| !words.is_empty())
        .map(str::to_owned)
        .collect();
    parts.extend(
        report
            .exit_status
            .filter(|code| *code != 0)
            .map(|code| format!("exit status {code}")),
    );
    parts.extend(
        report
            .signal
            .map(|signal| format!("killed by signal {signal}")),
    );
    let message = report.message.as_deref().map_or("", str::trim);
    if !message.is_empty() && !parts.iter().any(|part| part == message) {
        parts.push(message.to_owned());
    }
    if parts.is_empty() {
        return "nothing is known about its end".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> RunStatus {
        let none = json!({"waiting": 0, "queued": 0, "running": 0, "succeeded": 0, "cached": 0,
            "failed": 0, "lost": 0, "cancelled": 0, "skipped": 0});
        let with = |state: &str, number: u32| {
            let mut counts = none.clone();
            counts[state] = json!(number);
            counts
        };
        let mut count = with("succeeded", 5);
        count["running"] = json!(2);
        count["failed"] = json!(7);
        serde_json::from_value(json!({
            "run_id": "wordcount-x", "run_dir": "/data/run", "workflow": "wordcount",
            "backend": "slurm", "created": "2026-01-01T00:00:00Z", "state": "running",
            "tasks": [
                {"name": "split", "array": false, "width": 1, "elements": with("succeeded", 1),
                    "jobs": ["7"]},
                {"name": "count", "array": true, "width": 14, "elements": count,
                    "jobs": ["8", "9", "10", "11", "12"]},
                {"name": "more", "array": true, "width": null, "elements": none, "jobs": []},
                {"name": "total", "array": false, "width": 1, "elements": with("waiting", 1),
                    "jobs": []},
            ],
            "failures": [{
                "task": "count", "index": 3, "attempt": 2, "state": "failed", "reason": "failed",
                "exit_status": 2, "job": "8_3", "node": "c1",
                "elapsed": {"secs": 1, "nanos": 500_000_000},
                "stderr": "wc: part-3.txt: No such file\n", "log": "/data/run/.reflow/logs/a/3",
                "retries_left": 1,
                "past": [{
                    "task": "count", "index": 3, "attempt": 1, "state": "lost", "reason": "lost",
                    "message": "neither its worker nor the batch system says how it ended",
                    "job": "7_3", "late": "succeeded",
                }],
            }],
        }))
        .expect("a status")
    }

    #[test]
    fn a_run_is_shown_by_task_with_its_failures() {
        let text = anstream::adapter::strip_str(&run(&example(), &[])).to_string();
        insta::assert_snapshot!(text, @r"
        wordcount-x  running
          workflow   wordcount
          backend    slurm
          submitted  2026-01-01T00:00:00Z
          directory  /data/run

          split      1 succeeded                       job 7
          count[14]  2 running, 5 succeeded, 7 failed  jobs 12, 11, 10, 9, ...
          more[]     waiting for its width
          total      1 waiting

        count[3] failed: exit status 2
          attempt 2 of 3, job 8_3, on c1, after 1.5 s
          | wc: part-3.txt: No such file
          log: /data/run/.reflow/logs/a/3
          attempt 1 lost: ended without a word, neither its worker nor the batch system says how it ended
            job 7_3
            log: reflow logs wordcount-x 'count[3]' --attempt 1
            its worker said later that it succeeded, which counts for nothing

        6 more of count failed
        ");
    }
}
