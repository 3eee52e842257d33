use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A content that could not be determined.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// There is nothing of that name.
    #[error("`{}` does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("the content of `{}` cannot be read", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// It is a socket, a FIFO or a device.
    #[error("`{}` is {what}, which has no content of its own; give a file or a directory, and keep the others out of it", path.display())]
    Special {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// Something wrote to it meanwhile.
    #[error("`{}` changed while its content was read; try again when nothing writes to it", path.display())]
    Changed {
        /// The file or directory.
        path: PathBuf,
    },
    /// It has too many entries.
    #[error("`{}` has more than {most} entries, with what links in it lead to; give a smaller directory, or declare it as a `path`, whose content is not read", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The most that are read.
        most: usize,
    },
    /// What was hashed could not be remembered. It is hashed again next time.
    #[error("could not write what is known of files to `{}`", path.display())]
    Memory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
}

impl From<ContentError> for io::Error {
    fn from(error: ContentError) -> Self {
        let kind = match &error {
            ContentError::Io { source, .. } | ContentError::Memory { source, .. } => source.kind(),
            ContentError::Missing { .. } => io::ErrorKind::NotFound,
            ContentError::Special { .. } | ContentError::TooMany { .. } => {
                io::ErrorKind::InvalidInput
            }
            ContentError::Changed { .. } => io::ErrorKind::ResourceBusy,
        };
        Self::new(kind, error)
    }
}

impl ContentError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            // Shorter than it was a moment ago.
            io::ErrorKind::UnexpectedEof => Self::Changed { path },
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io {
                path,
                source: Arc::new(source),
            },
        }
    }
}
