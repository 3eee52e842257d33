use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The names under which people write the fields of [`Resources`], sorted: `queue` is another word for
/// `partition`.
pub const RESOURCE_KEYS: [&str; 15] = [
    "account",
    "constraint",
    "cpus",
    "exclusive",
    "gpus",
    "mail",
    "mem",
    "nodes",
    "partition",
    "qos",
    "queue",
    "reservation",
    "signal",
    "tasks",
    "time",
];

/// What one element of a task needs, in terms that every batch system has.
///
/// A field that is not set is left to the batch system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Cores for each of `tasks`, on one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory of the job on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<Memory>,
    /// Walltime limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Walltime>,
    /// GPUs on each node: a count, with an optional type before it (`2`, `a100:2`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// Number of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Number of processes (MPI ranks) over all nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Partition (queue): a logical name that the site maps, or the batch system's own.
    #[serde(alias = "queue", skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Account (project) that is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Node features required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Reservation to run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// Whether nodes are shared with other jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<Exclusive>,
    /// Signal sent some time before the walltime ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Mail about the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
}

impl Resources {
    /// Returns `self` with every field that is not set taken from `defaults`.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        let d = defaults.clone();
        Self {
            cpus: self.cpus.or(d.cpus),
            mem: self.mem.or(d.mem),
            time: self.time.or(d.time),
            gpus: self.gpus.or(d.gpus),
            nodes: self.nodes.or(d.nodes),
            tasks: self.tasks.or(d.tasks),
            partition: self.partition.or(d.partition),
            account: self.account.or(d.account),
            qos: self.qos.or(d.qos),
            constraint: self.constraint.or(d.constraint),
            reservation: self.reservation.or(d.reservation),
            exclusive: self.exclusive.or(d.exclusive),
            signal: self.signal.or(d.signal),
            mail: self.mail.or(d.mail),
        }
    }
}

/// Whether nodes are shared with other jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusive {
    /// The nodes run nothing else.
    Node,
    /// The nodes run nothing of other users.
    User,
}

/// A signal sent to the job before its walltime ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Name without `SIG`: `USR1`.
    pub name: String,
    /// How long before the end. Whole seconds; batch systems may send it up to a minute early.
    pub before: Walltime,
}

/// Mail about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Address; the user's own where not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// On which events.
    pub on: Vec<MailEvent>,
}

/// An event that mail is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailEvent {
    /// The job starts.
    Begin,
    /// The job ends.
    End,
    /// The job fails.
    Fail,
}

/// An amount of memory, in bytes.
///
/// Written as a number with a unit of 1024: `500M`, `16G`, `1.5T`, `512K`; `MB` and `MiB` mean the
/// same as `M`. A number without a unit is refused, since batch systems disagree on what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory(u64);

/// A memory size that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a memory size: write a number with a unit, such as `500M` or `16G`")]
pub struct ParseMemoryError(String);

impl Memory {
    /// Returns an amount in bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns an amount in MiB.
    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// Returns the bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the amount in whole MiB, rounded up.
    pub const fn mebibytes(self) -> u64 {
        self.0.div_ceil(1 << 20)
    }

    /// Returns the amount in whole KiB, rounded up.
    pub const fn kibibytes(self) -> u64 {
        self.0.div_ceil(1 << 10)
    }
}

impl FromStr for Memory {
    type Err = ParseMemoryError;

