//! `reflow.toml`: a workflow of command tasks.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CompiledCommand;
use super::workflow_file_reader::{FileError, Item, Reader, in_order};
use super::workflow_file_task;
use crate::config::TOP_LEVEL_KEYS;
use crate::error::Hint;
use crate::id::WorkflowName;
use crate::workflow::{CheckErrors, Description, Graph, SCHEMA};

/// The name of a workflow file.
pub const WORKFLOW_FILE: &str = "reflow.toml";

/// A workflow read from its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The workflow, with the included flows in it.
    pub description: Description,
    /// All files that were read, as absolute paths, the workflow's own first.
    pub files: Vec<PathBuf>,
}

/// Everything that is wrong with a workflow file and the files that it includes.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowFileErrors {
    /// Errors in the files.
    pub errors: Vec<FileError>,
    /// Errors of the workflow as a whole, as far as it could be read.
    pub check: Option<CheckErrors>,
}

impl std::error::Error for WorkflowFileErrors {}

impl fmt::Display for WorkflowFileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            let line = if position > 0 { "\n" } else { "" };
            write!(f, "{line}{error}")?;
            if let Some(hint) = error.hint() {
                write!(f, " ({hint})")?;
            }
        }
        if let Some(check) = &self.check {
            write!(f, "\n{check}")?;
        }
        Ok(())
    }
}

/// Reads a workflow from a file, or from the `reflow.toml` in a directory.
///
/// Keys at the top that belong to the configuration (`backend`, `store`, ...) are left alone. Command
/// templates are compiled, so that what is wrong in them is among the errors.
///
/// # Errors
/// Every error of all files at once, with line and column. Where each task could be read, they come
/// together with the errors that [`Graph::check`] finds; a workflow that loads is yet to be checked.
pub fn load(path: &Path) -> Result<Loaded, WorkflowFileErrors> {
    let mut loader = Loader::default();
    let description = loader.file(path, None);
    if loader.errors.is_empty()
        && let Some(description) = description
    {
        return Ok(Loaded {
            description,
            files: loader.files,
        });
    }
    let check = match description {
        Some(description) if !loader.incomplete => Graph::check(description).err(),
        _ => None,
    };
    Err(WorkflowFileErrors {
        errors: loader.errors,
        check,
    })
}

/// A place in a file that names another.
struct Mention<'m> {
    file: &'m Path,
    position: (usize, usize),
}

#[derive(Default)]
struct Loader {
    files: Vec<PathBuf>,
    errors: Vec<FileError>,
    /// The files that are being read, each included by the one before.
    stack: Vec<PathBuf>,
    /// Whether a task or a file is missing, so that a check of the whole would mislead.
    incomplete: bool,
}

impl Loader {
    /// Reads a file and what it includes. Nothing is returned where the file as a whole is wrong.
    fn file(&mut self, path: &Path, mention: Option<&Mention<'_>>) -> Option<Description> {
        let read = Self::absolute(path).and_then(|path| {
            let text = fs_err::read(&path).map_err(|error| reason(&error))?;
            Ok((path, text))
        });
        let (path, bytes) = match read {
            Ok(read) => read,
            Err(message) => return self.fail(path, mention, &message),
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return self.fail(&path, mention, "the file is not UTF-8");
        };
        if self.stack.contains(&path) {
            let mut circle: Vec<_> = self
                .stack
                .iter()
                .skip_while(|file| **file != path)
                .collect();
            circle.push(&path);
            let names: Vec<_> = circle
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let message = format!(
                "the files include each other in a circle: {}",
                names.join(" -> ")
            );
            return self.fail(&path, mention, &message);
        }
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        let mut reader = Reader {
            file: path.clone(),
            text: &text,
            errors: Vec::new(),
        };
        let description = match DeTable::parse(&text) {
            Ok(table) => {
                self.stack.push(path);
                let description = self.document(&mut reader, table.get_ref());
                self.stack.pop();
                description
            }
            Err(error) => {
                reader.syntax(&error);
                None
            }
        };
        self.incomplete |= description.is_none();
        reader.errors.sort_by_key(|error| error.position);
        self.errors.append(&mut reader.errors);
        description
    }

    /// The file that a path names: with links in its directories resolved, and UTF-8.
    fn absolute(path: &Path) -> Result<PathBuf, String> {
        let found = fs_err::metadata(path).map_err(|error| reason(&error))?;
        let path = if found.is_dir() {
            path.join(WORKFLOW_FILE)
        } else {
            path.to_owned()
        };
        let path = fs_err::canonicalize(&path).map_err(|error| {
            if found.is_dir() {
                format!(
                    "there is no {WORKFLOW_FILE} in this directory: {}",
                    reason(&error)
                )
            } else {
                reason(&error)
            }
        })?;
        if path.to_str().is_none() {
            return Err("the path is not UTF-8: rename it".to_owned());
        }
        Ok(path)
    }

    fn fail<T>(&mut self, path: &Path, mention: Option<&Mention<'_>>, message: &str) -> Option<T> {
        self.incomplete = true;
        let message = format!("could not read the workflow file: {message}");
        self.errors.push(match mention {
            None => FileError {
                file: path.to_owned(),
                position: None,
                place: String::new(),
                message,
                line: None,
                advice: None,
            },
            Some(mention) => FileError {
                file: mention.file.to_owned(),
                position: Some(mention.position),
                place: format!("include of `{}`", path.display()),
                message,
                line: None,
                advice: None,
            },
        });
        None
    }

