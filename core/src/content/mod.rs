//! The content of files and directories, as a digest: what a `file` counts by. The definition is in
//! `docs/identity.md`.
//!
//! Files are read piece by piece, on all cores, and never mapped into memory: a file that another machine
//! cuts short must end in an error, not in a signal. What was hashed once is remembered in the store.

mod error;
mod file;
mod memory;
mod read;
mod signature;
#[cfg(test)]
mod tests;
mod tree;
mod walk;
mod work;

pub use error::ContentError;
pub use memory::Memory;
pub use read::{Content, Kind, read, read_all, read_each};
pub use signature::{FileSignature, ParseSignatureError, Signature};
