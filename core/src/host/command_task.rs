//! Command tasks: a command or a script with the values of the parameters in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command_task_output::CompiledOutput;
use super::template::{Piece, Scope, Slot, TemplateError, Word, rendered, rendered_all};
use super::template_shell::{self, ShellPiece};
use crate::id::ParameterName;
use crate::workflow::{ParameterDescription, ParameterKind, TaskDescription, Type};

/// What runs a `shell` script where the task says nothing else.
pub const DEFAULT_INTERPRETER: [&str; 3] = ["bash", "-euo", "pipefail"];

/// The name under which a script that checks a value has it.
pub(crate) const CHECKED_VALUE: &str = "value";

/// Values are quoted for these.
const SHELLS: [&str; 7] = ["bash", "sh", "dash", "ash", "ksh", "mksh", "zsh"];

/// The body of a command task: what [`TaskDescription::body`] holds, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandBody {
    /// What is run.
    pub program: Program,
    /// Where the result is read.
    #[serde(default)]
    pub output: Output,
    /// A script that fails where `{value}`, a remembered value, is not to be used. It is no part of the code
    /// that counts for the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
}

/// What a command task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A program with its arguments, without a shell. Each word is a template.
    Command(Vec<String>),
    /// A script, written to a file.
    #[serde(rename_all = "snake_case")]
    Shell {
        /// The template.
        script: String,
        /// The program that runs it and its arguments; the file's path comes last.
        interpreter: Vec<String>,
    },
}

/// Where the result of a command task is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Standard output, without the blanks around it, read as the return type.
    #[default]
    Text,
    /// The lines of standard output, each read as an entry of the returned list.
    Lines,
    /// Standard output as JSON.
    Json,
    /// The sorted paths that a pattern finds.
    Glob(String),
    /// A file: its path where the task returns `file` or `path`, otherwise its content, read as `text`.
    File(String),
}

/// Everything that is wrong with the command of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CompileErrors {
    /// The name of the task.
    pub task: String,
    /// The errors; never empty.
    pub errors: Vec<TemplateError>,
}

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task `{}` has a command that cannot be used", self.task)?;
        for error in &self.errors {
            write!(f, "\n  {error}")?;
            if let Some(advice) = &error.advice {
                write!(f, " ({advice})")?;
            }
        }
        Ok(())
    }
}

/// What is to be run for one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Program and arguments. The directory to run it in is the run directory.
    pub argv: Vec<String>,
    /// Files to write before, with their content, all in the scratch directory.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Values that no command can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A parameter has no value.
    #[error("parameter `{parameter}` has no value")]
    Missing {
        /// The parameter.
        parameter: String,
    },
    /// No argument and no script can hold a NUL character.
    #[error(
        "the value of parameter `{parameter}` has a NUL character, which no command can be given: use `{{{parameter}:file}}`"
    )]
    NulByte {
        /// The parameter.
        parameter: String,
    },
    /// An entry of a list is more than a line.
    #[error(
        "entry {index} of parameter `{parameter}` has a line break, so it is no line of a file: take the list as `json`"
    )]
    LineBreak {
        /// The parameter.
        parameter: String,
        /// The position in the list, from 0.
        index: usize,
    },
    /// Beyond what a shell computes with.
    #[error("parameter `{parameter}` is {value}, which is beyond what a shell computes with")]
    Arithmetic {
        /// The parameter.
        parameter: String,
        /// The value.
        value: String,
    },
    /// A command needs its paths as text.
    #[error("the path `{path}` is not UTF-8: rename it")]
    NotUtf8 {
        /// The path, with its foreign bytes replaced.
        path: String,
    },
}

/// The command of a task, checked and ready to be made for each element.
#[derive(Debug, Clone)]
pub struct CompiledCommand {
    program: CompiledProgram,
    pub(super) output: CompiledOutput,
    pub(super) returns: Type,
}

#[derive(Debug, Clone)]
enum CompiledProgram {
    Words(Vec<Word>),
    Script {
        interpreter: Vec<String>,
        pieces: Vec<ShellPiece>,
    },
}

