use std::time::{Instant, SystemTime};

use crate::queue::Now;

/// Returns the milliseconds between the epoch and `time`, 0 for what lies before it.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Returns the wall clock in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the supervisor reads the wall clock, for people and for not_before"
)]
pub(crate) fn wall() -> u64 {
    milliseconds(SystemTime::now())
}

/// Both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Returns clocks whose monotonic half starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time on both.
    pub(crate) fn now(self) -> Now {
        Now {
            wall: wall(),
            mono: self.0.elapsed().as_millis() as u64,
        }
    }
}
