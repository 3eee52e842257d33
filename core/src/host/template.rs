//! Words with `{name}` in them, and what both kinds of template share.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::PrepareError;
use crate::error::Hint;
use crate::id::ParameterName;
use crate::nearest::{misspelt, nearest};
use crate::workflow::{ParameterKind, TaskDescription, Type};

/// The name under which the run directory is always available.
const RUN_DIR: &str = "run_dir";

/// Something wrong in a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// The key: `shell`, `command[2]`, `output.glob`.
    pub place: String,
    /// Line and column in the template, from 1, in characters.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some((line, column)) = self.position {
            write!(f, " at {line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Hint for TemplateError {
    fn hint(&self) -> Option<String> {
        self.advice.clone()
    }
}

/// Returns line and column of a byte offset, from 1, in characters.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    RunDir,
    Parameter(ParameterName, Type),
}

impl Slot {
    pub(super) fn ty(&self) -> &Type {
        match self {
            Self::RunDir => &Type::Path,
            Self::Parameter(_, ty) => ty,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.ty().plain(), Type::List(_))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::RunDir => RUN_DIR,
            Self::Parameter(name, _) => name.as_str(),
        }
    }
}

/// The names that the templates of a task may use.
#[derive(Debug)]
pub(super) struct Scope {
    slots: BTreeMap<String, Slot>,
}

/// What the text at a `{` is.
pub(super) enum Brace {
    /// `{{name}}`: the text `{name}`.
    Literal { text: String, length: usize },
    /// `{name}`.
    Value { slot: Slot, length: usize },
    /// `{name:file}`.
    File { slot: Slot, length: usize },
    /// Looks like a placeholder, but is none.
    Unknown {
        length: usize,
        message: String,
        /// The parameter that was meant, by its spelling alone.
        misspelt: bool,
        advice: String,
    },
    /// Any other brace.
    Other,
}

impl Scope {
    pub(super) fn of(task: &TaskDescription) -> Self {
        let mut slots = BTreeMap::from([(RUN_DIR.to_owned(), Slot::RunDir)]);
        for parameter in &task.parameters {
            let slot = match parameter.kind {
                ParameterKind::RunDir => Slot::RunDir,
                _ => Slot::Parameter(parameter.name.clone(), parameter.ty.clone()),
            };
            slots.insert(parameter.name.to_string(), slot);
        }
        Self { slots }
    }

    /// Reads the brace that `text` starts with.
    pub(super) fn brace(&self, text: &str) -> Brace {
        if let Some(inner) = text.strip_prefix("{{") {
            return match reference(inner) {
                Some((_, _, length)) if inner[length..].starts_with("}}") => Brace::Literal {
                    text: format!("{{{}}}", &inner[..length]),
                    length: length + 4,
                },
                _ => Brace::Other,
            };
        }
        let Some((name, form, inner)) = text.get(1..).and_then(reference) else {
            return Brace::Other;
        };
        if !text[1 + inner..].starts_with('}') {
            return Brace::Other;
        }
        let length = inner + 2;
        let slot = self.slots.get(name).cloned();
        let (message, advice, misspelt) = match (slot, form) {
            (Some(slot), None) => return Brace::Value { slot, length },
            (Some(slot), Some("file")) => return Brace::File { slot, length },
            (Some(_), Some(form)) => (
                format!("`{{{name}:{form}}}`: there is no form `{form}`"),
                format!("`{{{name}:file}}` gives a file that holds the value"),
                true,
            ),
            (None, Some(form)) if form != "file" => return Brace::Other,
            (None, _) => {
                let names = self.slots.keys().map(String::as_str);
                let literal = format!("write `{{{}}}` for the text itself", &text[..length]);
                (
                    format!("there is no parameter `{name}`"),
                    match nearest(name, names.clone()) {
                        Some(near) => format!("nearest parameter: `{near}`; {literal}"),
                        None => literal,
                    },
                    misspelt(name, names).is_some(),
                )
            }
        };
        Brace::Unknown {
            length,
            message,
            misspelt,
            advice,
        }
    }
}

/// Reads `name` or `name:form`, with its length.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let word = |text: &str| {
        text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let end = word(text);
    let name = &text[..end];
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let Some(rest) = text[end..].strip_prefix(':') else {
        return Some((name, None, end));
    };
    let length = word(rest);
    (length > 0).then(|| (name, Some(&rest[..length]), end + 1 + length))
}

