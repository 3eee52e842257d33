use std::cell::Cell;
use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use reflow_conformance::{CaseOutcome, CaseReport, Report, cases};

use super::table;
use super::words::span;
use crate::output::{BAD, FAINT, GOOD, STRONG, styled};

/// Returns how the suite ended as `reflow backend check` shows it: a line for each case, and the numbers.
pub(crate) fn text(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report.cases.iter().map(row).collect();
    let lines = table::columns(&rows, "");
    let mut text = String::new();
    for (line, case) in lines.lines().zip(&report.cases) {
        let _ = writeln!(text, "{line}");
        if let CaseOutcome::Failed { reason } = &case.outcome {
            for line in reason.trim_end().lines() {
                let _ = writeln!(text, "         {} {line}", styled(FAINT, "|"));
            }
        }
    }
    let _ = writeln!(
        text,
        "\n{}: {} passed, {} failed, {} ignored in {}",
        styled(STRONG, &report.backend),
        report.passed,
        report.failed,
        report.ignored,
        span(std::time::Duration::from_secs_f64(report.seconds.max(0.0))),
    );
    if report.interrupted {
        let _ = writeln!(text, "interrupted: what was under way was cancelled");
    }
    if !report.left.is_empty() {
        let _ = writeln!(
            text,
            "{} {}",
            styled(BAD, "could not be removed:"),
            report.left.join(", ")
        );
    }
    text
}

fn row(case: &CaseReport) -> Vec<String> {
    let seconds = format!("{:.1} s", case.seconds);
    let (word, last) = match &case.outcome {
        CaseOutcome::Passed => (styled(GOOD, "passed"), seconds),
        CaseOutcome::Failed { .. } => (styled(BAD, "failed"), seconds),
        CaseOutcome::Ignored { reason } => {
            (styled(FAINT, "ignored"), reason.trim().replace('\n', " "))
        }
    };
    vec![word, case.clause.clone(), case.name.clone(), last]
}

/// Shows on standard error, where that is a terminal, how far the suite is.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    failed: Cell<usize>,
}

impl Progress {
    pub(crate) fn new(is_silent: bool) -> Self {
        let bar = if is_silent || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(cases().len() as u64)
        };
        if let Ok(style) =
            ProgressStyle::with_template("{bar:24} {pos} of at most {len} cases{msg}")
        {
            bar.set_style(style);
        }
        Self {
            bar,
            failed: Cell::new(0),
        }
    }

    pub(crate) fn show(&self, case: &CaseReport) {
        self.bar.inc(1);
        if matches!(case.outcome, CaseOutcome::Failed { .. }) {
            self.failed.set(self.failed.get() + 1);
            self.bar
                .set_message(format!(", {} failed", self.failed.get()));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_case_has_a_line_and_a_failure_its_reason() {
        let report: Report = serde_json::from_value(json!({
            "backend": "slurm", "passed": 1, "failed": 1, "ignored": 1, "interrupted": false,
            "seconds": 75.2, "left": ["41"],
            "cases": [
                {"name": "a_job_runs", "clause": "S3", "outcome": "passed", "seconds": 1.26},
                {"name": "an_element_is_told", "clause": "S4", "outcome": "failed",
                    "reason": "index 3 ran twice\nand 4 not at all", "seconds": 30.0},
                {"name": "a_lost_answer", "clause": "S2", "outcome": "ignored",
                    "reason": "needs a second connection", "seconds": 0.0},
            ],
        }))
        .expect("a report");
        let text = anstream::adapter::strip_str(&text(&report)).to_string();
        insta::assert_snapshot!(text, @r"
        passed   S3  a_job_runs          1.3 s
        failed   S4  an_element_is_told  30.0 s
                 | index 3 ran twice
                 | and 4 not at all
        ignored  S2  a_lost_answer       needs a second connection

        slurm: 1 passed, 1 failed, 1 ignored in 75 s
        could not be removed: 41
        ");
    }
}
