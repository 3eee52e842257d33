use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

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

/// Returns the time on both clocks. The monotonic one goes on from one supervisor of a machine to the
/// next.
pub(crate) fn now() -> Now {
    let mono = clock_gettime(ClockId::Monotonic);
    Now {
        wall: wall(),
        mono: mono.tv_sec as u64 * 1000 + mono.tv_nsec as u64 / 1_000_000,
    }
}
