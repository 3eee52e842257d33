//! The result of a command, read as the return type of its task.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bstr::ByteSlice;
use serde_json::Value;

use super::command_task::{Values, utf8};
use super::command_task_glob::{Found, GlobError, Pattern};
use super::template::{Piece, Scope, TemplateError, Word, rendered};
use super::{CompiledCommand, Output, PrepareError};
use crate::id::ParameterName;
use crate::workflow::{Mismatch, MissingFile, Type};

/// A result that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// What was written does not fit the return type.
    #[error("{source_name} does not fit the return type: {mismatch}")]
    Type {
        /// `standard output`, `line 3 of standard output`, or the file.
        source_name: String,
        /// Type and value.
        mismatch: Mismatch,
    },
    /// Standard output is not JSON.
    #[error("standard output is not JSON: {0}")]
    Json(serde_json::Error),
    /// What was written is not UTF-8.
    #[error("{source_name} is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// `standard output`, or the file.
        source_name: String,
        /// The first byte that is none, from 0.
        offset: usize,
    },
    /// A file was found whose name is not UTF-8.
    #[error("the file `{name}` has a name that is not UTF-8: rename it")]
    Name {
        /// The name, with its foreign bytes replaced.
        name: String,
    },
    /// The output file cannot be read.
    #[error("could not read the output")]
    Read(#[source] io::Error),
    /// A file that the result names is not there.
    #[error("the result names a file that is not there: {0}")]
    Missing(#[from] MissingFile),
    /// The pattern or path could not be made.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

impl From<GlobError> for CollectError {
    fn from(error: GlobError) -> Self {
        match error {
            GlobError::Name(name) => Self::Name { name },
            GlobError::Read(error) => Self::Read(error),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum CompiledOutput {
    Text,
    Lines(Type),
    Json,
    Glob { pattern: Word, found: Found },
    File(Word),
}

impl CompiledOutput {
    pub(super) fn compile(
        output: &Output,
        returns: &Type,
        scope: &Scope,
        errors: &mut Vec<TemplateError>,
    ) -> Self {
        let refusal = |place: &str, message: String| TemplateError {
            place: place.to_owned(),
            position: None,
            message,
            advice: None,
        };
        match output {
            Output::Text => Self::Text,
            Output::Json => Self::Json,
            Output::Lines => {
                if returns.entry().is_none() {
                    let message = format!("lines are a list, but the task returns {returns}");
                    errors.push(refusal("output", message));
                }
                Self::Lines(returns.entry().unwrap_or(returns).clone())
            }
            Output::Glob(text) => {
                let found = match returns.entry().map(Type::plain) {
                    Some(Type::File) => Found::Files,
                    Some(Type::Path | Type::Str | Type::Json) => Found::Everything,
                    _ => {
                        let message = format!(
                            "a pattern finds a list of paths, but the task returns {returns}: write list[file] or list[path]"
                        );
                        errors.push(refusal("output.glob", message));
                        Found::Everything
                    }
                };
                let pattern = Word::compile(text, "output.glob", false, scope, errors);
                if let Err(message) = Pattern::check(&pattern) {
                    errors.push(refusal("output.glob", message));
                }
                Self::Glob { pattern, found }
            }
            Output::File(text) => {
                if text.is_empty() {
                    errors.push(refusal("output.file", "the path is empty".to_owned()));
                }
                Self::File(Word::compile(text, "output.file", false, scope, errors))
            }
        }
    }
}

impl CompiledCommand {
    /// Reads the result of one element, after its command has succeeded.
    ///
    /// `inputs` and `run_dir` are those that the command was made with. Relative paths in the result
    /// are made absolute against the run directory, and a `file` must be there. A task that returns
    /// `none` may write what it likes to its standard output.
    pub fn collect(
        &self,
        stdout: &[u8],
        inputs: &BTreeMap<ParameterName, Value>,
        run_dir: &Path,
    ) -> Result<Value, CollectError> {
        const STDOUT: &str = "standard output";
        let base = utf8(run_dir)?;
        let values = Values {
            inputs,
            run_dir: Value::from(base),
        };
        let mut value = match &self.output {
            CompiledOutput::Text if self.returns == Type::None => return Ok(Value::Null),
            CompiledOutput::Text => self.read(text(stdout, STDOUT)?.trim(), STDOUT)?,
            CompiledOutput::Lines(entry) => lines(entry, text(stdout, STDOUT)?)?,
            CompiledOutput::Json => {
                let value = serde_json::from_slice(stdout).map_err(CollectError::Json)?;
                self.returns
                    .check(&value)
                    .map_err(|mismatch| CollectError::Type {
                        source_name: STDOUT.to_owned(),
                        mismatch,
                    })?;
                value
            }
            CompiledOutput::Glob { pattern, found } => {
                let paths = Pattern::of(pattern, &values)?.find(base, *found)?;
                return Ok(Value::from(paths));
            }
            CompiledOutput::File(word) => self.file(word, &values, base)?,
        };
        if self.returns.has_paths() {
            self.returns.make_absolute(&mut value, base);
            self.returns.check_files(&value)?;
        }
        Ok(value)
    }

    fn read(&self, text: &str, source_name: &str) -> Result<Value, CollectError> {
        self.returns
            .parse_text(text)
            .map_err(|mismatch| CollectError::Type {
                source_name: source_name.to_owned(),
                mismatch,
            })
    }

    fn file(&self, word: &Word, values: &Values<'_>, base: &str) -> Result<Value, CollectError> {
        let mut path = Value::from(plain_text(word, values)?);
        Type::Path.make_absolute(&mut path, base);
        let path = path.as_str().unwrap_or_default();
        if matches!(self.returns.plain(), Type::File | Type::Path) {
            // A `path` may be a directory; a `file` is looked at with the other results.
            fs_err::metadata(path).map_err(CollectError::Read)?;
            return Ok(Value::from(path));
        }
        let content = fs_err::read(path).map_err(CollectError::Read)?;
        let name = format!("the file `{path}`");
        self.read(text(&content, &name)?.trim(), &name)
    }
}

fn plain_text(word: &Word, values: &Values<'_>) -> Result<String, PrepareError> {
    let mut text = String::new();
    for piece in &word.pieces {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Value(slot) | Piece::File(slot) => {
                text.push_str(&rendered(slot, values.of(slot)?)?.unwrap_or_default());
            }
        }
    }
    Ok(text)
}

fn text<'a>(bytes: &'a [u8], source_name: &str) -> Result<&'a str, CollectError> {
    bytes.to_str().map_err(|error| CollectError::NotUtf8 {
        source_name: source_name.to_owned(),
        offset: error.valid_up_to(),
    })
}

fn lines(entry: &Type, text: &str) -> Result<Value, CollectError> {
    let read = |(index, line): (usize, &str)| {
        entry
            .parse_text(line)
            .map_err(|mismatch| CollectError::Type {
                source_name: format!("line {} of standard output", index + 1),
                mismatch,
            })
    };
    text.lines()
        .enumerate()
        .map(read)
        .collect::<Result<Vec<_>, _>>()
        .map(Value::from)
}
