use std::time::{Duration, SystemTime};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DAY: i64 = 86_400;

/// Whether a line starts with a day of the week and a month, as those of events do.
pub(super) fn starts_like_event(line: &str) -> bool {
    line.get(..3).is_some_and(|day| WEEKDAYS.contains(&day))
        && line.get(4..7).is_some_and(|month| MONTHS.contains(&month))
}

/// Reads `Sun Nov 22 16:45:01` and `Nov 22 16:45`, either with a year after it, in UTC.
///
/// Without a year it is the last such time that is at most a day after `now`: clocks differ.
pub(super) fn parse(text: &str, now: SystemTime) -> Option<SystemTime> {
    let mut words = text.split_ascii_whitespace();
    let mut word = words.next()?;
    if WEEKDAYS.contains(&word) {
        word = words.next()?;
    }
    let month = 1 + MONTHS.iter().position(|month| *month == word)? as i64;
    let day: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':');
    let mut part = |most: i64| -> Option<i64> {
        let number: i64 = clock.next()?.parse().ok()?;
        (0..=most).contains(&number).then_some(number)
    };
    let (hours, minutes) = (part(23)?, part(59)?);
    let seconds = part(60).unwrap_or(0);
    let of_day = hours * 3600 + minutes * 60 + seconds;
    let year = words
        .next()
        .and_then(|word| word.parse().ok())
        .filter(|year| (1970..10_000).contains(year));
    let seconds = if let Some(year) = year {
        days(year, month, day)? * DAY + of_day
    } else {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let latest = i64::try_from(now).ok()? + DAY;
        let year = 1970 + latest / (365 * DAY + DAY / 4);
        // 29 February comes back after eight years at the latest.
        (year - 8..=year + 1)
            .rev()
            .filter_map(|year| Some(days(year, month, day)? * DAY + of_day))
            .find(|seconds| *seconds <= latest)?
    };
    let since = Duration::from_secs(u64::try_from(seconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Days from 1970-01-01 to that day of the Gregorian calendar, or none where there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that start in March put the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_time_without_a_year_is_the_last_such_time() {
        // 2026-11-22 16:45:01, a Sunday.
        let now = at(1_795_365_901);
        assert_eq!(parse("Sun Nov 22 16:45:01", now), Some(now));
        assert_eq!(parse("Nov 22 16:45", now), Some(at(1_795_365_900)));
        // An hour ahead is a clock that differs; a month ahead was last year.
        let hour = 3600;
        assert_eq!(
            parse("Sun Nov 22 17:45:01", now),
            Some(at(1_795_365_901 + hour))
        );
        assert_eq!(
            parse("Tue Dec 23 16:45:01", now),
            Some(at(1_795_365_901 + 31 * 86_400 - 365 * 86_400))
        );
        assert_eq!(
            parse("Sun Nov 22 16:45:01 2020", now),
            Some(at(1_606_063_501))
        );
        // 2026 has no 29 February, 2024 has.
        assert_eq!(parse("Thu Feb 29 00:00:00", now), Some(at(1_709_164_800)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let now = at(1_795_365_901);
        for text in [
            "",
            "-",
            "Sun",
            "Sun Nov",
            "Sun Nov 32 00:00:00",
            "Nov 22 24:00",
            "Nov 22 16",
            "Foo 22 16:45",
        ] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
