//! What the user declared: the description of a workflow, its types, and the checked graph.
//!
//! A task host gives a [`Description`]. Checking it yields a [`Graph`], or every error at once. The
//! engine takes graphs only, so that nothing unchecked is ever run.

mod description;
mod graph;
mod types;

pub use description::{
    CacheOptions, Description, ParameterDescription, ParameterKind, RetryOptions, SCHEMA,
    TaskDescription,
};
pub use graph::{Delivery, Graph, Input, Items, Mode, Source, Task, TaskIndex};
pub use types::{Mismatch, Type};
