//! The name that was probably meant.

/// Returns the candidate that `name` is probably a misspelling of.
///
/// A candidate counts when it is a [misspelling](misspelt), or else when one of the two contains the
/// other. Called on errors only: the cost is linear in the candidates.
pub fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    misspelt(name, candidates.clone()).or_else(|| containing(name, candidates))
}

/// Returns the candidate from which `name` differs in one character in three at most; letter case and
/// `-` for `_` do not count.
pub fn misspelt<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let length = wanted.chars().count();
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let other = folded(candidate);
        let other_length = other.chars().count();
        let longest = length.max(other_length);
        let limit = (longest / 3).max(1);
        if length.abs_diff(other_length) > limit {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&wanted, &other);
        if distance <= limit && distance < longest && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn containing<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let other = folded(candidate);
        let (short, long) = if wanted.len() < other.len() {
            (&wanted, &other)
        } else {
            (&other, &wanted)
        };
        let extra = long.len() - short.len();
        if short.len() >= 3
            && long.contains(short.as_str())
            && best.is_none_or(|(least, _)| extra < least)
        {
            best = Some((extra, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
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
