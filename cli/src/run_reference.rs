use std::path::Path;

use reflow_core::id::RunId;
use reflow_core::rundir::RunDir;

use crate::context::Context;
use crate::error::CliError;

/// Most candidates shown for a prefix.
const MOST_CANDIDATES: usize = 10;

impl Context {
    /// Opens the run that `text` means: an id, the directory of a run, or the prefix of one id.
    pub(crate) fn find_run(&self, text: &str) -> Result<RunDir, CliError> {
        let catalogue = self.catalogue();
        let listed = match (&catalogue, RunId::new(text)) {
            (Some(catalogue), Ok(id)) => catalogue.get(&id),
            _ => Ok(None),
        };
        if let Ok(Some(entry)) = listed {
            return open_listed(&entry.run_id, &entry.run_dir);
        }
        let path = self.surroundings.absolute(Path::new(text));
        if path.join(".reflow").is_dir() || text.contains('/') || text == "." || text == ".." {
            return Ok(RunDir::open(&path)?);
        }
        // A store that cannot be read matters only to what is found nowhere else.
        listed?;
        let candidates = match &catalogue {
            Some(catalogue) if !text.is_empty() => catalogue.find(text)?,
            _ => Vec::new(),
        };
        match (&candidates[..], &catalogue) {
            ([id], Some(catalogue)) => match catalogue.get(id)? {
                Some(entry) => open_listed(id, &entry.run_dir),
                None => Err(unknown(text, &path)),
            },
            ([], _) | (_, None) => Err(unknown(text, &path)),
            _ => Err(ambiguous(text, &candidates)),
        }
    }
}

/// Returns the directory of a run as it is typed in a shell.
pub(crate) fn shell_name(run: &RunDir) -> String {
    let path = run.path().display().to_string();
    shlex::try_quote(&path).map_or(path.clone(), std::borrow::Cow::into_owned)
}

fn open_listed(id: &RunId, run_dir: &Path) -> Result<RunDir, CliError> {
    RunDir::open(run_dir).map_err(|error| {
        CliError::from(error)
            .doing(format!("the run `{id}` cannot be opened"))
            .with_hint("if its directory was moved, name the directory instead of the id")
    })
}

fn unknown(text: &str, path: &Path) -> CliError {
    let error = CliError::request(format!("there is no run `{text}`"));
    if path.is_dir() {
        return error.with_hint(format!("`{}` is a directory without a run", path.display()));
    }
    error.with_hint("`reflow runs` lists the runs; a run can also be named by its directory")
}

fn ambiguous(text: &str, candidates: &[RunId]) -> CliError {
    let mut names: Vec<String> = candidates
        .iter()
        .take(MOST_CANDIDATES)
        .map(ToString::to_string)
        .collect();
    let more = candidates.len().saturating_sub(MOST_CANDIDATES);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    CliError::request(format!("several runs start with `{text}`")).with_details(names)
}
