//! The store: what is remembered across runs, in a directory that a group may share.
//!
//! Everything in it can be rebuilt from run directories. Damage costs a warning, never a run.

pub mod cache;
mod catalogue;
mod directory;
mod draft;
mod file;
pub(crate) mod files;
mod merging;
pub(crate) mod shelf;
mod sweep;
pub(crate) mod table;
mod warning;

pub use catalogue::{Catalogue, CatalogueEntry, CatalogueError, Listing};
pub(crate) use draft::random;
pub use files::FilesGarbage;
pub use warning::StoreWarning;
pub(crate) use warning::ToldOnce;
