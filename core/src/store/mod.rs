//! The store: what is remembered across runs, in a directory that a group may share.
//!
//! Everything in it can be rebuilt from run directories. Damage costs a warning, never a run.

mod catalogue;

pub use catalogue::{Catalogue, CatalogueEntry, CatalogueError, Listing};
