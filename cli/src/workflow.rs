use std::path::{Path, PathBuf};

use reflow_core::error::Hint;
use reflow_core::host::{self, WorkflowFileErrors};
use reflow_core::workflow::{BindErrors, CheckErrors, Graph};

use crate::configuration::find_project;
use crate::error::CliError;
use crate::surroundings::Surroundings;

/// A workflow that was loaded and checked.
#[derive(Debug)]
pub(crate) struct Workflow {
    /// The checked graph.
    pub(crate) graph: Graph,
    /// The files that it was read from, the first one first.
    pub(crate) files: Vec<PathBuf>,
}

/// Returns the file of the workflow that was named, or of the nearest one from here upwards.
pub(crate) fn locate(
    surroundings: &Surroundings,
    named: Option<&Path>,
) -> Result<PathBuf, CliError> {
    let Some(named) = named else {
        return find_project(&surroundings.directory).ok_or_else(|| {
            CliError::request(format!(
                "there is no workflow: no `reflow.toml` in `{}` or above it",
                surroundings.directory.display()
            ))
            .with_hint("name the workflow with `-w FILE|DIR`")
        });
    };
    let path = surroundings.absolute(named);
    if path.is_dir() {
        let file = path.join("reflow.toml");
        if file.exists() {
            return Ok(file);
        }
        return Err(CliError::request(format!(
            "there is no `reflow.toml` in `{}`",
            named.display()
        )));
    }
    if !path.exists() {
        return Err(CliError::request(format!(
            "the workflow `{}` does not exist",
            named.display()
        )));
    }
    Ok(path)
}

/// Loads and checks the workflow in `file`.
pub(crate) fn load(file: &Path) -> Result<Workflow, CliError> {
    let loaded = host::load(file)?;
    let graph = Graph::check(loaded.description)?;
    Ok(Workflow {
        graph,
        files: loaded.files,
    })
}

fn with_hint(error: &(impl ToString + Hint)) -> String {
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error.to_string()),
        None => error.to_string(),
    }
}

impl From<WorkflowFileErrors> for CliError {
    fn from(errors: WorkflowFileErrors) -> Self {
        let mut details: Vec<String> = errors.errors.iter().map(with_hint).collect();
        if let Some(check) = &errors.check {
            details.extend(check.errors.iter().map(with_hint));
        }
        Self::request("the workflow cannot be read").with_details(details)
    }
}

impl From<CheckErrors> for CliError {
    fn from(errors: CheckErrors) -> Self {
        Self::request(format!("the workflow `{}` is wrong", errors.workflow))
            .with_details(errors.errors.iter().map(with_hint).collect())
    }
}

impl From<BindErrors> for CliError {
    fn from(errors: BindErrors) -> Self {
        Self::request("the parameters do not fit the workflow")
            .with_details(errors.errors.iter().map(with_hint).collect())
    }
}
