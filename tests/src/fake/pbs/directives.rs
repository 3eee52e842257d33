//! Options in a command line and in `#PBS` lines.

/// An option with its value.
pub(super) type Given = (char, Option<String>);

/// Why options cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The batch system knows no such option.
    Unknown(char),
    /// It has no value.
    NoValue(char),
}

/// The options of a command line, what is no option, and what follows `--`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The options, in their order.
    pub(super) options: Vec<Given>,
    /// What is no option.
    pub(super) operands: Vec<String>,
    /// What follows `--`.
    pub(super) after: Option<Vec<String>>,
}

/// Reads a command line as getopt(3) does: letters of `known`, those with `:` after them take a value;
/// options may follow operands.
pub(super) fn read(words: &[String], known: &str) -> Result<Line, Wrong> {
    let mut line = Line::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            line.after = Some(words.cloned().collect());
            break;
        }
        let Some(cluster) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            line.operands.push(word.clone());
            continue;
        };
        for (at, letter) in cluster.char_indices() {
            let Some(place) = known.find(letter).filter(|_| letter != ':') else {
                return Err(Wrong::Unknown(letter));
            };
            if !known[place + letter.len_utf8()..].starts_with(':') {
                line.options.push((letter, None));
                continue;
            }
            let rest = &cluster[at + letter.len_utf8()..];
            let value = if rest.is_empty() {
                words.next().cloned().ok_or(Wrong::NoValue(letter))?
            } else {
                rest.to_owned()
            };
            line.options.push((letter, Some(value)));
            break;
        }
    }
    Ok(line)
}

/// Returns the words of the `#PBS` lines at the top of a script, up to the first line that is no
/// comment.
pub(super) fn of_script(script: &[u8], prefix: &str) -> Vec<String> {
    let mut words = Vec::new();
    if prefix.is_empty() {
        return words;
    }
    for line in String::from_utf8_lossy(script).lines() {
        if let Some(rest) = line.strip_prefix(prefix) {
            if rest.starts_with([' ', '\t']) {
                words.extend(split(rest));
            }
        } else if !(line.starts_with('#') || line.starts_with(':') || line.trim().is_empty()) {
            break;
        }
    }
    words
}

/// Splits a directive into words; quotes of both kinds keep blanks, and `#` begins a comment.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t' | '\r') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Splits `name=value,name=value`, where values may have commas of their own (`depend=afterok:1,afterany:2`).
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in text.split(',') {
        match (part.split_once('='), pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name.trim().to_owned(), value.to_owned())),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            (None, None) => return None,
        }
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn lines_are_read_as_getopt_does() {
        let line = read(
            &words(&["-zN", "a", "-lx=1", "s.sh", "-V", "--", "-N"]),
            "zN:l:V",
        )
        .unwrap();
        assert_eq!(
            line.options,
            [
                ('z', None),
                ('N', Some("a".to_owned())),
                ('l', Some("x=1".to_owned())),
                ('V', None)
            ]
        );
        assert_eq!(line.operands, ["s.sh"]);
        assert_eq!(line.after, Some(words(&["-N"])));
        assert_eq!(read(&words(&["-t", "1"]), "z"), Err(Wrong::Unknown('t')));
        assert_eq!(read(&words(&["-N"]), "N:"), Err(Wrong::NoValue('N')));
    }

    #[test]
    fn directives_end_with_the_comments() {
        let script = b"#!/bin/sh\n# text\n#PBS -N 'a b' -J 1-2 # why\n\n#PBS -V\necho\n#PBS -z\n";
        assert_eq!(of_script(script, "#PBS"), ["-N", "a b", "-J", "1-2", "-V"]);
    }

    #[test]
    fn values_keep_their_commas() {
        let pairs = pairs("depend=afterok:1,afterany:2,umask=22").unwrap();
        assert_eq!(pairs[0].1, "afterok:1,afterany:2");
        assert_eq!(pairs[1].0, "umask");
    }
}
