use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{Digest, PathContent, ValueHasher, list, plain};
use crate::rundir::{ValueRef, ValueStore};
use crate::workflow::Type;

/// The digests of a value, as it counts for those who are given it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ValueDigests {
    /// Of the whole.
    #[serde(rename = "h")]
    pub whole: Digest,
    /// Of the entries of a list whose entries are paths or files, as a list of texts; those of other lists
    /// follow from the value.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<ValueRef>,
    /// How the files of the value were when their content was read, as a list of texts in the order of the
    /// value; of a list whose entries are more than one file each, as such a list for each entry.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub files: Option<ValueRef>,
}

/// What is noted of the files of one entry of a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_notes(self) -> Vec<String> {
        match self {
            Self::One(note) => vec![note],
            Self::More(notes) => notes,
        }
    }
}

impl ValueDigests {
    /// Computes the digests of a value of a type. `content` tells what is at the path of a `file`, and how
    /// the file was when it was read. Long lists of digests are kept in `values`.
    ///
    /// # Errors
    /// Those of `content` and of `values`.
    pub fn compute(
        hasher: &ValueHasher<'_>,
        ty: &Type,
        value: &Value,
        values: &ValueStore,
        content: &mut dyn FnMut(&str) -> io::Result<(PathContent, String)>,
    ) -> io::Result<Self> {
        let mut files = Vec::new();
        let mut told = |path: &str| {
            let (content, signature) = content(path)?;
            files.push(signature);
            Ok(content)
        };
        let (whole, entries) = match (ty, value) {
            (Type::List(entry), Value::Array(items)) if entry.has_paths() => {
                let digests = hasher.entries(entry, items, &mut told)?;
                let texts: Vec<String> = digests.iter().map(ToString::to_string).collect();
                (list(digests.into_iter()), Some(texts))
            }
            _ => (hasher.value(ty, value, &mut told)?, None),
        };
        let keep = |texts: &Vec<String>| values.put(serde_json::to_string(texts)?);
        let files = match (ty, value) {
            _ if !ty.has_files() => None,
            (Type::List(entry), Value::Array(items)) if **entry != Type::File => {
                let mut files = files.into_iter();
                let of_items: Vec<Vec<String>> = items
                    .iter()
                    .map(|item| files.by_ref().take(entry.files(item).len()).collect())
                    .collect();
                Some(values.put(serde_json::to_string(&of_items)?)?)
            }
            _ => Some(keep(&files)?),
        };
        Ok(Self {
            whole,
            entries: entries.as_ref().map(keep).transpose()?,
            files,
        })
    }

    /// Returns how the files of the value were when their content was read, in the order of the value.
    ///
    /// # Errors
    /// Those of reading, also where it is damaged.
    pub fn notes(&self, values: &ValueStore) -> io::Result<Vec<String>> {
        match &self.files {
            Some(files) => {
                let items: Vec<OneOrMore> = serde_json::from_str(&values.read(files)?)?;
                Ok(items.into_iter().flat_map(OneOrMore::into_notes).collect())
            }
            None => Ok(Vec::new()),
        }
    }

    /// The same for one item of a list, from its item in [`ValueDigests::files`].
    ///
    /// # Errors
    /// Where the text is damaged.
    pub fn notes_of_item(text: &str) -> io::Result<Vec<String>> {
        let item: OneOrMore = serde_json::from_str(text)?;
        Ok(item.into_notes())
    }

    /// Returns the digests of the entries of a list whose entries have the type `entry`, as far as they are
    /// known: `digests` are those of the list, `text` its JSON.
    pub fn of_entries(
        digests: Option<&Self>,
        entry: &Type,
        values: &ValueStore,
        text: impl FnOnce() -> io::Result<String>,
    ) -> io::Result<Option<Vec<Digest>>> {
        match digests.and_then(|digests| digests.entries.as_ref()) {
            Some(entries) => {
                let text = values.read(entries)?;
                Ok(Some(serde_json::from_str(&text)?))
            }
            None if entry.has_paths() => Ok(None),
            None => {
                let items: Vec<Value> = serde_json::from_str(&text()?)?;
                Ok(Some(
                    items.iter().map(|item| of_plain(entry, item)).collect(),
                ))
            }
        }
    }
}

/// Returns the digest of a value of a type without paths.
pub(crate) fn of_plain(ty: &Type, value: &Value) -> Digest {
    match ty {
        // Nothing but lists and codecs counts otherwise than by the value alone.
        Type::List(_) | Type::Coded(..) | Type::Optional(_) => {
            let hasher = ValueHasher {
                run_dir: "",
                producer: crate::identity::Producer::User,
            };
            let none = &mut |_: &str| Err(io::Error::other("there are no files in it"));
            hasher
                .value(ty, value, none)
                .expect("no file is read for a type without files")
        }
        _ => plain(value),
    }
}
