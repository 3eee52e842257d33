//! What the user declared: the description of a workflow, its types, and the checked graph.
//!
//! A task host gives a [`Description`]. [Checking](Graph::check) it yields a [`Graph`], or every error
//! at once. The engine takes graphs only, so that nothing unchecked is ever run.

mod bind;
mod check;
#[cfg(test)]
mod check_tests;
mod description;
mod fault;
mod flow;
mod graph;
mod parameters;
mod sorted;
mod type_parser;
mod types;
mod values;
mod wiring;

pub use bind::{BindError, BindErrors, BindFault, Bound, MissingFile};
pub use description::{
    CacheOptions, Description, ParameterDescription, ParameterKind, RetryOptions, SCHEMA,
    TaskDescription,
};
pub use fault::{CheckError, CheckErrors, CheckFault};
pub use flow::IncludeError;
pub use graph::{Delivery, Graph, Input, Items, Mode, Source, Task, TaskIndex};
pub use parameters::{Flag, Parameters, RESERVED_FLAGS, RESERVED_SHORT_FLAGS};
pub use type_parser::ParseTypeError;
pub use types::Type;
pub use values::Mismatch;
pub(crate) use values::shown;
