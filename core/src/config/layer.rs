use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::key::{self, Key};
use super::{ConfigError, file};

/// Which of the configuration files a value was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileLayer {
    /// For everybody on the machine.
    System,
    /// The user's own.
    User,
    /// Named on the command line or by a variable, in place of the two above.
    Given,
    /// The `reflow.toml` of the project.
    Project,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file.
    File {
        /// Which one.
        layer: FileLayer,
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// In the variable of that name.
    Variable {
        /// The name.
        name: String,
    },
    /// With the flag of that name.
    Flag {
        /// The name, dashes included.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path, line, column, ..
            } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable { name } => write!(f, "variable {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// One value with its key and origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// The key, with the tables that it is in.
    #[serde(serialize_with = "key::serialize")]
    pub key: Vec<String>,
    /// The value, checked to fit the key.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

impl Setting {
    /// Returns the key as it is written in TOML: `backend.slurm.bin_dir`.
    pub fn dotted_key(&self) -> String {
        key::dotted(&self.key)
    }
}

/// The values of one source, each checked by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    pub(super) settings: Vec<Setting>,
}

impl Layer {
    /// Reads the text of a configuration file. Relative paths in it are taken from the directory of
    /// `path`.
    pub fn parse(
        text: &str,
        path: &std::path::Path,
        kind: file::FileKind,
    ) -> Result<Self, ConfigError> {
        file::parse(text, path, kind)
    }

    /// Adds a value given as text by a variable or flag. A list is given as words in the manner of
    /// the shell; `env` takes names separated by commas. Relative paths are kept as they are.
    pub fn set(&mut self, key: &[&str], text: &str, origin: Origin) -> Result<(), ConfigError> {
        let path: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
        let kind = Key::find(&path).map_err(|unknown| unknown.at(origin.clone()))?;
        let value = kind
            .value_from_text(text)
            .and_then(|value| kind.check(&value).map(|()| value))
            .map_err(|message| ConfigError::Value {
                place: origin.clone(),
                key: key::dotted(&path),
                message,
            })?;
        self.settings.push(Setting {
            key: path,
            value,
            origin,
        });
        Ok(())
    }
}