impl CompiledCommand {
    /// Checks the command of a task and compiles its templates, once for all elements.
    ///
    /// # Errors
    /// Every error of the command at once, with its position. A task without a body, or with one of
    /// another host, is an error.
    pub fn compile(task: &TaskDescription) -> Result<Self, CompileErrors> {
        let fail = |errors| CompileErrors {
            task: task.name.to_string(),
            errors,
        };
        let at = |place: &str, message: String, advice: Option<String>| TemplateError {
            place: place.to_owned(),
            position: None,
            message,
            advice,
        };
        let Some(body) = &task.body else {
            let message = "the task has no command".to_owned();
            return Err(fail(vec![at("body", message, None)]));
        };
        let body = CommandBody::deserialize(body).map_err(|error| {
            let message = format!("not the body of a command task: {error}");
            fail(vec![at("body", message, None)])
        })?;
        let scope = Scope::of(task);
        let mut errors = Vec::new();
        let program = match &body.program {
            Program::Command(words) => {
                if words.is_empty() || words[0].is_empty() {
                    let message = "a command needs a program, its first word".to_owned();
                    errors.push(at("command", message, None));
                }
                let compile = |(index, word): (usize, &String)| {
                    Word::compile(
                        word,
                        &format!("command[{index}]"),
                        true,
                        &scope,
                        &mut errors,
                    )
                };
                CompiledProgram::Words(words.iter().enumerate().map(compile).collect())
            }
            Program::Shell {
                script,
                interpreter,
            } => {
                if !interpreter.iter().any(|word| is_shell(word)) {
                    errors.push(at(
                        "interpreter",
                        format!("`{}` runs no shell that values could be quoted for", interpreter.join(" ")),
                        Some(format!(
                            "shells: {}; for other programs write `command`, for example `[\"python3\", \"-c\", ...]`",
                            SHELLS.join(", ")
                        )),
                    ));
                }
                CompiledProgram::Script {
                    interpreter: interpreter.clone(),
                    pieces: template_shell::compile(script, &scope, &mut errors),
                }
            }
        };
        let output = CompiledOutput::compile(&body.output, &task.returns, &scope, &mut errors);
        if errors.is_empty() {
            Ok(Self {
                program,
                output,
                returns: task.returns.clone(),
            })
        } else {
            Err(fail(errors))
        }
    }

    /// Compiles the script that checks a remembered value of a task, where it has one.
    ///
    /// # Errors
    /// Every error of the script at once, with its position.
    pub fn compile_check(task: &TaskDescription) -> Result<Option<Self>, CompileErrors> {
        let body = task.body.as_ref().map(CommandBody::deserialize);
        let Some(Ok(CommandBody {
            verify: Some(script),
            ..
        })) = body
        else {
            return Ok(None);
        };
        let value = ParameterDescription {
            name: ParameterName::new(CHECKED_VALUE).expect("a name"),
            ty: task.returns.clone(),
            kind: ParameterKind::Plain {
                default: None,
                short: None,
                local: true,
            },
            help: String::new(),
        };
        let scope = Scope::of(&TaskDescription {
            parameters: vec![value],
            ..task.clone()
        });
        let mut errors = Vec::new();
        let pieces = template_shell::compile(&script, &scope, &mut errors);
        for error in &mut errors {
            "verify".clone_into(&mut error.place);
        }
        if !errors.is_empty() {
            return Err(CompileErrors {
                task: task.name.to_string(),
                errors,
            });
        }
        Ok(Some(Self {
            program: CompiledProgram::Script {
                interpreter: DEFAULT_INTERPRETER.map(str::to_owned).to_vec(),
                pieces,
            },
            output: CompiledOutput::compile(&Output::Text, &Type::Str, &scope, &mut Vec::new()),
            returns: Type::Str,
        }))
    }

    /// Makes the command of one element.
    ///
    /// `inputs` holds the value of every parameter that is not the run directory; `scratch` is a
    /// directory of this element alone, where files for the command are put. Nothing is written here.
    pub fn prepare(
        &self,
        inputs: &BTreeMap<ParameterName, Value>,
        run_dir: &Path,
        scratch: &Path,
    ) -> Result<Invocation, PrepareError> {
        let mut made = Made {
            values: Values {
                inputs,
                run_dir: Value::from(utf8(run_dir)?),
            },
            scratch: utf8(scratch)?,
            files: Vec::new(),
        };
        let argv = match &self.program {
            CompiledProgram::Words(words) => {
                let mut argv = Vec::with_capacity(words.len());
                for word in words {
                    argv.extend(made.words(word)?);
                }
                argv
            }
            CompiledProgram::Script {
                interpreter,
                pieces,
            } => {
                let script = made.script(pieces)?;
                let path = format!("{}/script", made.scratch);
                made.files.push((PathBuf::from(&path), script.into_bytes()));
                interpreter.iter().cloned().chain([path]).collect()
            }
        };
        Ok(Invocation {
            argv,
            files: made.files,
        })
    }
}

