use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::table::{Noted, TableError};

/// A file of the store that was not used, or not all of it, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreWarning {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub message: String,
}

impl fmt::Display for StoreWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` in the store: {}",
            self.path.display(),
            self.message
        )
    }
}

impl StoreWarning {
    pub(super) fn unreadable(path: PathBuf, error: TableError) -> Self {
        let message = match error {
            TableError::Io(error) => return Self::unread(path, &error.to_string()),
            TableError::Damaged(what) => {
                format!("{what}; remove it, or have `reflow cache gc --apply` do so")
            }
            TableError::Foreign => "it is not a file of the cache; move it elsewhere".to_owned(),
            error @ TableError::Newer(_) => {
                format!("{error}; use a newer reflow with this store, or another store")
            }
        };
        Self { path, message }
    }

    /// Of a file that is listed and cannot be opened.
    pub(super) fn missing(path: PathBuf) -> Self {
        let message = "it is listed and cannot be found: where it is a link that leads nowhere, remove it, else a file server is behind, and later runs will find what is there now";
        Self {
            path,
            message: message.to_owned(),
        }
    }

    /// Of a directory in which something could not be done, and stays as it was.
    pub(super) fn failed(path: PathBuf, error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}"));
        let message = format!("{error}{}", cause.unwrap_or_default());
        Self { path, message }
    }

    /// Of a file that was opened.
    pub(super) fn noted(path: PathBuf, noted: &Noted) -> Self {
        match noted {
            Noted::Damage(what) => Self {
                path,
                message: format!(
                    "{what}; the rest is used, what is damaged goes when files are merged"
                ),
            },
            Noted::Failure(error) => Self::unread(path, error),
        }
    }

    fn unread(path: PathBuf, error: &str) -> Self {
        Self {
            path,
            message: format!("it cannot be read ({error}); see to its permissions, or remove it"),
        }
    }
}

/// Warnings that were logged: each once, however often the same is met.
#[derive(Debug, Default)]
pub(crate) struct ToldOnce(HashSet<String>);

impl ToldOnce {
    /// Logs those that are new.
    pub(crate) fn tell(&mut self, warnings: &[StoreWarning]) {
        for warning in warnings {
            let text = warning.to_string();
            if !self.0.contains(&text) {
                tracing::warn!("{text}");
                self.0.insert(text);
            }
        }
    }
}
