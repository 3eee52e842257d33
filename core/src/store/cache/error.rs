use std::io;
use std::path::PathBuf;

/// A cache that could not be read or written. It costs hits, never a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Reading or writing failed.
    #[error("could not {action} the cache in `{}`; see to its permissions and the space there, or choose another with `--store`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What was to be published has a name that no file in the cache may have.
    #[error(
        "`{0}` cannot be the name of a part of the cache: a letter or digit, then letters, digits, `_`, `-` and `.`, not beginning with `merged-`"
    )]
    Name(String),
}

impl CacheError {
    pub(super) fn io(action: &'static str, path: PathBuf, source: io::Error) -> Self {
        Self::Io {
            action,
            path,
            source,
        }
    }
}
