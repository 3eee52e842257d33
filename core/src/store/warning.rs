use std::fmt;
use std::path::PathBuf;

use super::table::TableError;

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
            TableError::Io(error) => {
                format!("it cannot be read ({error}); see to its permissions, or remove it")
            }
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

    pub(super) fn damaged(path: PathBuf, what: &str) -> Self {
        Self {
            path,
            message: format!(
                "{what}; the rest is used, what is damaged goes when files are merged"
            ),
        }
    }
}
