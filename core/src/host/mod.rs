//! Task hosts: programs that know the bodies of tasks.
//!
//! Command tasks are the first host and are served by reflow itself: [`load`] reads a `reflow.toml`
//! into a [`Description`](crate::workflow::Description), and [`CompiledCommand`] makes the command of
//! an element and reads its output. Running the command is the worker's business.

mod command_task;
mod command_task_glob;
mod command_task_output;
#[cfg(test)]
mod command_task_tests;
mod template;
mod template_shell;
mod template_shell_words;
mod workflow_file;
#[cfg(test)]
mod workflow_file_example_tests;
mod workflow_file_reader;
mod workflow_file_task;
#[cfg(test)]
mod workflow_file_tests;

pub(crate) use command_task::CHECKED_VALUE;
pub use command_task::{
    CommandBody, CompileErrors, CompiledCommand, DEFAULT_INTERPRETER, Invocation, Output,
    PrepareError, Program,
};
pub use command_task_output::CollectError;
pub use template::TemplateError;
pub use workflow_file::{Loaded, WORKFLOW_FILE, WorkflowFileErrors, load};
pub use workflow_file_reader::FileError;
