//! Time and memory limits: `-W`, `-M`, `-b`.

use jiff::{Zoned, civil};

use super::requirement::read_amount;
use crate::fake::Dialect;

/// Reads `-W [hours:]minutes[/host]` into seconds: "`-W 90`, `-W 1:30` = 90 min. `-W 0:00:30` ->
/// `0:00:30: Bad RUNLIMIT specification. Job not submitted.` [255]; `1.5`, `abc` likewise. `-W 0`
/// accepted".
pub(super) fn read_run_limit(text: &str) -> Result<u64, String> {
    let bad = || format!("{text}: Bad RUNLIMIT specification");
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
    let time = text.split('/').next().unwrap_or_default();
    let minutes = match time.split_once(':') {
        Some((hours, minutes)) => number(hours)? * 60 + number(minutes)?,
        None => number(time)?,
    };
    Ok(minutes * 60)
}

/// Reads `-M` into bytes: "openlava: a bare integer in KB [...] `-M 1GB` -> `1GB: MEMLIMT value should be
/// a positive integer. Job not submitted.`"; "IBM: default KB; LSF_UNIT_FOR_LIMITS in lsf.conf changes
/// the meaning of bare numbers [...] suffixes KB/K MB/M GB/G.. allowed". The word is misspelt there.
pub(super) fn read_memory_limit(
    text: &str,
    dialect: Dialect,
    unit: Option<&str>,
) -> Result<u64, String> {
    let bad = || format!("{text}: MEMLIMT value should be a positive integer");
    let bytes = if dialect == Dialect::Lsf {
        // IBM: `!` has the host's own limit enforced as well.
        read_amount(text.trim_end_matches('!'), unit.unwrap_or("KB"))
    } else {
        text.parse::<u64>().ok().map(|amount| amount << 10)
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(bad)
}

/// Reads `-n slots[,most]`: "`-n 0` | `The number of processors must be a positive integer. Job not
/// submitted.`".
pub(super) fn read_slots(text: &str) -> Result<u32, String> {
    text.split(',')
        .next()
        .and_then(|least| least.trim().parse::<u32>().ok())
        .filter(|slots| *slots > 0)
        .ok_or_else(|| "The number of processors must be a positive integer".to_owned())
}

/// Reads `-b [[year:][month:]day:]hour:minute` into milliseconds since 1970: the next such moment, by
/// IBM's page of `bsub -b`.
pub(super) fn read_begin(text: &str, now: &Zoned) -> Result<i64, String> {
    let bad = || format!("{text}: Bad begin time specification");
    let fields = text
        .split(':')
        .map(|field| field.parse::<i16>().map_err(|_| bad()))
        .collect::<Result<Vec<i16>, String>>()?;
    let today = now.date();
    let (year, month, day, hour, minute) = match fields[..] {
        [hour, minute] => (today.year(), today.month(), today.day(), hour, minute),
        [day, hour, minute] => (today.year(), today.month(), day as i8, hour, minute),
        [month, day, hour, minute] => (today.year(), month as i8, day as i8, hour, minute),
        [year, month, day, hour, minute] => (year, month as i8, day as i8, hour, minute),
        _ => return Err(bad()),
    };
    let date = civil::Date::new(year, month, day).map_err(|_| bad())?;
    let time = civil::Time::new(hour as i8, minute as i8, 0, 0).map_err(|_| bad())?;
    let at = date
        .to_datetime(time)
        .to_zoned(now.time_zone().clone())
        .map_err(|_| bad())?;
    let day = jiff::ToSpan::days(1);
    let at = if at < *now && fields.len() == 2 {
        at.checked_add(day).map_err(|_| bad())?
    } else {
        at
    };
    Ok(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_limits_are_in_minutes() {
        assert_eq!(read_run_limit("90"), Ok(5400));
        assert_eq!(read_run_limit("1:30"), Ok(5400));
        assert_eq!(read_run_limit("0"), Ok(0));
        for bad in ["0:00:30", "1.5", "abc"] {
            let text = format!("{bad}: Bad RUNLIMIT specification");
            assert_eq!(read_run_limit(bad), Err(text));
        }
    }

    #[test]
    fn memory_limits_are_in_kilobytes() {
        let openlava = |text| read_memory_limit(text, Dialect::OpenLava, None);
        assert_eq!(openlava("50000"), Ok(50_000 << 10));
        let text = "1GB: MEMLIMT value should be a positive integer";
        assert_eq!(openlava("1GB"), Err(text.to_owned()));
        let ibm = |text, unit| read_memory_limit(text, Dialect::Lsf, unit);
        assert_eq!(ibm("1GB", None), Ok(1 << 30));
        assert_eq!(ibm("4", None), Ok(4 << 10));
        assert_eq!(ibm("4", Some("GB")), Ok(4 << 30));
    }

    #[test]
    fn begin_times_are_the_next_such_moment() {
        let now: Zoned = "2026-11-22T16:45:30[UTC]".parse().unwrap();
        let at = |text| {
            let millis = read_begin(text, &now).unwrap();
            let at = jiff::Timestamp::from_millisecond(millis).unwrap();
            at.to_string()
        };
        assert_eq!(at("17:00"), "2026-11-22T17:00:00Z");
        assert_eq!(at("16:45"), "2026-11-23T16:45:00Z");
        assert_eq!(at("24:06:30"), "2026-11-24T06:30:00Z");
        assert_eq!(at("2027:01:02:03:04"), "2027-01-02T03:04:00Z");
        assert!(read_begin("x", &now).is_err());
    }
}
