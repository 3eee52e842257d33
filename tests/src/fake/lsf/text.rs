//! Times and lines as LSF prints them.

use std::fmt::{self, Write};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::fake::Millis;

/// How wide a line of the long form is.
const WIDTH: usize = 80;

/// With how many blanks a line goes on.
const INDENT: usize = 21;

fn zoned(at: Millis) -> Zoned {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::system())
}

/// `Nov 22 16:45`: the column SUBMIT_TIME.
pub(super) fn short_time(at: Millis) -> String {
    zoned(at).strftime("%b %e %H:%M").to_string()
}

/// `Sun Nov 22 16:45:01`: the long form.
pub(super) fn event_time(at: Millis) -> String {
    zoned(at).strftime("%a %b %e %H:%M:%S").to_string()
}

/// `Sun Nov 22 16:45:01 2026`: reports.
pub(super) fn long_time(at: Millis) -> String {
    zoned(at).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// Adds to a text.
pub(super) fn add(text: &mut String, more: fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes everything");
}

/// Whole seconds between two moments.
pub(super) fn seconds(from: Millis, to: Millis) -> i64 {
    (to - from).max(0) / 1000
}

/// "text wrapped at 80 columns with 21 blanks indentation, so join lines first": wherever a line is full,
/// in the middle of words too.
pub(super) fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.split_inclusive('\n') {
        let mut column = 0;
        for character in line.chars() {
            if character != '\n' && column == WIDTH - 1 {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(INDENT));
                column = INDENT;
            }
            wrapped.push(character);
            column += 1;
        }
    }
    wrapped
}

/// "names are cut at the FRONT (`*ith space`)".
pub(super) fn cut_front(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(count - (width - 1)).collect();
    format!("*{tail}")
}

/// The first characters, as columns of a fixed width show them.
pub(super) fn cut_end(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_the_front() {
        // "`*ith space`" for the name `name with space`.
        assert_eq!(cut_front("name with space", 10), "*ith space");
        assert_eq!(cut_front("short", 10), "short");
    }

    #[test]
    fn long_lines_go_on_after_21_blanks() {
        let text = "x".repeat(100) + "\nend\n";
        let blanks = " ".repeat(21);
        let expected = format!("{}\n{blanks}{}\nend\n", "x".repeat(79), "x".repeat(21));
        assert_eq!(wrap(&text), expected);
        assert_eq!(wrap(&text).replace(&format!("\n{blanks}"), ""), text);
    }
}
