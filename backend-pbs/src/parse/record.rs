use std::time::{Duration, SystemTime};

use reflow_core::scheduler::Memory;

/// What the server says about one job or element, as far as reflow wants to know it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Record {
    /// The id, whole.
    pub(crate) id: String,
    /// The name, where the answer is text.
    pub(crate) name: Option<String>,
    /// The letter of the state.
    pub(crate) state: Option<char>,
    /// What the state is in detail (91: deleted, 92: ended well, 93: failed).
    pub(crate) substate: Option<i32>,
    /// The exit status as PBS gives it: negative where PBS failed or killed the job, 256 and a signal.
    pub(crate) exit: Option<i64>,
    /// What the server says for people.
    pub(crate) comment: Option<String>,
    /// Which jobs it waits for: `afterok:39.localhost@localhost`.
    pub(crate) depend: Option<String>,
    /// Whether the server itself holds it, as it does while a dependency does not hold.
    pub(crate) is_held_by_system: bool,
    /// The first node that it runs on, or ran.
    pub(crate) node: Option<String>,
    /// When it started.
    pub(crate) started: Option<SystemTime>,
    /// When its end was reported.
    obituary: Option<SystemTime>,
    /// When it went into the history.
    archived: Option<SystemTime>,
    /// When something last changed.
    changed: Option<SystemTime>,
    /// Wall time used.
    pub(crate) elapsed: Option<Duration>,
    /// Memory used.
    pub(crate) memory: Option<Memory>,
}

impl Record {
    /// Returns a record of which nothing but the id is known.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// When it ended, where that is told, or else when it last changed.
    pub(crate) fn ended(&self) -> Option<SystemTime> {
        self.obituary.or(self.archived).or(self.changed)
    }

    /// Whether it ever ran.
    pub(crate) fn has_run(&self) -> bool {
        self.started.is_some() || self.node.is_some()
    }

    /// Takes in one attribute; those that are of no interest are passed over. Names are those of OpenPBS,
    /// and of Torque (`exit_status`, `start_time`, `comp_time`).
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let own = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match name {
            "Job_Name" => self.name = own(),
            "job_state" => self.state = value.chars().next(),
            "substate" => self.substate = value.parse().ok(),
            "Exit_status" | "exit_status" => self.exit = value.parse().ok(),
            "comment" => self.comment = own(),
            "depend" => self.depend = own(),
            "Hold_Types" => self.is_held_by_system = value.contains('s'),
            "exec_host" => {
                self.node = value
                    .split(['/', '+', ':'])
                    .next()
                    .filter(|node| !node.is_empty())
                    .map(str::to_owned);
            }
            "stime" | "start_time" => self.started = time(value),
            "obittime" | "comp_time" => self.obituary = time(value),
            "history_timestamp" => self.archived = time(value),
            "mtime" => self.changed = time(value),
            "resources_used.walltime" => self.elapsed = clock(value).map(Duration::from_secs),
            "resources_used.mem" => self.memory = size(value).map(Memory::from_bytes),
            _ => {}
        }
    }

    /// Whether attributes of this name are wanted of JSON, or of this name and something after it
    /// (`resources_used`). The name of a job is not: no one who reads JSON asks for it.
    pub(crate) fn wants(name: &str) -> bool {
        matches!(
            name,
            "job_state"
                | "substate"
                | "Exit_status"
                | "exit_status"
                | "comment"
                | "depend"
                | "Hold_Types"
                | "exec_host"
                | "stime"
                | "start_time"
                | "obittime"
                | "comp_time"
                | "history_timestamp"
                | "mtime"
                | "resources_used"
        )
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads `Sun Nov 22 16:39:13 2026`, which is in UTC since the clients run with `TZ=UTC`, or seconds since
/// 1970.
fn time(text: &str) -> Option<SystemTime> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => calendar(text)?,
    };
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn calendar(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let (_weekday, month) = (words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = i8::try_from(month + 1).ok()?;
    let day = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<i8>);
    let mut part = || clock.next()?.ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    let year = words.next()?.parse().ok()?;
    let time =
        jiff::civil::DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_second())
}

/// Reads `hh:mm:ss`, `mm:ss` or seconds.
pub(crate) fn clock(text: &str) -> Option<u64> {
    text.trim().split(':').try_fold(0u64, |seconds, part| {
        seconds
            .checked_mul(60)?
            .checked_add(part.parse::<u64>().ok()?)
    })
}

/// Reads `2796kb`: units of 1024, none for bytes, and words (`w`) of eight bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let unit = text[end..].to_ascii_lowercase();
    let (prefix, word) = match unit.strip_suffix('w') {
        Some(prefix) => (prefix, 8),
        None => (unit.strip_suffix('b').unwrap_or(&unit), 1),
    };
    let shift = match prefix {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    number.checked_mul(1 << shift)?.checked_mul(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_clocks_are_read_as_pbs_prints_them() {
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        // `date -u -d 2026-11-22T16:39:13Z +%s`
        assert_eq!(time("Sun Nov 22 16:39:13 2026"), at(1_795_365_553));
        assert_eq!(time("Sun Nov  1 00:00:00 2026"), at(1_793_491_200));
        assert_eq!(time("1795365553"), at(1_795_365_553));
        for bad in [
            "",
            "Sun",
            "Sun Nov 22",
            "Sun Foo 22 16:39:13 2026",
            "-1",
            "Sun Nov 99 16:39:13 2026",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(size("2796kb"), Some(2796 << 10));
        assert_eq!(size("1500b"), Some(1500));
        assert_eq!(size("3gw"), Some(24 << 30));
        assert_eq!(size("1.5gb"), None);
        assert_eq!(clock("100:00:00"), Some(360_000));
        assert_eq!(clock("90"), Some(90));
        assert_eq!(clock("a"), None);
    }
}
