use std::time::Duration;

use crate::command::{Call, CommandError, Output, Runner};
use crate::scheduler::{SchedulerError, SchedulerErrorKind};

/// A program that took longer has tried again by itself: `squeue` asks for an unreachable controller
/// for one to two `MessageTimeout`s.
const QUICK: Duration = Duration::from_secs(5);

/// The words with which a batch system's programs fail, and what they mean: the kind of failure, and
/// whether a request may have arrived all the same.
///
/// The first words that a text contains count; a text with none of them is a refusal.
#[derive(Debug, Clone, Copy)]
pub struct Complaints(pub &'static [(&'static str, SchedulerErrorKind, bool)]);

impl Complaints {
    /// Returns what a failed program's words mean: the kind, and whether a request may have arrived.
    pub fn classify(self, text: &str) -> (SchedulerErrorKind, bool) {
        self.0
            .iter()
            .find(|(words, ..)| text.contains(words))
            .map_or(
                (SchedulerErrorKind::Rejected, false),
                |(_, kind, arrived)| (*kind, *arrived),
            )
    }

    /// Returns whether asking again at once may be answered.
    pub fn is_temporary(self, output: &Output) -> bool {
        !output.success()
            && output.elapsed < QUICK
            && self.classify(&output.stderr_text()).0.is_temporary()
    }

    /// Returns the error for a failed program.
    pub fn error(self, output: &Output, message: &str) -> SchedulerError {
        output.error(self.classify(&output.stderr_text()).0, message)
    }

    /// Runs a call that may be repeated, and gives up after `limit`, however often that was.
    ///
    /// Clients wait for a server that is away or hangs by themselves, some of them for minutes.
    ///
    /// # Errors
    /// As of [`Runner::query`], and [`CommandError::TimedOut`] when the limit is over. An answer of
    /// failure is an output like any other.
    pub async fn ask(
        self,
        runner: &Runner,
        call: &Call,
        limit: Duration,
    ) -> Result<Output, CommandError> {
        let asked = runner.query(call, |output| self.is_temporary(output));
        match tokio::time::timeout(limit, asked).await {
            Ok(answered) => answered,
            Err(_) => Err(CommandError::TimedOut {
                program: call.argv.first().cloned().unwrap_or_default(),
                argv: call.argv.clone(),
                after: limit,
                stderr: String::new(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Exit;

    const WORDS: Complaints = Complaints(&[
        ("lost the answer", SchedulerErrorKind::TimedOut, true),
        ("nobody there", SchedulerErrorKind::Unreachable, false),
    ]);

    #[test]
    fn the_first_known_words_count_and_others_are_a_refusal() {
        assert_eq!(
            WORDS.classify("error: nobody there, lost the answer"),
            (SchedulerErrorKind::TimedOut, true)
        );
        assert_eq!(
            WORDS.classify("no such queue"),
            (SchedulerErrorKind::Rejected, false)
        );
    }

    #[test]
    fn a_client_that_has_tried_for_long_is_not_asked_again() {
        let mut output = Output {
            argv: vec!["squeue".into()],
            exit: Exit::Code(1),
            stdout: Vec::new(),
            stderr: b"nobody there\n".to_vec(),
            elapsed: Duration::from_millis(20),
        };
        assert!(WORDS.is_temporary(&output));
        output.elapsed = Duration::from_secs(29);
        assert!(!WORDS.is_temporary(&output));
    }
}
