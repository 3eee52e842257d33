use std::fmt::Write;

use super::table;
use crate::commands::doctor::{Finding, Level};
use crate::output::{BAD, FAINT, GOOD, STRONG, WARN, styled};

/// Returns what was found as `reflow doctor` shows it, by topic, with the numbers at the end.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut rest = findings;
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .position(|finding| finding.topic != first.topic)
            .unwrap_or(rest.len());
        let (group, others) = rest.split_at(same);
        let _ = writeln!(text, "{}", styled(STRONG, first.topic));
        text.push_str(&topic(group));
        rest = others;
    }
    let of = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let counted = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    let _ = writeln!(
        text,
        "\n{} ok, {}, {}",
        of(Level::Ok),
        counted(of(Level::Warning), "warning"),
        counted(of(Level::Problem), "problem"),
    );
    text
}

fn topic(findings: &[Finding]) -> String {
    let mut rows = Vec::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => styled(GOOD, "ok"),
            Level::Warning => styled(WARN, "warning"),
            Level::Problem => styled(BAD, "problem"),
        };
        rows.push(vec![
            level,
            finding.about.clone(),
            finding.message.replace('\n', " "),
        ]);
    }
    let lines = table::columns(&rows, "  ");
    let mut text = String::new();
    for (line, finding) in lines.lines().zip(findings) {
        let _ = writeln!(text, "{line}");
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "           {} {advice}", styled(FAINT, "do:"));
        }
    }
    text
}
