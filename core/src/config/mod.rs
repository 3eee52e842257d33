//! Configuration: what was written, in layers, and what it means.
//!
//! The caller reads files, variables and flags and hands over their text; nothing here looks for
//! them. Each source becomes a [`Layer`]; [`Resolved`] puts layers on top of each other, key by key,
//! and knows of every value where it was written.

mod error;
mod file;
mod key;
mod layer;
mod resolve;

pub use error::ConfigError;
pub use file::FileKind;
pub use key::TOP_LEVEL_KEYS;
pub use layer::{FileLayer, Layer, Origin, Setting};
pub use resolve::{BackendSettings, EnvironmentPolicy, Resolved};
