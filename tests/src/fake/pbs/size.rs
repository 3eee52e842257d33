//! Sizes and durations as PBS writes them.

/// Reads a size: "integer + suffix `b kb mb gb tb` (or `w kw mw ..` words), any case, also bare `G`; NO
/// suffix means BYTES (`mem=1500` -> `1500b`). `1.5gb` and `1gib` refused". Returns the bytes, and the
/// form in which it is shown.
pub(super) fn size(text: &str) -> Option<(u64, String)> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.len() - lower.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = lower[..digits].parse().ok()?;
    let (shift, unit) = match &lower[digits..] {
        "" | "b" => (0, "b"),
        "w" => (0, "w"),
        "k" | "kb" => (10, "kb"),
        "kw" => (10, "kw"),
        "m" | "mb" => (20, "mb"),
        "mw" => (20, "mw"),
        "g" | "gb" => (30, "gb"),
        "gw" => (30, "gw"),
        "t" | "tb" => (40, "tb"),
        "tw" => (40, "tw"),
        "p" | "pb" => (50, "pb"),
        "pw" => (50, "pw"),
        _ => return None,
    };
    // A word has 8 bytes.
    let word = if unit.ends_with('w') { 8 } else { 1 };
    let bytes = number.checked_mul(1 << shift)?.checked_mul(word)?;
    Some((bytes, format!("{number}{unit}")))
}

/// Reads a duration into seconds: "`hh:mm:ss`, `mm:ss`, or plain SECONDS (`90` -> `00:01:30`, `1:30` ->
/// `00:01:30` i.e. min:sec!, `00:90:00` -> `01:30:00`, `100:00:00` ok, `0` accepted). `1-00:00:00` and
/// `90m` refused".
pub(super) fn seconds(text: &str) -> Option<u64> {
    let fields: Vec<&str> = text.split(':').collect();
    if fields.len() > 3 {
        return None;
    }
    fields.iter().try_fold(0u64, |sum, field| {
        if field.is_empty() || !field.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        sum.checked_mul(60)?.checked_add(field.parse().ok()?)
    })
}

/// Writes a duration.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_observed() {
        for (text, shown) in [
            ("90", "00:01:30"),
            ("1:30", "00:01:30"),
            ("00:90:00", "01:30:00"),
            ("100:00:00", "100:00:00"),
            ("0", "00:00:00"),
        ] {
            assert_eq!(clock(seconds(text).unwrap()), shown);
        }
        for wrong in ["1-00:00:00", "90m", "abc", "", "1:", "1:2:3:4"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_as_observed() {
        assert_eq!(size("1500"), Some((1500, "1500b".to_owned())));
        assert_eq!(size("2G"), Some((2 << 30, "2gb".to_owned())));
        assert_eq!(size("1KB"), Some((1024, "1kb".to_owned())));
        assert_eq!(size("1kw"), Some((8192, "1kw".to_owned())));
        for wrong in ["1.5gb", "1gib", "x", "", "gb", "-1gb"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
