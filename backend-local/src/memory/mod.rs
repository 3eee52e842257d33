//! The memory that jobs use, and what keeps it within what they asked for.

mod groups;
mod usage;

pub(crate) use groups::{Group, Groups, has_killed};
pub(crate) use usage::{proportional, resident};

use reflow_core::scheduler::Memory;

/// What keeps the jobs of the local backend within the memory that they asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimits {
    /// The kernel, by a memory control group for each process, and measuring besides.
    Groups,
    /// What a job and all that it started use is measured a few times a second.
    Measured,
}

impl MemoryLimits {
    /// Returns it in one word: `groups` or `measured`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Measured => "measured",
        }
    }
}

/// Returns what is in force for a supervisor that is started from here.
pub fn memory_limits() -> MemoryLimits {
    if Groups::are_possible() {
        MemoryLimits::Groups
    } else {
        MemoryLimits::Measured
    }
}

/// Returns the words for an element that used more than it asked for; sizes in bytes.
pub(crate) fn told(peak: u64, limit: u64) -> String {
    format!(
        "it used {} MiB of memory, and its limit is {}",
        peak.div_ceil(1 << 20),
        Memory::from_bytes(limit)
    )
}
