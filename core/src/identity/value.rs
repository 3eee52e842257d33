use std::io;

use serde_json::Value;

use super::{Digest, Encoder, digest_of};
use crate::workflow::Type;

/// What is at a path whose content counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathContent {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The digest of its content.
    pub digest: Digest,
}

/// Where a value comes from: what its paths mean depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producer {
    /// The user: a path counts by its text.
    User,
    /// An execution of a task: a path counts by that.
    Execution(Digest),
}

/// Computes the digests of values, by their declared types.
#[derive(Debug, Clone, Copy)]
pub struct ValueHasher<'a> {
    /// The run directory: paths in it count relative to it.
    pub run_dir: &'a str,
    /// Where the value comes from.
    pub producer: Producer,
}

impl ValueHasher<'_> {
    /// Returns the digest of a value of a type. `content` tells what is at the path of a `file`.
    ///
    /// # Errors
    /// Those of `content`.
    pub fn value(
        &self,
        ty: &Type,
        value: &Value,
        content: &mut dyn FnMut(&str) -> io::Result<PathContent>,
    ) -> io::Result<Digest> {
        match (ty, value) {
            (Type::List(entry), Value::Array(values)) => {
                let digests = self.entries(entry, values, content)?;
                Ok(list(digests.iter().copied()))
            }
            (Type::Optional(inner), value) if !value.is_null() => self.value(inner, value, content),
            (Type::Coded(inner, codec), value) => {
                let inner = self.value(inner, value, content)?;
                let mut encoder = Encoder::tagged(3, "reflow/coded/1");
                encoder.text(codec).byte_string(inner.as_bytes());
                Ok(digest_of(&encoder))
            }
            (Type::File, Value::String(path)) => {
                let content = content(path)?;
                let mut encoder = Encoder::tagged(4, "reflow/file/1");
                encoder
                    .text(relative(self.run_dir, path))
                    .text(if content.is_directory {
                        "directory"
                    } else {
                        "file"
                    })
                    .byte_string(content.digest.as_bytes());
                Ok(digest_of(&encoder))
            }
            (Type::Path, Value::String(path)) if let Producer::Execution(made) = self.producer => {
                let mut encoder = Encoder::tagged(3, "reflow/path/1");
                encoder
                    .text(relative(self.run_dir, path))
                    .byte_string(made.as_bytes());
                Ok(digest_of(&encoder))
            }
            (_, value) => Ok(plain(value)),
        }
    }

    /// Returns the digests of the entries of a list.
    ///
    /// # Errors
    /// Those of `content`.
    pub fn entries(
        &self,
        entry: &Type,
        values: &[Value],
        content: &mut dyn FnMut(&str) -> io::Result<PathContent>,
    ) -> io::Result<Vec<Digest>> {
        let digests = values.iter().map(|value| self.value(entry, value, content));
        digests.collect()
    }
}

/// Returns the digest of a value that has no paths in it.
pub fn plain(value: &Value) -> Digest {
    let mut encoder = Encoder::tagged(2, "reflow/value/1");
    encoder.value(value);
    digest_of(&encoder)
}

/// Returns the digest of a list by those of its entries.
pub fn list(entries: impl ExactSizeIterator<Item = Digest>) -> Digest {
    let mut encoder = Encoder::tagged(entries.len() + 1, "reflow/list/1");
    for entry in entries {
        encoder.byte_string(entry.as_bytes());
    }
    digest_of(&encoder)
}

/// Returns what stands for the run of an element by a submission.
pub fn execution(identity: &Digest, tag: &str) -> Digest {
    let mut encoder = Encoder::tagged(3, "reflow/execution/1");
    encoder.byte_string(identity.as_bytes()).text(tag);
    digest_of(&encoder)
}

/// Returns a path relative to the run directory, where it is in it.
pub fn relative<'p>(run_dir: &str, path: &'p str) -> &'p str {
    match path.strip_prefix(run_dir.trim_end_matches('/')) {
        Some(rest) if rest.trim_matches('/').is_empty() => ".",
        Some(rest) => rest
            .strip_prefix('/')
            .map_or(path, |rest| rest.trim_start_matches('/')),
        None => path,
    }
}