/// Returns a template for just this text.
pub(super) fn escaped(text: &str) -> String {
    let mut template = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(stop) = text[at..].find('{') {
        template.push_str(&text[at..at + stop]);
        at += stop;
        let inner = &text[at + 1..];
        match reference(inner) {
            Some((_, _, length))
                if inner[length..].starts_with('}') && !text[..at].ends_with('$') =>
            {
                for part in ["{{", &inner[..length], "}}"] {
                    template.push_str(part);
                }
                at += length + 2;
            }
            _ => {
                template.push('{');
                at += 1;
            }
        }
    }
    template + &text[at..]
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value(Slot),
    File(Slot),
}

/// A word with placeholders: an argument, or the pattern of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) pieces: Vec<Piece>,
}

impl Word {
    /// Compiles a word. In an argument, a list may be the whole word, and a value may stand in a file.
    pub(super) fn compile(
        text: &str,
        place: &str,
        argument: bool,
        scope: &Scope,
        errors: &mut Vec<TemplateError>,
    ) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let stop = rest.find('{').unwrap_or(rest.len());
            literal.push_str(&rest[..stop]);
            at += stop;
            let rest = &text[at..];
            if rest.is_empty() {
                break;
            }
            let mut refuse = |message: String, advice: String| {
                errors.push(TemplateError {
                    place: place.to_owned(),
                    position: Some(position(text, at)),
                    message,
                    advice: Some(advice),
                });
            };
            let of_shell = text[..at].ends_with('$');
            let (piece, length) = match scope.brace(rest) {
                _ if of_shell => {
                    literal.push('{');
                    at += 1;
                    continue;
                }
                Brace::Other => {
                    literal.push('{');
                    at += 1;
                    continue;
                }
                Brace::Literal { text, length } => {
                    literal.push_str(&text);
                    at += length;
                    continue;
                }
                Brace::Unknown {
                    length,
                    message,
                    advice,
                    ..
                } => {
                    refuse(message, advice);
                    at += length;
                    continue;
                }
                Brace::Value { slot, length } => {
                    if slot.is_list() && (!argument || length != text.len()) {
                        refuse(
                            format!("the list `{}` inside a larger word", slot.name()),
                            "give it a word of its own, which becomes one argument for each entry"
                                .to_owned(),
                        );
                    }
                    (Piece::Value(slot), length)
                }
                Brace::File { slot, length } => {
                    if !argument {
                        refuse(
                            format!("`{}` is a file for a command to read", &rest[..length]),
                            format!("write `{{{}}}` for the value", slot.name()),
                        );
                    }
                    (Piece::File(slot), length)
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
            at += length;
        }
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Self { pieces }
    }
}

/// Returns the text of one value: no text for null.
pub(super) fn rendered(slot: &Slot, value: &Value) -> Result<Option<String>, PrepareError> {
    let text = text_of(slot.ty(), value);
    match &text {
        Some(text) if text.contains('\0') => Err(PrepareError::NulByte {
            parameter: slot.name().to_owned(),
        }),
        _ => Ok(text),
    }
}

fn text_of(ty: &Type, value: &Value) -> Option<String> {
    match (ty, value) {
        (Type::Optional(_) | Type::None, Value::Null) => None,
        (Type::Optional(inner) | Type::Coded(inner, _), value) => text_of(inner, value),
        // JSON stays JSON, so that text and number can be told apart.
        (Type::Json | Type::Dict | Type::List(_), value) => Some(value.to_string()),
        (_, Value::String(text)) => Some(text.clone()),
        (_, value) => Some(value.to_string()),
    }
}

/// Returns the texts of the entries of a list, null entries left out; of one value otherwise.
pub(super) fn rendered_all(slot: &Slot, value: &Value) -> Result<Vec<String>, PrepareError> {
    match (slot, slot.ty().plain(), value) {
        (Slot::Parameter(name, _), Type::List(entry), Value::Array(values)) => {
            let entry = Slot::Parameter(name.clone(), entry.as_ref().clone());
            let texts = values
                .iter()
                .map(|value| rendered(&entry, value).transpose());
            texts.flatten().collect()
        }
        _ => Ok(rendered(slot, value)?.into_iter().collect()),
    }
}