    fn document(&mut self, reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Description> {
        const OWN_KEYS: [&str; 3] = ["include", "tasks", "workflow"];
        let keys: Vec<&str> = OWN_KEYS.into_iter().chain(TOP_LEVEL_KEYS).collect();
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                reader.unknown_key(key.span(), "", name, &keys);
            }
        }
        let (name, doc) = heading(reader, table.get("workflow"));
        let directory = reader.file.parent().unwrap_or(Path::new("/")).to_owned();
        // The path is canonical and UTF-8, and so is its parent.
        let directory = directory.to_str().unwrap_or("/");
        let mut description = Description {
            schema: SCHEMA,
            // A name for the check alone: without one, the file is refused.
            name: name.clone().unwrap_or_else(placeholder),
            doc,
            tasks: Vec::new(),
        };
        if let Some(include) = table.get("include") {
            self.includes(reader, include, directory, &mut description);
        }
        if let Some(tasks) = table.get("tasks") {
            self.tasks(reader, tasks, directory, &mut description);
        }
        name.map(|_| description)
    }

    fn tasks(
        &mut self,
        reader: &mut Reader<'_>,
        tasks: &Item<'_>,
        directory: &str,
        description: &mut Description,
    ) {
        let DeValue::Table(tasks) = tasks.get_ref() else {
            return reader.wrong_type(tasks, "tasks", "a table of tasks");
        };
        for (key, item) in in_order(tasks) {
            let Some(task) = workflow_file_task::task(reader, key, item, directory) else {
                self.incomplete = true;
                continue;
            };
            if task.body.is_some()
                && let Err(errors) = CompiledCommand::compile(&task)
                    .and_then(|_| CompiledCommand::compile_check(&task))
            {
                for error in errors.errors {
                    let at = command_span(item, &error.place).unwrap_or_else(|| key.span());
                    let place = format!("tasks.{}", task.name);
                    reader.refuse(at, &place, error.to_string(), error.advice);
                }
            }
            description.tasks.push(task);
        }
    }

    fn includes(
        &mut self,
        reader: &mut Reader<'_>,
        include: &Item<'_>,
        directory: &str,
        description: &mut Description,
    ) {
        let DeValue::Array(entries) = include.get_ref() else {
            return reader.wrong_type(
                include,
                "include",
                "a list of tables with `file` and `prefix`",
            );
        };
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("include[{index}]");
            let Some(table) = reader.table(entry, &place, &["file", "prefix"]) else {
                continue;
            };
            let file = table.read("file", |item, place| reader.text(item, place));
            let prefix = table.read("prefix", |item, place| reader.text(item, place));
            let (Some(file), Some(prefix)) = (file, prefix) else {
                let message = "an include needs a `file` and a `prefix`";
                reader.refuse(entry.span(), &place, message, None);
                self.incomplete = true;
                continue;
            };
            let mention = Mention {
                file: &reader.file.clone(),
                position: super::template::position(reader.text, entry.span().start),
            };
            let path: PathBuf = Path::new(directory)
                .join(file)
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect();
            let Some(flow) = self.file(&path, Some(&mention)) else {
                continue;
            };
            if let Err(error) = description.include(flow, &prefix) {
                reader.refuse(entry.span(), &place, error.to_string(), None);
                self.incomplete = true;
            }
        }
    }
}

/// The `[workflow]` table.
fn heading(reader: &mut Reader<'_>, item: Option<&Item<'_>>) -> (Option<WorkflowName>, String) {
    let Some(item) = item else {
        let message = "there is no [workflow] table with the `name` of the workflow";
        reader.refuse(0..0, "workflow", message, None);
        return (None, String::new());
    };
    let Some(table) = reader.table(item, "workflow", &["doc", "name"]) else {
        return (None, String::new());
    };
    let doc = table
        .read("doc", |item, place| reader.text(item, place))
        .unwrap_or_default();
    let Some((item, place)) = table.get("name") else {
        let message = "a workflow needs a `name`";
        reader.refuse(table.span, "workflow", message, None);
        return (None, doc);
    };
    let name = reader.text(item, &place).and_then(|name| {
        WorkflowName::new(name)
            .map_err(|error| reader.refuse(item.span(), &place, error.to_string(), None))
            .ok()
    });
    (name, doc)
}

fn placeholder() -> WorkflowName {
    WorkflowName::new("workflow").expect("letters are a name")
}

/// Where the key of a template error (`shell`, `command[2]`, `output.glob`) is written.
fn command_span(task: &Spanned<DeValue<'_>>, place: &str) -> Option<std::ops::Range<usize>> {
    let key = place.split(['[', '.']).next()?;
    let DeValue::Table(table) = task.get_ref() else {
        return None;
    };
    let item = table.get(key)?;
    let index = place
        .strip_prefix("command[")
        .and_then(|rest| rest.trim_end_matches(']').parse::<usize>().ok());
    match (item.get_ref(), index) {
        (DeValue::Array(words), Some(index)) => words.get(index).map(Spanned::span),
        _ => Some(item.span()),
    }
}

/// The system's own words, without the path, which the message has already.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
        }
    }
}
