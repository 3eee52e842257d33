//! The options of `bsub`, on the command line and in `#BSUB` lines.

use std::collections::BTreeMap;

use crate::fake::Dialect;

/// Options of openlava 2.2 that take a value, as its usage message lists them. Longer names come first,
/// as `-sp` is looked for before `-s`.
const OPENLAVA_VALUES: &[&str] = &[
    "is", "sp", "E", "T", "a", "w", "f", "k", "R", "m", "J", "L", "u", "i", "o", "e", "n", "q",
    "b", "t", "s", "c", "v", "p", "W", "F", "D", "S", "C", "M", "O", "P", "X", "G",
];

/// Options of openlava 2.2 that stand alone.
const OPENLAVA_FLAGS: &[&str] = &[
    "Zs", "Ip", "Is", "I", "r", "H", "x", "N", "B", "h", "V", "K",
];

/// Options that IBM's reference of bsub has beyond these, with a value.
const IBM_VALUES: &[&str] = &[
    "cwd",
    "env",
    "oo",
    "eo",
    "outdir",
    "app",
    "g",
    "G",
    "Jd",
    "gpu",
    "Ep",
    "U",
    "sla",
    "ext",
    "jsdl",
    "hl",
    "freq",
    "data",
    "notify",
    "signal",
    "rnc",
    "stage",
    "ar",
    "Lp",
    "core_pinning",
    "We",
    "clusters",
];

/// Options that IBM's reference of bsub has beyond these, alone.
const IBM_FLAGS: &[&str] = &["ti", "rn", "tty", "Zs", "Ipp", "IX", "XF", "noshow", "ptl"];

/// What `bsub` was given.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// Options without their dash, each with its values in the order given; of a flag an empty one.
    options: BTreeMap<String, Vec<String>>,
    /// The words of the command.
    pub(super) command: Vec<String>,
}

/// An option that is not known, or has no value where it needs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(pub(super) String);

impl Words {
    /// Reads arguments up to the first that is no option: that one begins the command.
    ///
    /// On openlava an option swallows what is attached to it: "getopt-style clustering: `-cwd /tmp` is
    /// read as `-c wd`, `-oo x` as `-o o` + command `x`, `-env all` as `-e nv` + command `all`".
    pub(super) fn read(dialect: Dialect, arguments: &[String]) -> Result<Self, Unknown> {
        let mut words = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(option) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
                words.command.push(argument.clone());
                words.command.extend(rest.cloned());
                break;
            };
            if option == "-" {
                words.command.extend(rest.cloned());
                break;
            }
            if is_flag(dialect, option) {
                words.add(option, String::new());
                continue;
            }
            let (name, attached) =
                split(dialect, option).ok_or_else(|| Unknown(argument.clone()))?;
            let value = match attached {
                Some(attached) => attached.to_owned(),
                None => rest
                    .next()
                    .ok_or_else(|| Unknown(argument.clone()))?
                    .clone(),
            };
            words.add(name, value);
        }
        Ok(words)
    }

    fn add(&mut self, name: &str, value: String) {
        self.options.entry(name.to_owned()).or_default().push(value);
    }

    /// Returns the value of an option, the last where it was given more than once.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        Some(self.options.get(name)?.last()?.as_str())
    }

    /// Returns all values of an option.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.options.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether an option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// Adds what `#BSUB` lines say. The command line goes first: "An array spec on `-J` in the command
    /// line replaces `#BSUB -J` (a plain name there made it a non-array)".
    pub(super) fn complete(&mut self, directives: Self) {
        for (name, values) in directives.options {
            self.options.entry(name).or_insert(values);
        }
    }
}

fn is_flag(dialect: Dialect, option: &str) -> bool {
    OPENLAVA_FLAGS.contains(&option) || dialect == Dialect::Lsf && IBM_FLAGS.contains(&option)
}

/// Returns the option that a word begins with, and what is attached to it.
fn split(dialect: Dialect, option: &str) -> Option<(&'static str, Option<&str>)> {
    let ibm: &[&'static str] = if dialect == Dialect::Lsf {
        IBM_VALUES
    } else {
        &[]
    };
    let known = || ibm.iter().chain(OPENLAVA_VALUES).copied();
    if let Some(name) = known().find(|name| *name == option) {
        return Some((name, None));
    }
    // Only what is not written out is a cluster. IBM's longer names never swallow anything.
    let name = OPENLAVA_VALUES
        .iter()
        .find(|name| option.starts_with(**name))?;
    Some((name, Some(&option[name.len()..])))
}

