//! The name that was probably meant.

/// Returns the candidate that `name` is probably a misspelling of.
///
/// A candidate counts when one character in three differs at most (letter case and `-` for `_` do not
/// count), or else when one of the two contains the other. Called on errors only: the cost is linear
/// in the candidates.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let mut best: Option<(usize, &'a str)> = None;
    let mut containing: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let other = folded(candidate);
        let (short, long) = if wanted.len() < other.len() {
            (&wanted, &other)
        } else {
            (&other, &wanted)
        };
        let limit = (long.chars().count() / 3).max(1);
        let distance =
            if long.chars().count() - short.chars().count().min(long.chars().count()) > limit {
                usize::MAX
            } else {
                strsim::damerau_levenshtein(&wanted, &other)
            };
        if distance <= limit
            && distance < long.chars().count()
            && best.is_none_or(|(d, _)| distance < d)
        {
            best = Some((distance, candidate));
        }
        let extra = long.len() - short.len();
        if short.len() >= 3
            && long.contains(short.as_str())
            && containing.is_none_or(|(e, _)| extra < e)
        {
            containing = Some((extra, candidate));
        }
    }
    best.or(containing).map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let keys = ["time", "mem", "array", "array_parallelism", "returns"];
        for (name, meant) in [
            ("tiem", Some("time")),
            ("Mem", Some("mem")),
            ("array-parallelism", Some("array_parallelism")),
            ("parallelism", Some("array_parallelism")),
            ("return", Some("returns")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, keys), meant, "{name}");
        }
    }
}
