use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bstr::ByteSlice;

use crate::scheduler::{SchedulerError, SchedulerErrorKind};

/// How many lines of standard error an error carries.
const ERROR_LINES: usize = 20;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a program said, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How it ended.
    pub exit: Exit,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error, at most 64 KiB.
    pub stderr: Vec<u8>,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Output {
    /// Returns whether it ended with exit status 0.
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Returns standard output as text; bytes that are not UTF-8 are replaced.
    pub fn stdout_text(&self) -> Cow<'_, str> {
        self.stdout.to_str_lossy()
    }

    /// Returns whether standard output ends within a line: programs of batch systems end every line, so the
    /// rest of an answer was lost.
    pub fn is_cut_off(&self) -> bool {
        !self.stdout.is_empty() && !self.stdout.ends_with(b"\n")
    }

    /// Returns the end of standard error as text; bytes that are not UTF-8 are replaced.
    pub fn stderr_text(&self) -> Cow<'_, str> {
        self.stderr.to_str_lossy()
    }

    /// Returns an error with `message` and the facts: command, exit, the last 20 lines of standard
    /// error.
    pub fn error(&self, kind: SchedulerErrorKind, message: impl Into<String>) -> SchedulerError {
        let error = SchedulerError::new(kind, message)
            .with_context("command", show_argv(&self.argv))
            .with_context("exit", self.exit.to_string());
        let stderr = last_lines(&self.stderr_text(), ERROR_LINES).to_owned();
        if stderr.is_empty() {
            error
        } else {
            error.with_context("stderr", stderr)
        }
    }
}

/// Returns the last `lines` lines of `text`, without white space at its end.
pub fn last_lines(text: &str, lines: usize) -> &str {
    let text = text.trim_end();
    let start = text
        .bytes()
        .enumerate()
        .rev()
        .filter(|(_, byte)| *byte == b'\n')
        .nth(lines.saturating_sub(1))
        .map_or(0, |(position, _)| position + 1);
    &text[start..]
}

/// Returns a command line for people: long ones are cut.
pub(crate) fn show_argv(argv: &[String]) -> String {
    const MOST: usize = 400;
    let mut text = argv
        .iter()
        .map(|word| crate::scheduler::script::quote(word))
        .collect::<Vec<_>>()
        .join(" ");
    if let Some((cut, _)) = text.char_indices().nth(MOST) {
        text.truncate(cut);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\nb\nc\n", 20), "a\nb\nc");
        assert_eq!(last_lines("", 20), "");
    }

    #[test]
    fn an_error_names_the_command_its_exit_and_what_it_said() {
        let output = Output {
            argv: vec!["sbatch".into(), "-p".into(), "a b".into()],
            exit: Exit::Code(1),
            stdout: Vec::new(),
            stderr: b"sbatch: error: \xff\n".to_vec(),
            elapsed: Duration::ZERO,
        };
        insta::assert_snapshot!(
            output.error(SchedulerErrorKind::Rejected, "the batch system refused the job"),
            @"the batch system refused the job (command: sbatch -p 'a b', exit: exit status 1, stderr: sbatch: error: \u{fffd})"
        );
    }
}
