/// Longest list of ids in one argument: Linux takes 128 KiB.
pub const LONGEST_ARGUMENT: usize = 100_000;

/// Splits `words` so that each part, joined by one character, has at most `longest` bytes. A word that
/// is longer by itself is a part of its own.
pub fn parts<S: AsRef<str>>(words: &[S], longest: usize) -> Vec<&[S]> {
    let mut parts = Vec::new();
    let (mut start, mut length) = (0, 0);
    for (index, word) in words.iter().enumerate() {
        length += word.as_ref().len() + 1;
        if length > longest && index > start {
            parts.push(&words[start..index]);
            (start, length) = (index, word.as_ref().len() + 1);
        }
    }
    if start < words.len() {
        parts.push(&words[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_split_and_nothing_is_lost() {
        let words: Vec<String> = (0..30_000).map(|n| n.to_string()).collect();
        let parts = parts(&words, LONGEST_ARGUMENT);
        assert!(parts.len() > 1);
        assert!(
            parts
                .iter()
                .all(|part| part.join(",").len() <= LONGEST_ARGUMENT)
        );
        assert_eq!(parts.concat(), words);
        assert!(super::parts::<&str>(&[], 10).is_empty());
    }
}
