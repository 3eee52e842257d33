use std::time::{Duration, SystemTime};

use reflow_core::scheduler::{EndReason, ExitStatus, JobState, Memory};

/// The phase of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    #[default]
    Pending,
    Running,
    Ended,
}

/// What is kept of one element of a job: small, since there may be a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) phase: Phase,
    /// Meaningful once ended.
    pub(crate) end: End,
    /// Milliseconds since the epoch, 0 where it never started.
    pub(crate) started: u64,
}

/// How an element ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) reason: EndReason,
    pub(crate) code: Option<u8>,
    pub(crate) signal: Option<u8>,
    /// Milliseconds since the epoch.
    pub(crate) at: u64,
    /// Milliseconds on the monotonic clock.
    pub(crate) elapsed: u64,
    /// KiB, 0 where not known.
    pub(crate) peak: u64,
}

impl End {
    /// Returns an end of an element that was never seen to end by itself.
    pub(crate) fn without_status(reason: EndReason, at: u64) -> Self {
        Self {
            reason,
            code: None,
            signal: None,
            at,
            elapsed: 0,
            peak: 0,
        }
    }
}

impl Default for Element {
    fn default() -> Self {
        Self {
            phase: Phase::Pending,
            end: End::without_status(EndReason::Lost, 0),
            started: 0,
        }
    }
}

impl Element {
    /// Returns whether it ended with exit status 0.
    pub(crate) fn is_ok(&self) -> bool {
        self.phase == Phase::Ended && self.end.reason == EndReason::Completed
    }

    /// Returns the state as the trait tells it.
    pub(crate) fn state(&self, node: &str, note: Option<&str>) -> JobState {
        match self.phase {
            Phase::Pending => JobState::Pending {
                reason: None,
                never: false,
            },
            Phase::Running => JobState::Running {
                since: time(self.started),
            },
            Phase::Ended => JobState::Ended(ExitStatus {
                reason: self.end.reason,
                code: self.end.code.map(i32::from),
                signal: self.end.signal.map(i32::from),
                native: note.map(str::to_owned),
                started: time(self.started),
                ended: time(self.end.at),
                elapsed: (self.started != 0).then(|| Duration::from_millis(self.end.elapsed)),
                peak_memory: (self.end.peak != 0).then(|| Memory::from_bytes(self.end.peak << 10)),
                node: (self.started != 0).then(|| node.to_owned()),
            }),
        }
    }
}

/// Returns the time that many milliseconds after the epoch, or none for 0.
fn time(milliseconds: u64) -> Option<SystemTime> {
    (milliseconds != 0)
        .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)))?
}

/// Every reason with its letter in the log and on the wire; letters are never used again.
const REASONS: [(EndReason, u8); 10] = [
    (EndReason::Completed, b'c'),
    (EndReason::Failed, b'f'),
    (EndReason::Walltime, b'w'),
    (EndReason::Memory, b'm'),
    (EndReason::Cancelled, b'x'),
    (EndReason::DependencyFailed, b'd'),
    (EndReason::NodeFailure, b'n'),
    (EndReason::Preempted, b'p'),
    (EndReason::StartFailure, b's'),
    (EndReason::Lost, b'l'),
];

/// Returns the letter of a reason.
pub(crate) fn letter(reason: EndReason) -> u8 {
    REASONS
        .iter()
        .find(|(known, _)| *known == reason)
        .map_or(b'l', |(_, letter)| *letter)
}

/// Returns the reason of a letter.
pub(crate) fn reason(letter: u8) -> Option<EndReason> {
    REASONS
        .iter()
        .find(|(_, known)| *known == letter)
        .map(|(reason, _)| *reason)
}
