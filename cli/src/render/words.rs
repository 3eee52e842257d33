use std::time::Duration;

/// Returns a length of time in the largest unit that is not below one: `14 days`, `1.5 hours`, `30 s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [(86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")];
    match units.iter().find(|(length, _)| seconds >= 2.0 * length) {
        Some((length, unit)) => {
            let number = format!("{:.1}", seconds / length);
            format!("{} {unit}", number.trim_end_matches(".0"))
        }
        None if seconds >= 10.0 => format!("{seconds:.0} s"),
        None => format!("{seconds:.2} s"),
    }
}

/// Returns a number with its thousands apart: `10,000`.
pub(crate) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, words) in [
            (0u32, "0"),
            (999, "999"),
            (1000, "1,000"),
            (9997, "9,997"),
            (10_000, "10,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), words);
        }
    }

    #[test]
    fn a_time_is_told_in_one_unit() {
        for (seconds, words) in [
            (14 * 86_400, "14 days"),
            (5400, "90 minutes"),
            (9000, "2.5 hours"),
            (30, "30 s"),
            (3, "3.00 s"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
    }
}
