use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Flag, Graph, Mismatch, TaskIndex, Type};
use crate::error::Hint;
use crate::id::ParameterName;
use crate::identity;
use crate::nearest::nearest;

/// The values of all plain parameters of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    values: BTreeMap<String, Value>,
    tasks: BTreeMap<TaskIndex, BTreeMap<ParameterName, String>>,
}

impl Bound {
    /// Returns the value of a plain parameter of a task.
    pub fn get(&self, task: TaskIndex, parameter: &str) -> Option<&Value> {
        self.values.get(self.tasks.get(&task)?.get(parameter)?)
    }

    /// Returns the values by flag, without dashes.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}

/// Everything that is wrong with the values given for a workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BindErrors {
    /// The errors, in the order of the flags; never empty.
    pub errors: Vec<BindError>,
}

impl fmt::Display for BindErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            let line = if position > 0 { "\n" } else { "" };
            write!(f, "{line}{error}")?;
            if let Some(hint) = error.hint() {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

/// One thing that is wrong with the values given for a workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{parameter}`: {fault}")]
pub struct BindError {
    /// The parameter, as it was written or as it is flagged.
    pub parameter: String,
    /// What is wrong.
    #[source]
    pub fault: BindFault,
}

/// What is wrong with a value given for a workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindFault {
    /// No parameter has that name.
    #[error("no task takes it")]
    Unknown {
        /// The nearest flag.
        nearest: Option<String>,
    },
    /// It was given under two spellings.
    #[error("given twice")]
    Twice,
    /// A value must be given.
    #[error("missing: {}", .tasks.join(", "))]
    Missing {
        /// The tasks that take it, each in words.
        tasks: Vec<String>,
        /// The flag, without dashes.
        flag: String,
    },
    /// The value does not fit the type.
    #[error(transparent)]
    Type(#[from] Mismatch),
    /// A file is not there, cannot be seen, or has no content.
    #[error("file `{path}` {fault}")]
    File {
        /// The path.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A path is not UTF-8.
    #[error("the path `{path}` is not UTF-8: rename it")]
    NotUtf8 {
        /// The path, with its foreign bytes replaced.
        path: String,
    },
}

impl Hint for BindError {
    fn hint(&self) -> Option<String> {
        match &self.fault {
            BindFault::Unknown { nearest } => nearest
                .as_ref()
                .map(|flag| format!("nearest parameter: `{flag}`")),
            BindFault::Missing { flag, .. } => Some(format!("give --{flag}")),
            _ => None,
        }
    }
}

impl Graph {
    /// Binds the values given by a caller to the plain parameters of all tasks.
    ///
    /// A parameter may be named by its flag (`step-a-chunk`), by its own name (`text`), or as
    /// `task.parameter`; a global parameter is the same one in all tasks, however it is named.
    /// Paths are made absolute against `base_dir`; a `file` must be there. Defaults fill the rest.
    ///
    /// # Errors
    /// Every error at once: unknown and missing parameters, values of the wrong type, missing files.
    pub fn bind(
        &self,
        given: &BTreeMap<String, Value>,
        base_dir: &Path,
    ) -> Result<Bound, BindErrors> {
        let flags = self.parameters().flags();
        let mut errors = Vec::new();
        let mut chosen: BTreeMap<&str, &Value> = BTreeMap::new();
        for (name, value) in given {
            let mut refuse = |fault| {
                errors.push(BindError {
                    parameter: name.clone(),
                    fault,
                });
            };
            match self.named(name) {
                Some(flag) => {
                    if chosen.insert(&flag.name, value).is_some() {
                        refuse(BindFault::Twice);
                    }
                }
                None => refuse(BindFault::Unknown {
                    nearest: nearest(name, flags.iter().map(|flag| flag.name.as_str()))
                        .map(str::to_owned),
                }),
            }
        }
        let mut bound = Bound::default();
        for flag in flags {
            match self.value(flag, chosen.get(flag.name.as_str()).copied(), base_dir) {
                Ok(value) => {
                    bound.values.insert(flag.name.clone(), value);
                    for task in &flag.tasks {
                        let parameters = bound.tasks.entry(*task).or_default();
                        parameters.insert(flag.parameter.clone(), flag.name.clone());
                    }
                }
                Err(fault) => errors.push(BindError {
                    parameter: flag.name.clone(),
                    fault,
                }),
            }
        }
        if errors.is_empty() {
            Ok(bound)
        } else {
            Err(BindErrors { errors })
        }
    }

    fn named(&self, name: &str) -> Option<&Flag> {
        let Some((task, parameter)) = name.split_once('.') else {
            return self.parameters().find(name);
        };
        let index = self.find(task)?;
        [parameter.to_owned(), format!("{task}-{parameter}")]
            .iter()
            .filter_map(|name| self.parameters().find(name))
            .find(|flag| flag.tasks.contains(&index) && flag.parameter.as_str() == parameter)
    }

    fn value(
        &self,
        flag: &Flag,
        given: Option<&Value>,
        base_dir: &Path,
    ) -> Result<Value, BindFault> {
        let Some(value) = given.or(flag.default.as_ref()) else {
            if !flag.required {
                return Ok(Value::Null);
            }
            let task = |task: &TaskIndex| {
                format!("task `{}` takes {}", self.declared(*task).name, flag.ty)
            };
            return Err(BindFault::Missing {
                tasks: flag.tasks.iter().map(task).collect(),
                flag: flag.name.clone(),
            });
        };
        flag.ty.check(value)?;
        let mut value = value.clone();
        if flag.ty.has_paths() {
            let base = base_dir.to_str().ok_or_else(|| BindFault::NotUtf8 {
                path: base_dir.to_string_lossy().into_owned(),
            })?;
            flag.ty.make_absolute(&mut value, base);
            flag.ty
                .check_files(&value)
                .map_err(|missing| BindFault::File {
                    path: missing.path,
                    fault: missing.fault,
                })?;
        }
        Ok(value)
    }
}

impl Type {
    /// Makes the relative paths in a value of this type absolute. Only the text is changed: `..` and
    /// links stay, and so does a slash at the end.
    pub(crate) fn make_absolute(&self, value: &mut Value, base: &str) {
        self.replace_paths(value, &|path| {
            if path.starts_with('/') {
                return path.to_owned();
            }
            let mut rest = path;
            while let Some(tail) = rest.strip_prefix("./") {
                rest = tail.trim_start_matches('/');
            }
            match rest {
                "" | "." => base.to_owned(),
                rest => format!("{}/{rest}", base.trim_end_matches('/')),
            }
        });
    }

    /// Makes the paths in a value of this type relative to a directory, where they are in it.
    pub(crate) fn make_relative(&self, value: &mut Value, base: &str) {
        self.replace_paths(value, &|path| identity::relative(base, path).to_owned());
    }

    /// Undoes [`Type::make_relative`]: the paths count as they did.
    pub(crate) fn undo_relative(&self, value: &mut Value, base: &str) {
        self.replace_paths(value, &|path| identity::absolute(base, path));
    }

    fn replace_paths(&self, value: &mut Value, by: &dyn Fn(&str) -> String) {
        match (self, value) {
            (Self::Path | Self::File, Value::String(path)) => *path = by(path),
            (Self::List(entry), Value::Array(values)) => {
                for value in values {
                    entry.replace_paths(value, by);
                }
            }
            (Self::Optional(inner) | Self::Coded(inner, _), value) => {
                inner.replace_paths(value, by);
            }
            _ => {}
        }
    }

    /// Returns the paths of the files in a value of this type, in its order.
    pub(crate) fn files<'v>(&self, value: &'v Value) -> Vec<&'v str> {
        let mut files = Vec::new();
        self.paths(value, &mut |ty, path| {
            if *ty == Self::File {
                files.push(path);
            }
        });
        files
    }

    /// Calls `each` with every path and file in a value of this type, in its order.
    pub(crate) fn paths<'v>(&self, value: &'v Value, each: &mut dyn FnMut(&Self, &'v str)) {
        match (self, value) {
            (Self::Path | Self::File, Value::String(path)) => each(self, path),
            (Self::List(entry), Value::Array(values)) if entry.has_paths() => {
                for value in values {
                    entry.paths(value, each);
                }
            }
            (Self::Optional(inner) | Self::Coded(inner, _), value) => inner.paths(value, each),
            _ => {}
        }
    }

    /// Checks that the files in a value of this type are there, and are files or directories.
    pub(crate) fn check_files(&self, value: &Value) -> Result<(), MissingFile> {
        match (self, value) {
            (Self::File, Value::String(path)) => {
                // Only the system's own words: the message names the path already.
                let fault = match rustix::fs::stat(path.as_str()) {
                    Ok(found)
                        if matches!(
                            FileType::from_raw_mode(found.st_mode),
                            FileType::RegularFile | FileType::Directory
                        ) =>
                    {
                        return Ok(());
                    }
                    Ok(_) => "is neither a file nor a directory: it has no content".to_owned(),
                    Err(rustix::io::Errno::NOENT) => "does not exist".to_owned(),
                    Err(errno) => format!("cannot be read: {errno}"),
                };
                let path = path.clone();
                Err(MissingFile { path, fault })
            }
            (Self::List(entry), Value::Array(values)) => {
                values.iter().try_for_each(|value| entry.check_files(value))
            }
            (Self::Optional(inner) | Self::Coded(inner, _), value) if !value.is_null() => {
                inner.check_files(value)
            }
            _ => Ok(()),
        }
    }
}

/// A `file` that is not there, cannot be seen, or has no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file `{path}` {fault}")]
pub struct MissingFile {
    /// The path.
    pub path: String,
    /// What is wrong with it.
    pub fault: String,
}