fn is_shell(word: &str) -> bool {
    SHELLS.contains(&word.rsplit('/').next().unwrap_or(word))
}

pub(super) fn utf8(path: &Path) -> Result<&str, PrepareError> {
    path.to_str().ok_or_else(|| PrepareError::NotUtf8 {
        path: path.to_string_lossy().into_owned(),
    })
}

/// Quotes a text so that a shell reads it as one word with just these characters.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The values of one element.
pub(super) struct Values<'a> {
    pub(super) inputs: &'a BTreeMap<ParameterName, Value>,
    pub(super) run_dir: Value,
}

impl Values<'_> {
    pub(super) fn of(&self, slot: &Slot) -> Result<&Value, PrepareError> {
        match slot {
            Slot::RunDir => Ok(&self.run_dir),
            Slot::Parameter(name, _) => {
                self.inputs.get(name).ok_or_else(|| PrepareError::Missing {
                    parameter: name.to_string(),
                })
            }
        }
    }
}

struct Made<'a> {
    values: Values<'a>,
    scratch: &'a str,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Made<'_> {
    /// The arguments that a word becomes: several for a list, none where a value in it is null.
    fn words(&mut self, word: &Word) -> Result<Vec<String>, PrepareError> {
        if let [Piece::Value(slot)] = &word.pieces[..] {
            return rendered_all(slot, self.values.of(slot)?);
        }
        let mut text = String::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::File(slot) => text.push_str(&self.file(slot)?),
                Piece::Value(slot) => match rendered(slot, self.values.of(slot)?)? {
                    Some(value) => text.push_str(&value),
                    None => return Ok(Vec::new()),
                },
            }
        }
        Ok(vec![text])
    }

    fn script(&mut self, pieces: &[ShellPiece]) -> Result<String, PrepareError> {
        let mut script = String::new();
        for piece in pieces {
            match piece {
                ShellPiece::Text(text) => script.push_str(text),
                ShellPiece::File(slot) => script.push_str(&quoted(&self.file(slot)?)),
                ShellPiece::Value { slot, digits_bind } => {
                    // A number needs no quotes, and without them it can stand in `{1..9}` and `a[1]`.
                    let plain = matches!(slot.ty().plain(), Type::Int | Type::Float | Type::Bool)
                        && !digits_bind;
                    let texts = rendered_all(slot, self.values.of(slot)?)?;
                    let texts = texts.into_iter();
                    let words: Vec<_> = if plain {
                        texts.collect()
                    } else {
                        texts.map(|text| quoted(&text)).collect()
                    };
                    script.push_str(&words.join(" "));
                }
                ShellPiece::Arithmetic(slot) => {
                    let value = self.values.of(slot)?;
                    let number = value.as_i64().ok_or_else(|| PrepareError::Arithmetic {
                        parameter: slot.name().to_owned(),
                        value: crate::workflow::shown(value),
                    })?;
                    // `3-{n}` must not become `3--1`.
                    let text = if number < 0 {
                        format!("({number})")
                    } else {
                        number.to_string()
                    };
                    script.push_str(&text);
                }
            }
        }
        if !script.ends_with('\n') {
            script.push('\n');
        }
        Ok(script)
    }

    /// The path of a file that holds the value: lines for a list of plain values, JSON for other lists
    /// and objects, the value itself otherwise.
    fn file(&mut self, slot: &Slot) -> Result<String, PrepareError> {
        let value = self.values.of(slot)?;
        let json = match slot.ty().plain() {
            Type::Json | Type::Dict => true,
            Type::List(entry) => matches!(entry.plain(), Type::Json | Type::Dict | Type::List(_)),
            _ => false,
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let content = match value {
            value if json => value.to_string(),
            Value::Array(entries) => {
                let mut lines = String::new();
                for (index, entry) in entries.iter().enumerate() {
                    let line = text(entry);
                    if line.contains('\n') {
                        return Err(PrepareError::LineBreak {
                            parameter: slot.name().to_owned(),
                            index,
                        });
                    }
                    lines.push_str(&line);
                    lines.push('\n');
                }
                lines
            }
            value => text(value),
        };
        let extension = if json { "json" } else { "txt" };
        let path = format!("{}/{}.{extension}", self.scratch, slot.name());
        let file = (PathBuf::from(&path), content.into_bytes());
        if !self.files.contains(&file) {
            self.files.push(file);
        }
        Ok(path)
    }
}