    fn from_str(text: &str) -> Result<Self, ParseMemoryError> {
        let refuse = || ParseMemoryError(text.to_owned());
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refuse)?;
        let (number, unit) = trimmed.split_at(split);
        let shift = match unit.trim().to_ascii_uppercase().as_str() {
            "B" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            "T" | "TB" | "TIB" => 40,
            "P" | "PB" | "PIB" => 50,
            _ => return Err(refuse()),
        };
        let bytes = if let Ok(whole) = number.parse::<u64>() {
            whole.checked_mul(1 << shift).ok_or_else(refuse)?
        } else {
            let value: f64 = number.parse().map_err(|_| refuse())?;
            let bytes = value * (1u64 << shift) as f64;
            if !bytes.is_finite() || bytes >= u64::MAX as f64 {
                return Err(refuse());
            }
            bytes.ceil() as u64
        };
        if bytes == 0 {
            Err(refuse())
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10)];
        match units
            .iter()
            .find(|(_, shift)| self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift))
        {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl TryFrom<String> for Memory {
    type Error = ParseMemoryError;
    fn try_from(text: String) -> Result<Self, ParseMemoryError> {
        text.parse()
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> String {
        memory.to_string()
    }
}

/// A walltime, in whole seconds.
///
/// Written as `HH:MM:SS`, `D-HH:MM:SS`, or a number with units: `90s`, `30m`, `2h`, `1d 12h`. A
/// number without a unit and the form `MM:SS` are refused, since batch systems disagree on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Walltime(u64);

/// A walltime that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a walltime: write `HH:MM:SS`, `D-HH:MM:SS`, or units such as `90s`, `30m`, `1d 12h`"
)]
pub struct ParseWalltimeError(String);

impl Walltime {
    /// Returns a walltime in seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Returns whole minutes, rounded up.
    pub const fn minutes(self) -> u64 {
        self.0.div_ceil(60)
    }

    /// Returns it as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

fn parse_clock(text: &str) -> Option<u64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let fields: Vec<&str> = rest.split(':').collect();
    let [hours, minutes, seconds] = fields[..] else {
        return None;
    };
    let number = |field: &str| {
        (!field.is_empty() && field.bytes().all(|b| b.is_ascii_digit()))
            .then(|| field.parse::<u64>().ok())?
    };
    let (hours, minutes, seconds) = (number(hours)?, number(minutes)?, number(seconds)?);
    (minutes < 60 && seconds < 60).then_some(())?;
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)
}

fn parse_units(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let split = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..split].parse().ok()?;
        let tail = rest[split..].trim_start();
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let factor = match &tail[..end] {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86400,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = tail[end..].trim_start();
    }
    Some(total)
}

impl FromStr for Walltime {
    type Err = ParseWalltimeError;

    fn from_str(text: &str) -> Result<Self, ParseWalltimeError> {
        let trimmed = text.trim();
        let seconds = if trimmed.contains(':') {
            parse_clock(trimmed)
        } else {
            parse_units(trimmed)
        };
        match seconds {
            Some(seconds) if seconds > 0 => Ok(Self(seconds)),
            _ => Err(ParseWalltimeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Walltime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02}:{:02}:{:02}",
            self.0 / 3600,
            self.0 / 60 % 60,
            self.0 % 60
        )
    }
}

impl TryFrom<String> for Walltime {
    type Error = ParseWalltimeError;
    fn try_from(text: String) -> Result<Self, ParseWalltimeError> {
        text.parse()
    }
}

impl From<Walltime> for String {
    fn from(walltime: Walltime) -> String {
        walltime.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_needs_a_unit_and_is_kept_exactly() {
        for (text, bytes) in [
            ("500M", 500 << 20),
            ("16G", 16 << 30),
            ("1.5g", 3 << 29),
            ("512KiB", 512 << 10),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(Memory(bytes)), "{text}");
        }
        for bad in ["", "500", "M", "-1G", "1X", "0M", "1e3G", "99999999999P"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Memory(3 << 29).to_string(), "1536M");
    }

    #[test]
    fn walltimes_that_batch_systems_read_differently_are_refused() {
        for (text, seconds) in [
            ("02:00:00", 7200),
            ("1-12:00:00", 129_600),
            ("90s", 90),
            ("1d 12h", 129_600),
            ("100:00:00", 360_000),
        ] {
            assert_eq!(text.parse(), Ok(Walltime(seconds)), "{text}");
        }
        for bad in [
            "", "90", "1:30", "00:90:00", "0s", "00:00:00", "-1h", "abc", "1:2:3:4", "::",
        ] {
            assert!(bad.parse::<Walltime>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Walltime(90).to_string(), "00:01:30");
    }
}
