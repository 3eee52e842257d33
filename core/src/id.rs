//! Identifiers: validated once, then carried as types.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An identifier that was refused, with what it may look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: {rule}")]
pub struct InvalidId {
    /// The text that was refused.
    pub text: String,
    /// The kind of identifier.
    pub what: &'static str,
    /// What such an identifier may look like.
    pub rule: &'static str,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Validates `text`.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId { text, what: $what, rule: $rule })
                }
            }

            /// Returns the text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A letter, then letters, digits and `_`: safe as a file name, a flag and an identifier in code.
fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 100
}

/// Letters, digits, `_`, `-` and `.`, starting with a letter or digit.
fn is_file_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && text.len() <= 150
}

/// A letter and 14 base-32 characters (`a-z2-7`): fits the job name of every batch system.
fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 15
        && bytes[0].is_ascii_lowercase()
        && bytes[1..]
            .iter()
            .all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(b))
}

id_type!(
    /// The name of a task.
    TaskName,
    "task name",
    "a letter, then letters, digits and `_`, at most 100 characters",
    is_identifier
);
id_type!(
    /// The name of a task parameter.
    ParameterName,
    "parameter name",
    "a letter, then letters, digits and `_`, at most 100 characters",
    is_identifier
);
id_type!(
    /// The name of a workflow or flow.
    WorkflowName,
    "workflow name",
    "a letter or digit, then letters, digits, `_`, `-` and `.`, at most 150 characters",
    is_file_name
);
id_type!(
    /// The id of a run: readable, unique, safe as a file name.
    RunId,
    "run id",
    "a letter or digit, then letters, digits, `_`, `-` and `.`",
    is_file_name
);
id_type!(
    /// What reflow calls a submission, known before it is sent; the job's name in the batch system.
    ///
    /// A letter and 14 base-32 characters, which fits the job name of every batch system (Torque and
    /// old PBS Pro: 15 characters, a letter first).
    Tag,
    "tag",
    "a letter, then 14 characters out of `a-z2-7`",
    is_tag
);
id_type!(
    /// What the batch system calls a submission: `123`, `123;cluster`, `123[].server`.
    ///
    /// Never a number to compute with, and never shortened. One with U+FFFD in it was not read whole.
    JobId,
    "job id",
    "printable characters without spaces",
    |text| !text.is_empty() && text.len() <= 500 && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\u{fffd}')
);

impl Tag {
    /// Returns the tag with the given first letter and the first 70 bits of `digest`.
    pub fn from_digest(letter: char, digest: &blake3::Hash) -> Self {
        debug_assert!(
            letter.is_ascii_lowercase(),
            "a tag starts with a lower-case letter"
        );
        let text = data_encoding::BASE32_NOPAD
            .encode(&digest.as_bytes()[..10])
            .to_ascii_lowercase();
        Self(format!("{letter}{}", &text[..14]))
    }

    /// Returns a tag with the given first letter that nobody has used: 70 random bits follow it.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn random(letter: char) -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self::from_digest(letter, &bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_that_are_unsafe_as_file_names_are_refused() {
        for bad in [
            "",
            "..",
            "a/b",
            "a b",
            "-x",
            "1a",
            "ä",
            "a.b",
            &"x".repeat(101),
        ] {
            assert!(TaskName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(TaskName::new("raw_download2").is_ok());
    }

    #[test]
    fn a_tag_fits_every_batch_system() {
        let tag = Tag::from_digest('r', &blake3::hash(b"x"));
        assert_eq!(tag.as_str().len(), 15);
        assert_eq!(Tag::new(tag.as_str()), Ok(tag));
    }

    #[test]
    fn random_tags_differ() {
        let tag = || Tag::random('c').expect("there are random numbers");
        assert_ne!(tag(), tag());
        assert_eq!(
            Tag::new(tag().as_str()).map(|tag| tag.as_str().len()),
            Ok(15)
        );
    }

    #[test]
    fn job_ids_are_kept_whole() {
        for good in ["7", "7;cluster", "88[1].server.example.org"] {
            assert_eq!(
                JobId::new(good).map(|id| id.to_string()),
                Ok(good.to_owned())
            );
        }
        assert!(JobId::new("7\n").is_err());
        assert!(JobId::new(String::from_utf8_lossy(b"7.lo\xff")).is_err());
    }
}
