//! What is noted of a file whose content was read.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::content::{self, Content, ContentError, Signature};
use crate::identity::PathContent;
use crate::workflow::Type;

/// The contents of the files of a value, read all together.
pub(crate) struct Contents(HashMap<String, Result<Content, ContentError>>);

impl Contents {
    /// Reads the files of a value of a type.
    pub(crate) fn of(ty: &Type, value: &Value) -> Self {
        let paths = ty.files(value);
        let contents = content::read_each(&paths, None);
        let paths = paths.into_iter().map(str::to_owned);
        Self(paths.zip(contents).collect())
    }

    /// Returns what is at the path of one of them, and the note of it.
    pub(crate) fn take(&mut self, path: &str) -> io::Result<(PathContent, String)> {
        let read = self.0.get(path).cloned();
        let content = read.unwrap_or_else(|| content::read(Path::new(path)))?;
        let told = PathContent {
            is_directory: content.is_directory(),
            digest: content.digest,
        };
        Ok((told, note_of(&content)))
    }
}

/// Returns the note of a file: the digest of its content, and how it was.
fn note_of(content: &Content) -> String {
    note(&content.digest.to_string(), &content.signature.to_string())
}

pub(super) fn note(digest: &str, signature: &str) -> String {
    format!("{digest} {signature}")
}

/// Returns whether a file is as it was when its note was made. Where it only looks different, such as from
/// another node, its content decides.
pub(crate) fn is_as_noted(path: &str, note: &str, now: Option<&Signature>) -> bool {
    let Some((digest, signature)) = note.split_once(' ') else {
        return false;
    };
    let is_alike = |signature: &Signature| now.is_some_and(|now| now.is_alike(signature));
    signature
        .parse()
        .is_ok_and(|signature| is_alike(&signature))
        || content::read(Path::new(path)).is_ok_and(|content| content.digest.to_string() == digest)
}
