//! Reads what `qstat` prints. Pure, and lenient: what is not understood is not known.

mod id;
mod json;
mod objects;
mod record;
mod repair;
mod text;

pub(crate) use id::{Id, Part};
pub(crate) use json::answer as json;
pub(crate) use objects::{Objects, json as json_objects, text as text_objects};
pub(crate) use record::{Record, clock, size};
pub(crate) use text::answer as text;

use std::time::SystemTime;

/// What `qstat -f` said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The server's own time.
    pub(crate) now: Option<SystemTime>,
    /// Jobs and elements, in the order of the answer.
    pub(crate) records: Vec<Record>,
}

#[cfg(test)]
mod tests;
