//! Tables of a TOML file, read key by key, so that all errors come together with their places.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::template::position;
use crate::error::Hint;
use crate::nearest::nearest;

/// Something wrong in a workflow file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1, in characters.
    pub position: Option<(usize, usize)>,
    /// The key: `tasks.split.params.text`; empty for the file as a whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// The line, where its form is wrong.
    pub line: Option<String>,
    /// What to do.
    pub advice: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some(line), Some((_, column))) = (&self.line, self.position) {
            write!(f, "\n  {line}\n  {}^", " ".repeat(column - 1))?;
        }
        Ok(())
    }
}

impl Hint for FileError {
    fn hint(&self) -> Option<String> {
        self.advice.clone()
    }
}

pub(super) type Item<'a> = Spanned<DeValue<'a>>;

/// One file while it is read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) file: PathBuf,
    pub(super) text: &'a str,
    pub(super) errors: Vec<FileError>,
}

impl Reader<'_> {
    pub(super) fn refuse(
        &mut self,
        at: Range<usize>,
        place: &str,
        message: impl Into<String>,
        advice: Option<String>,
    ) {
        self.errors.push(FileError {
            file: self.file.clone(),
            position: Some(position(self.text, self.boundary(at.start))),
            place: place.to_owned(),
            message: message.into(),
            line: None,
            advice,
        });
    }

    fn boundary(&self, at: usize) -> usize {
        (0..=at.min(self.text.len()))
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0)
    }

    /// An error in the form of the file, with the line.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let at = self.boundary(error.span().map_or(0, |span| span.start));
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let message = error.message().trim().replace('\n', ", ");
        self.errors.push(FileError {
            file: self.file.clone(),
            position: Some(position(self.text, at)),
            place: String::new(),
            message: format!("not valid TOML: {message}"),
            line: Some(line.to_owned()),
            advice: None,
        });
    }

    /// Opens a table for reading: unknown keys are errors.
    pub(super) fn table<'t, 'b>(
        &mut self,
        item: &'t Item<'b>,
        place: &str,
        keys: &[&str],
    ) -> Option<Table<'t, 'b>> {
        let DeValue::Table(table) = item.get_ref() else {
            self.wrong_type(item, place, "a table");
            return None;
        };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                self.unknown_key(key.span(), place, name, keys);
            }
        }
        Some(Table {
            entries: table,
            span: item.span(),
            place: place.to_owned(),
        })
    }

    pub(super) fn unknown_key(&mut self, at: Range<usize>, place: &str, name: &str, keys: &[&str]) {
        let advice = match nearest(name, keys.iter().copied()) {
            Some(key) => format!("nearest key: `{key}`"),
            None => format!("keys: {}", keys.join(", ")),
        };
        self.refuse(at, place, format!("unknown key `{name}`"), Some(advice));
    }

    pub(super) fn wrong_type(&mut self, item: &Item<'_>, place: &str, expected: &str) {
        let found = match item.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("expected {expected}, got {found}");
        self.refuse(item.span(), place, message, None);
    }

    pub(super) fn text(&mut self, item: &Item<'_>, place: &str) -> Option<String> {
        if let DeValue::String(text) = item.get_ref() {
            return Some(text.to_string());
        }
        self.wrong_type(item, place, "a text");
        None
    }

    pub(super) fn flag(&mut self, item: &Item<'_>, place: &str) -> Option<bool> {
        if let DeValue::Boolean(flag) = item.get_ref() {
            return Some(*flag);
        }
        self.wrong_type(item, place, "true or false");
        None
    }

    pub(super) fn count(&mut self, item: &Item<'_>, place: &str) -> Option<u32> {
        let count = match item.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if count.is_none() {
            self.wrong_type_or_range(item, place, "a whole number from 0");
        }
        count
    }

    pub(super) fn number(&mut self, item: &Item<'_>, place: &str) -> Option<f64> {
        let number = match item.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(|number| number as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type_or_range(item, place, "a number");
        }
        number
    }

    fn wrong_type_or_range(&mut self, item: &Item<'_>, place: &str, expected: &str) {
        if let DeValue::Integer(number) = item.get_ref() {
            let message = format!("expected {expected}, got {number}");
            self.refuse(item.span(), place, message, None);
        } else {
            self.wrong_type(item, place, expected);
        }
    }

    /// A list of texts; one text alone counts as a list where `one` says so.
    pub(super) fn texts(&mut self, item: &Item<'_>, place: &str, one: bool) -> Option<Vec<String>> {
        match item.get_ref() {
            DeValue::String(text) if one => Some(vec![text.to_string()]),
            DeValue::Array(items) => {
                let mut texts = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    texts.push(self.text(item, &format!("{place}[{index}]"))?);
                }
                Some(texts)
            }
            _ => {
                let expected = if one {
                    "a text or a list of texts"
                } else {
                    "a list of texts"
                };
                self.wrong_type(item, place, expected);
                None
            }
        }
    }

    pub(super) fn text_map(
        &mut self,
        item: &Item<'_>,
        place: &str,
    ) -> Option<BTreeMap<String, String>> {
        let DeValue::Table(table) = item.get_ref() else {
            self.wrong_type(item, place, "a table of texts");
            return None;
        };
        let mut texts = BTreeMap::new();
        for (key, item) in table {
            let key = key.get_ref().to_string();
            let place = format!("{place}.{key}");
            texts.insert(key, self.text(item, &place)?);
        }
        Some(texts)
    }

    /// Any value, as JSON. Dates become text.
    pub(super) fn json(&mut self, item: &Item<'_>, place: &str) -> Option<Value> {
        Some(match item.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Datetime(date) => Value::from(date.to_string()),
            DeValue::Integer(number) => {
                let signed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                let unsigned = u64::from_str_radix(number.as_str(), number.radix()).ok();
                let Some(number) = signed.map(Number::from).or(unsigned.map(Number::from)) else {
                    self.wrong_type_or_range(item, place, "a number of 64 bits");
                    return None;
                };
                Value::Number(number)
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(Number::from_f64);
                let Some(number) = number else {
                    self.refuse(item.span(), place, "expected a finite number", None);
                    return None;
                };
                Value::Number(number)
            }
            DeValue::Array(items) => {
                let mut values = Vec::new();
                for item in items {
                    values.push(self.json(item, place)?);
                }
                Value::from(values)
            }
            DeValue::Table(table) => {
                let mut object = Map::new();
                for (key, item) in table {
                    object.insert(key.get_ref().to_string(), self.json(item, place)?);
                }
                Value::Object(object)
            }
        })
    }
}

/// A table whose keys have been checked.
#[derive(Debug, Clone)]
pub(super) struct Table<'t, 'a> {
    pub(super) entries: &'t DeTable<'a>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

impl<'t, 'a> Table<'t, 'a> {
    /// Returns the value of a key, and its place.
    pub(super) fn get(&self, key: &str) -> Option<(&'t Item<'a>, String)> {
        let item = self.entries.get(key)?;
        Some((item, format!("{}.{key}", self.place)))
    }

    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        let found = self.entries.get_key_value(key);
        found.map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Reads the value of a key in some way, if the key is there.
    pub(super) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'t Item<'a>, &str) -> Option<T>,
    ) -> Option<T> {
        let (item, place) = self.get(key)?;
        read(item, &place)
    }
}

/// Returns the entries of a table in the order in which they are written.
pub(super) fn in_order<'t, 'a>(
    table: &'t DeTable<'a>,
) -> Vec<(&'t Spanned<Cow<'a, str>>, &'t Item<'a>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
