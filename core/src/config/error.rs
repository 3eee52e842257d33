use super::Origin;

/// A configuration that was refused, with the place where it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Origin,
        /// What the parser says.
        message: String,
    },
    /// There is no such key.
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        /// Where.
        place: Origin,
        /// The key, with the tables that it is in.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
        /// The keys that there are.
        known: Vec<String>,
    },
    /// A value does not fit its key.
    #[error("{place}: `{key}` {message}")]
    Value {
        /// Where.
        place: Origin,
        /// The key, with the tables that it is in.
        key: String,
        /// What it must be, and what it is.
        message: String,
    },
}

impl ConfigError {
    /// Returns what to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("the nearest key is `{nearest}`")),
            Self::UnknownKey { known, .. } => Some(format!("known keys: {}", known.join(", "))),
            Self::Syntax { .. } | Self::Value { .. } => None,
        }
    }
}
