//! Memory in the words of the cluster: units, and what an amount is for.

use reflow_core::scheduler::Memory;
use serde::Deserialize;

/// A unit that bare numbers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Unit {
    /// KiB.
    #[serde(alias = "K", alias = "kb", alias = "k")]
    KB,
    /// MiB.
    #[serde(alias = "M", alias = "mb", alias = "m")]
    MB,
    /// GiB.
    #[serde(alias = "G", alias = "gb", alias = "g")]
    GB,
    /// TiB.
    #[serde(alias = "T", alias = "tb", alias = "t")]
    TB,
}

impl Unit {
    /// Reads the value of `LSF_UNIT_FOR_LIMITS`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_uppercase().as_str() {
            "KB" | "K" => Some(Self::KB),
            "MB" | "M" => Some(Self::MB),
            "GB" | "G" => Some(Self::GB),
            "TB" | "T" => Some(Self::TB),
            _ => None,
        }
    }

    fn shift(self) -> u32 {
        match self {
            Self::KB => 10,
            Self::MB => 20,
            Self::GB => 30,
            Self::TB => 40,
        }
    }

    /// Returns the amount in this unit, rounded up: a job gets at least what it asked for.
    fn count(self, bytes: u64) -> u64 {
        bytes.div_ceil(1 << self.shift())
    }
}

/// How amounts of memory are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// With their unit.
    Explicit,
    /// As bare numbers.
    Bare {
        /// The unit of limits (`-M`).
        limit: Unit,
        /// The unit of reservations (`rusage[mem=...]`).
        reservation: Unit,
    },
}

impl Units {
    /// What holds where `LSF_UNIT_FOR_LIMITS` is not set: limits in KB, reservations in MB.
    pub(crate) const DEFAULT: Self = Self::Bare {
        limit: Unit::KB,
        reservation: Unit::MB,
    };

    /// Bare numbers in one unit, as `LSF_UNIT_FOR_LIMITS` has it.
    pub(crate) fn all(unit: Unit) -> Self {
        Self::Bare {
            limit: unit,
            reservation: unit,
        }
    }

    /// Returns an amount for `-M`.
    pub(crate) fn limit(self, bytes: u64) -> String {
        match self {
            Self::Explicit => format!("{}MB", Unit::MB.count(bytes)),
            Self::Bare { limit, .. } => limit.count(bytes).to_string(),
        }
    }

    /// Returns an amount for `rusage[mem=...]`.
    pub(crate) fn reservation(self, bytes: u64) -> String {
        match self {
            Self::Explicit => format!("{}MB", Unit::MB.count(bytes)),
            Self::Bare { reservation, .. } => reservation.count(bytes).to_string(),
        }
    }
}

/// What the amount in `rusage[mem=...]` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Per {
    /// Each host of the job: LSF's default.
    Host,
    /// Each slot: `RESOURCE_RESERVE_PER_SLOT` and `RESOURCE_RESERVE_PER_TASK` of `lsb.params`.
    #[serde(alias = "task")]
    Slot,
    /// The whole job: `METHOD = PER_JOB` of `lsb.resources`.
    Job,
}

/// Returns the bytes to reserve for `mem` on each of `nodes` nodes with `slots` slots each.
pub(crate) fn reserved(mem: Memory, per: Per, nodes: u32, slots: u32) -> u64 {
    match per {
        Per::Host => mem.bytes(),
        Per::Slot => mem.bytes().div_ceil(u64::from(slots.max(1))),
        Per::Job => mem.bytes().saturating_mul(u64::from(nodes)),
    }
}

/// Reads `16 Mbytes`, `2.3 Gbytes`, `512 K`: what LSF shows.
pub(crate) fn shown(text: &str) -> Option<Memory> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(split);
    let unit = unit.trim_start();
    let unit = match unit.as_bytes().first()?.to_ascii_uppercase() {
        letter @ (b'K' | b'M' | b'G' | b'T') => char::from(letter),
        _ => return None,
    };
    format!("{number}{unit}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_in_every_unit() {
        let bytes = (1 << 30) + 1;
        assert_eq!(Units::Explicit.limit(bytes), "1025MB");
        assert_eq!(Units::Explicit.reservation(bytes), "1025MB");
        assert_eq!(Units::DEFAULT.limit(bytes), "1048577");
        assert_eq!(Units::DEFAULT.reservation(bytes), "1025");
        assert_eq!(Units::all(Unit::GB).limit(bytes), "2");
        assert_eq!(Units::all(Unit::TB).reservation(1), "1");
    }

    #[test]
    fn what_is_reserved_is_what_each_node_needs_whatever_the_site_counts_by() {
        let mem = Memory::from_mebibytes(100);
        assert_eq!(reserved(mem, Per::Host, 2, 3), 100 << 20);
        let each = reserved(mem, Per::Slot, 2, 3);
        assert!(each * 3 >= 100 << 20 && (each - 1) * 3 < 100 << 20);
        assert_eq!(reserved(mem, Per::Job, 2, 3), 200 << 20);
    }

    #[test]
    fn amounts_that_lsf_shows_are_read() {
        assert_eq!(shown("16 Mbytes"), Some(Memory::from_mebibytes(16)));
        assert_eq!(shown("1.5 Gbytes"), Some(Memory::from_mebibytes(1536)));
        assert_eq!(shown("512 K"), Some(Memory::from_bytes(512 << 10)));
        assert_eq!(shown("-"), None);
        assert_eq!(shown(""), None);
    }
}
