//! What all questions share: the numbers of jobs, the programs' environment, and answers whose exit status
//! says little.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use reflow_core::command::{Call, Environment, Output, Runner};
use reflow_core::id::JobId;
use reflow_core::scheduler::{SchedulerError, SchedulerErrorKind};

use crate::connect::Lsf;
use crate::fault;

/// Returns the number of a job, or none when it is not one of LSF's.
pub(crate) fn number(job: &JobId) -> Option<&str> {
    let number = job.as_str();
    number.bytes().all(|b| b.is_ascii_digit()).then_some(number)
}

/// Returns the numbers of `jobs`, each once. Ids that are not LSF's are left out.
pub(crate) fn numbers<'a>(jobs: impl IntoIterator<Item = &'a JobId>) -> Vec<&'a str> {
    let numbers: BTreeSet<&str> = jobs.into_iter().filter_map(number).collect();
    numbers.into_iter().collect()
}

/// What LSF's programs are run with.
///
/// Without `LSB_NTRIES` they ask a daemon that is away for ever, and `bsub` waits for ever for room in the
/// queue. Times are in the client's time zone.
pub(crate) fn environment() -> Environment {
    [("LSB_NTRIES", "1"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Answer(Output);

impl Answer {
    pub(crate) fn stdout(&self) -> Cow<'_, str> {
        self.0.stdout_text()
    }

    pub(crate) fn stderr(&self) -> Cow<'_, str> {
        self.0.stderr_text()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.0.success()
    }

    /// Whether it ends within a line: what is missing may be in the queue all the same.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.is_cut_off()
    }

    /// Whether this is an answer, also where it says that there is nothing: the exit status of `bjobs` is no
    /// sign, it differs between versions and settings.
    pub(crate) fn is_answer(&self) -> bool {
        self.is_success() || self.is_nothing()
    }

    /// Whether it only says that there is nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        self.stdout()
            .lines()
            .all(|line| line.trim().is_empty() || fault::is_nothing(line))
            && fault::says_nothing_there(&format!("{}\n{}", self.stdout(), self.stderr()))
    }

    /// Whether the program does not know an option: `bjobs: invalid option -- 'o'`, then its usage.
    pub(crate) fn is_of_unknown_options(&self) -> bool {
        let said = self.stderr();
        said.contains("invalid option") || said.contains("sage:")
    }

    /// Whether it failed in words that do not say that LSF is away.
    pub(crate) fn is_refusal(&self) -> bool {
        fault::WORDS.classify(&self.stderr()).0 == SchedulerErrorKind::Rejected
    }

    /// The kind of failure.
    pub(crate) fn kind(&self) -> SchedulerErrorKind {
        match fault::WORDS.classify(&self.stderr()).0 {
            // A question is not refused: words that are not known are an answer that is not understood.
            SchedulerErrorKind::Rejected => SchedulerErrorKind::UnexpectedOutput,
            kind => kind,
        }
    }

    /// Returns an error with what was said.
    pub(crate) fn error(&self, message: &str) -> SchedulerError {
        let error = self.0.error(self.kind(), message);
        let stdout = self.stdout();
        let start: String = stdout.chars().take(200).collect();
        if start.trim().is_empty() {
            error
        } else {
            error.with_context("stdout", start)
        }
    }
}

/// Asks one of LSF's programs.
pub(crate) async fn ask(lsf: &Lsf, argv: &[&str]) -> Result<Answer, SchedulerError> {
    within(lsf.patience, &lsf.runner, argv).await
}

/// Asks one of LSF's programs, and gives up after `limit`, however often that was.
pub(crate) async fn within(
    limit: Duration,
    runner: &Runner,
    argv: &[&str],
) -> Result<Answer, SchedulerError> {
    let call = Call {
        environment: environment(),
        ..Call::new(argv.iter().copied())
    };
    Ok(Answer(fault::WORDS.ask(runner, &call, limit).await?))
}

#[cfg(test)]
mod tests {
    use reflow_core::command::Exit;

    use super::*;

    fn answer(code: i32, stdout: &str, stderr: &str) -> Answer {
        Answer(Output {
            argv: vec!["bjobs".into()],
            exit: Exit::Code(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
            elapsed: Duration::ZERO,
        })
    }

    #[test]
    fn the_exit_status_of_bjobs_is_no_sign() {
        assert!(answer(255, "", "Job <99999> is not found\n").is_answer());
        assert!(answer(254, "", "No unfinished job found\n").is_answer());
        assert!(answer(0, "", "No unfinished job found\n").is_answer());
        assert!(answer(255, "No matching job found\n", "").is_nothing());
        assert!(!answer(255, "", "LSF is down. Please wait ...\n").is_answer());
        assert!(!answer(255, "", "").is_nothing());
    }

    #[test]
    fn ids_are_asked_for_once_and_strange_ones_not() {
        let ids = ["12", "7", "x[]", "12"].map(|id| JobId::new(id).expect("is an id"));
        assert_eq!(numbers(&ids), ["12", "7"]);
    }
}
