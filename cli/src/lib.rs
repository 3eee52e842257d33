//! The command line of reflow, as a library.
//!
//! [`entry`] is the whole program: the commands that people type, and the hidden ones that jobs run.

mod app;
mod backends;
mod commands;
mod configuration;
mod context;
mod element;
mod entry;
mod error;
mod exit;
mod interrupt;
mod output;
mod parameters;
mod patience;
mod prescan;
mod probe;
mod progress;
mod queue;
mod reference;
mod render;
mod run_reference;
mod scratch;
mod selection;
mod surroundings;
mod watch;
mod workflow;

pub use entry::entry;
pub use exit::Exit;
pub use reference::reference;
pub use reflow_core as core;
