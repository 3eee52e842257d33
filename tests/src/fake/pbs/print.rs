//! How PBS writes times and attributes.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::fake::{Millis, now};

/// Writes a moment: "Times are `"Sun Nov 22 16:39:13 2026"` strings."
pub(super) fn time(when: Millis) -> String {
    moment(when, "%a %b %e %H:%M:%S %Y")
}

/// Writes a moment in the form of `comment`: `Sun Nov 22 at 16:39`.
pub(super) fn time_in_comment(when: Millis) -> String {
    moment(when, "%a %b %e at %H:%M")
}

fn moment(when: Millis, format: &str) -> String {
    Timestamp::from_millisecond(when)
        .unwrap_or_default()
        .to_zoned(TimeZone::system())
        .strftime(format)
        .to_string()
}

/// Reads the value of `-a`: `[[[[CC]YY]MM]DD]hhmm[.SS]` in local time. By the manual of `qsub`, a part that
/// is left out is that of the next time it comes.
pub(super) fn date_time(text: &str) -> Option<Millis> {
    let (digits, seconds) = match text.split_once('.') {
        Some((digits, seconds)) => (digits, seconds.parse::<i8>().ok()?),
        None => (text, 0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.len() < 4 {
        return None;
    }
    let (date, time) = digits.split_at(digits.len() - 4);
    let two = |text: &str| text.parse::<i8>().ok();
    let (hour, minute) = (two(&time[..2])?, two(&time[2..])?);
    let zone = TimeZone::system();
    let current = Timestamp::from_millisecond(now())
        .ok()?
        .to_zoned(zone.clone());
    let today = current.date();
    let base = match date.len() {
        0 => today,
        2 => Date::new(today.year(), today.month(), two(date)?).ok()?,
        4 => Date::new(today.year(), two(&date[..2])?, two(&date[2..])?).ok()?,
        6 | 8 => {
            let (year, rest) = date.split_at(date.len() - 4);
            let year: i16 = year.parse().ok()?;
            let year = if date.len() == 6 { 2000 + year } else { year };
            Date::new(year, two(&rest[..2])?, two(&rest[2..])?).ok()?
        }
        _ => return None,
    };
    let mut day = base;
    loop {
        let at = jiff::civil::Time::new(hour, minute, seconds, 0).ok()?;
        let when = day.to_datetime(at).to_zoned(zone.clone()).ok()?;
        if when > current || date.len() >= 6 {
            return Some(when.timestamp().as_millisecond());
        }
        day = match date.len() {
            0 => day.tomorrow().ok()?,
            2 => day.checked_add(jiff::Span::new().months(1)).ok()?,
            _ => day.checked_add(jiff::Span::new().years(1)).ok()?,
        };
    }
}

/// Writes a document the way `qstat -F json` does: four blanks a level, nothing after colons.
pub(super) fn json(document: &Map<String, Value>) -> String {
    let mut text = String::new();
    object(&mut text, document, 0);
    text.push('\n');
    text
}

fn object(text: &mut String, map: &Map<String, Value>, level: usize) {
    text.push('{');
    for (place, (name, value)) in map.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        indent(text, level + 1);
        quoted(text, name);
        text.push(':');
        match value {
            Value::Object(map) => object(text, map, level + 1),
            Value::String(value) => quoted(text, value),
            other => text.push_str(&other.to_string()),
        }
    }
    text.push('\n');
    indent(text, level);
    text.push('}');
}

fn indent(text: &mut String, level: usize) {
    for _ in 0..level {
        text.push_str("    ");
    }
}

fn quoted(text: &mut String, value: &str) {
    if value
        .bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
    {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&Value::from(value).to_string());
    }
}

/// Writes attributes the way `qstat -f` does: `    name = value`, those of a list as `list.name`, and lines
/// of at most 78 letters that go on after a tab.
pub(super) fn lines(attributes: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in attributes {
        match value {
            Value::Object(list) if name == "Variable_List" => {
                let pairs: Vec<String> = list
                    .iter()
                    .map(|(name, value)| format!("{name}={}", plain(value)))
                    .collect();
                line(&mut text, name, &pairs.join(","));
            }
            Value::Object(list) => {
                for (inner, value) in list {
                    line(&mut text, &format!("{name}.{inner}"), &plain(value));
                }
            }
            value => line(&mut text, name, &plain(value)),
        }
    }
    text
}

/// Returns a value without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    const WIDTH: usize = 78;
    let begin = format!("    {name} = ");
    let mut used = begin.len();
    text.push_str(&begin);
    // Broken after commas where there are, else where the line is full.
    for part in value.split_inclusive(',') {
        if used > begin.len().min(8) && used + part.len() > WIDTH && used != begin.len() {
            text.push_str("\n\t");
            used = 8;
        }
        for letter in part.chars() {
            if used >= WIDTH {
                text.push_str("\n\t");
                used = 8;
            }
            text.push(letter);
            used += 1;
        }
    }
    text.push('\n');
}
