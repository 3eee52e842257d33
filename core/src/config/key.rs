use std::time::Duration;

use serde_json::{Map, Value};

use super::{ConfigError, Origin};
use crate::scheduler::{RESOURCE_KEYS, Resources};

/// The keys that stand at the top of a configuration file. A project's `reflow.toml` has them beside
/// the keys of the workflow.
pub const TOP_LEVEL_KEYS: [&str; 7] = [
    "backend",
    "default_backend",
    "dispatch",
    "env",
    "latency",
    "launcher",
    "store",
];

/// Returns whether dispatch jobs may ask for that in `[backend.NAME.dispatch]`.
fn is_dispatch_key(field: &str) -> bool {
    field == "extra" || RESOURCE_KEYS.contains(&field)
}

fn dispatch_keys() -> Vec<&'static str> {
    let mut keys = RESOURCE_KEYS.to_vec();
    keys.push("extra");
    keys.sort_unstable();
    keys
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A table with keys of its own, listed key by key.
    Table,
    /// The name of a backend.
    BackendName,
    /// One of `job`, `worker`, `login`.
    Dispatch,
    /// `submit`, `clean`, or a list of variable names.
    Environment,
    /// A path.
    Path,
    /// Text.
    Text,
    /// A list of texts with at least one.
    Words,
    /// A list of texts.
    Flags,
    /// A field of `Resources`.
    Resource,
    /// A time: a number of seconds, or a number with a unit.
    Time,
    /// A whole number from 1.
    Count,
    /// Whatever the backend takes.
    Backend,
}

/// A key that there is not.
#[derive(Debug)]
pub(super) struct Unknown {
    key: String,
    last: String,
    known: Vec<String>,
}

impl Unknown {
    pub(super) fn at(self, place: Origin) -> ConfigError {
        let nearest = self
            .known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, &self.last), known))
            .filter(|(distance, known)| *distance <= 1 + known.len().min(self.last.len()) / 3)
            .min()
            .map(|(_, known)| known.clone());
        ConfigError::UnknownKey {
            place,
            key: self.key,
            nearest,
            known: self.known,
        }
    }
}

impl Key {
    /// Returns what the key takes.
    pub(super) fn find(path: &[String]) -> Result<Self, Unknown> {
        let unknown = |known: &[&str]| Unknown {
            key: dotted(path),
            last: path.last().cloned().unwrap_or_default(),
            known: known.iter().map(|&key| key.to_owned()).collect(),
        };
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts[..] {
            ["backend"] | ["backend", _] | ["backend", _, "partitions" | "dispatch"] => {
                Ok(Self::Table)
            }
            ["default_backend"] => Ok(Self::BackendName),
            ["dispatch"] => Ok(Self::Dispatch),
            ["env"] => Ok(Self::Environment),
            ["latency"] | ["backend", _, "latency"] => Ok(Self::Time),
            ["backend", _, "max_queued"] => Ok(Self::Count),
            ["launcher"] => Ok(Self::Words),
            ["store"] | ["backend", _, "bin_dir"] => Ok(Self::Path),
            ["backend", _, "partitions", _] => Ok(Self::Text),
            ["backend", _, "extra" | "setup"] | ["backend", _, "dispatch", "extra"] => {
                Ok(Self::Flags)
            }
            ["backend", _, "dispatch", field] if is_dispatch_key(field) => Ok(Self::Resource),
            ["backend", _, "dispatch", ..] => Err(unknown(&dispatch_keys())),
            ["backend", _, _] => Ok(Self::Backend),
            _ => Err(unknown(&TOP_LEVEL_KEYS)),
        }
    }

    /// Says why `value` does not fit, if it does not.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        let fits = match self {
            Self::Table => value.is_object(),
            Self::BackendName => value.as_str().is_some_and(is_backend_name),
            Self::Dispatch => matches!(value.as_str(), Some("job" | "worker" | "login")),
            Self::Environment => {
                matches!(value.as_str(), Some("submit" | "clean")) || is_texts(value)
            }
            Self::Path | Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Words => is_texts(value) && value.as_array().is_some_and(|list| !list.is_empty()),
            Self::Flags => is_texts(value),
            Self::Time => time(value).is_some(),
            Self::Count => count(value).is_some(),
            Self::Resource | Self::Backend => true,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("must be {}, not {value}", self.takes()))
        }
    }

    /// Says why a field of `Resources` does not fit, if it does not.
    pub(super) fn check_resource(field: &str, value: &Value) -> Result<(), String> {
        let mut fields = Map::new();
        fields.insert(field.to_owned(), value.clone());
        match serde_json::from_value::<Resources>(Value::Object(fields)) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("does not fit: {error}")),
        }
    }

    /// Returns the value that `text` of a variable or flag stands for.
    pub(super) fn value_from_text(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Words | Self::Flags => shlex::split(text)
                .map(Value::from)
                .ok_or_else(|| format!("has an open quote: {text}")),
            Self::Environment if text != "submit" && text != "clean" => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect()),
            _ => Ok(Value::from(text)),
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Self::Table => "a table",
            Self::BackendName => "the name of a backend (lower-case letters, digits and `-`)",
            Self::Dispatch => "one of \"job\", \"worker\", \"login\"",
            Self::Environment => "\"submit\", \"clean\" or a list of variable names",
            Self::Path => "a path",
            Self::Text => "a text",
            Self::Words => "a list of words, with at least one",
            Self::Flags => "a list of texts",
            Self::Time => {
                "a time of at most an hour: seconds, or a number with a unit such as \"500ms\" or \"30s\""
            }
            Self::Count => "a whole number from 1",
            Self::Resource | Self::Backend => "a value",
        }
    }
}

/// The longest time that a key takes: what waits for longer than this waits for ever.
const LONGEST: Duration = Duration::from_hours(1);

/// Returns the time that a value stands for, in steps of a millisecond.
pub(super) fn time(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let text = text.trim();
            let split = text
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(split);
            let factor = match unit.trim_start() {
                "ms" => 0.001,
                "" | "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            number.parse::<f64>().ok()? * factor
        }
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (time <= LONGEST).then(|| Duration::from_millis((time.as_secs_f64() * 1000.0).round() as u64))
}

/// Returns the number from 1 that a value stands for.
pub(super) fn count(value: &Value) -> Option<u32> {
    let count = u32::try_from(value.as_u64()?).ok()?;
    (count > 0).then_some(count)
}

pub(super) fn is_backend_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

/// Returns the key as it is written in TOML.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    let parts: Vec<String> = path
        .iter()
        .map(|part| {
            if bare(part) {
                part.clone()
            } else {
                Value::from(part.as_str()).to_string()
            }
        })
        .collect();
    parts.join(".")
}

/// Serializes a key as it is written in TOML.
#[expect(clippy::ptr_arg, reason = "serde hands over the field as it is")]
pub(super) fn serialize<S: serde::Serializer>(
    path: &Vec<String>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_str(&dotted(path))
}