/// Returns the path in a run directory that a relative one was made of: [`relative`] gives that again.
pub fn absolute(run_dir: &str, path: &str) -> String {
    match path {
        "." => run_dir.to_owned(),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("{}/{path}", run_dir.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ty(text: &str) -> Type {
        text.parse().expect("a type")
    }

    fn user(text: &str, value: &Value) -> Digest {
        let hasher = ValueHasher {
            run_dir: "/runs/a",
            producer: Producer::User,
        };
        let no_files = &mut |_: &str| Err(io::Error::other("no file is read"));
        hasher.value(&ty(text), value, no_files).unwrap()
    }

    #[test]
    fn a_path_is_relative_where_it_is_in_the_run_directory() {
        for (path, expected) in [
            ("/runs/a/b/c", "b/c"),
            ("/runs/a//b", "b"),
            ("/runs/a", "."),
            ("/runs/a/", "."),
            ("/runs/ab", "/runs/ab"),
            ("/data/x", "/data/x"),
            ("/runs/a/./b/../c/", "./b/../c/"),
            ("/runs/a/.", "."),
        ] {
            for run_dir in ["/runs/a", "/runs/a/"] {
                assert_eq!(relative(run_dir, path), expected);
                assert_eq!(relative(run_dir, &absolute(run_dir, expected)), expected);
            }
        }
    }

    #[test]
    fn a_list_is_made_of_its_entries_in_their_order() {
        let entries = [user("int", &json!(1)), user("int", &json!(2))];
        assert_eq!(user("list[int]", &json!([1, 2])), list(entries.into_iter()));
        assert_ne!(
            user("list[int]", &json!([1, 2])),
            user("list[int]", &json!([2, 1]))
        );
        // The type decides, not what the value looks like.
        assert_ne!(
            user("list[int]", &json!([1, 2])),
            user("json", &json!([1, 2]))
        );
        assert_eq!(user("optional[int]", &json!(1)), user("int", &json!(1)));
        assert_ne!(user("str@a", &json!("x")), user("str@b", &json!("x")));
    }

    #[test]
    fn a_path_that_a_task_made_counts_by_its_execution() {
        let identity = Digest::from_bytes([1; 32]);
        let of = |run_dir, tag: &str, path: &str| {
            let hasher = ValueHasher {
                run_dir,
                producer: Producer::Execution(execution(&identity, tag)),
            };
            let no_files = &mut |_: &str| Err(io::Error::other("no file is read"));
            hasher.value(&ty("path"), &json!(path), no_files).unwrap()
        };
        let first = of("/runs/a", "t1", "/runs/a/out");
        assert_eq!(first, of("/runs/b", "t1", "/runs/b/out"));
        assert_ne!(first, of("/runs/a", "t2", "/runs/a/out"));
        assert_ne!(first, of("/runs/a", "t1", "/runs/a/other"));
    }

    #[test]
    fn a_file_counts_by_name_and_content() {
        let of = |run_dir, path: &str, byte: u8, is_directory| {
            let hasher = ValueHasher {
                run_dir,
                producer: Producer::User,
            };
            let digest = Digest::from_bytes([byte; 32]);
            let content = &mut |_: &str| {
                Ok(PathContent {
                    is_directory,
                    digest,
                })
            };
            hasher.value(&ty("file"), &json!(path), content).unwrap()
        };
        let first = of("/runs/a", "/runs/a/x", 1, false);
        assert_eq!(first, of("/runs/b", "/runs/b/x", 1, false));
        assert_ne!(first, of("/runs/a", "/runs/a/x", 2, false));
        assert_ne!(first, of("/runs/a", "/runs/a/y", 1, false));
        assert_ne!(first, of("/runs/a", "/runs/a/x", 1, true));
    }
}