/// Returns the arguments in the `#BSUB` lines of a script.
pub(super) fn directives(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let Some(text) = line.strip_prefix("#BSUB") else {
            continue;
        };
        let mut text = text.to_owned();
        while text.ends_with('\\') {
            text.pop();
            match lines.next() {
                Some(next) => text.push_str(next.trim_start_matches("#BSUB")),
                None => break,
            }
        }
        found.extend(quoted_words(&text));
    }
    found
}

/// Splits at blanks outside of quotes. Nothing is expanded.
pub(super) fn quoted_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '\'' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Puts the words of a command together as `bsub` does: "quoted argv words are joined with spaces and
/// run by a shell. Words with spaces are re-quoted (`/bin/echo 'a b' '$HOME' ';id'` became
/// `/bin/echo "a b" '$HOME' ;id`, and `id` RAN)".
pub(super) fn joined(command: &[String]) -> String {
    let quoted = command.iter().enumerate().map(|(place, word)| {
        let needs = word.contains([' ', '$', '"', '\'', '\\']);
        match () {
            // The program itself is taken as it is: ONE string is a line of shell.
            () if place == 0 || !needs => word.clone(),
            () if word.contains(['$', '"', '\\']) => format!("'{word}'"),
            () => format!("\"{word}\""),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    fn openlava(text: &[&str]) -> Words {
        Words::read(Dialect::OpenLava, &words(text)).unwrap()
    }

    fn ibm(text: &[&str]) -> Words {
        Words::read(Dialect::Lsf, &words(text)).unwrap()
    }

    #[test]
    fn openlava_reads_options_of_ibm_as_clusters() {
        let read = openlava(&["-cwd", "/tmp", "true"]);
        assert_eq!((read.get("c"), read.get("cwd")), (Some("wd"), None));
        assert_eq!(read.command, ["/tmp", "true"]);
        let read = openlava(&["-oo", "x"]);
        assert_eq!(
            (read.get("o"), &read.command[..]),
            (Some("o"), &words(&["x"])[..])
        );
        let read = openlava(&["-env", "all"]);
        assert_eq!(
            (read.get("e"), &read.command[..]),
            (Some("nv"), &words(&["all"])[..])
        );
    }

    #[test]
    fn ibm_knows_its_options() {
        let read = ibm(&[
            "-cwd", "/tmp", "-oo", "x", "-env", "none", "-ti", "-n4", "true", "-l",
        ]);
        assert_eq!(read.get("cwd"), Some("/tmp"));
        assert_eq!((read.get("oo"), read.get("o")), (Some("x"), None));
        assert_eq!((read.get("env"), read.has("ti")), (Some("none"), true));
        assert_eq!(read.get("n"), Some("4"));
        assert_eq!(read.command, ["true", "-l"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for dialect in [Dialect::OpenLava, Dialect::Lsf] {
            assert!(Words::read(dialect, &words(&["-Qx", "true"])).is_err());
            assert!(Words::read(dialect, &words(&["-q"])).is_err());
        }
        assert!(Words::read(Dialect::OpenLava, &words(&["-gpu", "num=1", "true"])).is_err());
    }

    #[test]
    fn directives_come_after_the_command_line() {
        let script =
            "#!/bin/bash\n#BSUB -J \"a[1-3]%2\" -q short\n# BSUB -W 1\n#BSUB -o 'a b'\necho\n";
        let mut read = openlava(&["-J", "plain"]);
        let found = Words::read(Dialect::OpenLava, &directives(script)).unwrap();
        assert_eq!(found.get("J"), Some("a[1-3]%2"));
        read.complete(found);
        assert_eq!(read.get("J"), Some("plain"));
        assert_eq!((read.get("q"), read.get("o")), (Some("short"), Some("a b")));
        assert_eq!(read.get("W"), None);
    }

    #[test]
    fn words_with_blanks_are_quoted_again() {
        let command = words(&["/bin/echo", "a b", "$HOME", ";id"]);
        assert_eq!(joined(&command), "/bin/echo \"a b\" '$HOME' ;id");
        assert_eq!(joined(&words(&["kill -9 $$"])), "kill -9 $$");
    }
}
