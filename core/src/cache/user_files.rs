use std::collections::BTreeMap;
use std::io;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::content::{self, Content, ContentError, Memory};
use crate::identity::{Digest, PathContent};
use crate::rundir::{RunDir, publish};
use crate::workflow::{Bound, Graph, ParameterKind, TaskIndex};

/// The files that the user gave a run, as they were when it was submitted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserFiles {
    files: BTreeMap<String, UserFile>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFile {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The digest of its content.
    pub digest: Digest,
    /// How it was when its content was read.
    pub signature: String,
}

const NAME: &str = "files.json";

impl UserFiles {
    /// Reads the content of all files among the plain parameters of a workflow.
    ///
    /// # Errors
    /// Names the file that could not be read, or that changed while it was.
    pub fn read(graph: &Graph, parameters: &Bound, memory: &Memory) -> Result<Self, ContentError> {
        let mut paths: Vec<&str> = Vec::new();
        for task in (0..graph.len() as u32).map(TaskIndex) {
            for parameter in &graph.declared(task).parameters {
                if matches!(parameter.kind, ParameterKind::Plain { .. })
                    && let Some(value) = parameters.get(task, parameter.name.as_str())
                {
                    paths.extend(parameter.ty.files(value));
                }
            }
        }
        paths.sort_unstable();
        paths.dedup();
        let contents = content::read_all(&paths, memory)?;
        let files = paths.into_iter().zip(contents);
        Ok(Self {
            files: files
                .map(|(path, content)| (path.to_owned(), UserFile::from(content)))
                .collect(),
        })
    }

    /// Keeps them in a run directory.
    pub(crate) fn write(&self, inside: &std::path::Path) -> io::Result<()> {
        crate::fault::reach("submit/files");
        publish(&inside.join(NAME), &serde_json::to_vec(self)?)
    }

    /// Returns those of a run. A run of an earlier version has none.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn of(run: &RunDir) -> io::Result<Self> {
        match fs::read(run.inside(NAME)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Returns what is known of a file.
    pub fn get(&self, path: &str) -> Option<&UserFile> {
        self.files.get(path)
    }

    /// Returns the note of a file, to see later whether it has changed.
    pub(crate) fn note(&self, path: &str) -> Option<String> {
        let file = self.files.get(path)?;
        Some(super::told::note(&file.digest.to_string(), &file.signature))
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// When it is none of the user's.
    pub(crate) fn content(&self, path: &str) -> io::Result<PathContent> {
        let file = self.files.get(path).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("the content of `{path}` was not read when the run was submitted"),
            )
        })?;
        Ok(PathContent {
            is_directory: file.is_directory,
            digest: file.digest,
        })
    }
}

impl From<Content> for UserFile {
    fn from(content: Content) -> Self {
        Self {
            is_directory: content.is_directory(),
            digest: content.digest,
            signature: content.signature.to_string(),
        }
    }
}
