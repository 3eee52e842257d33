use std::fmt;

use serde::{Deserialize, Serialize};

use super::type_parser::ParseTypeError;

/// The type of a parameter or a result.
///
/// Written as in `list[optional[file]]`, `literal["cpu", "gpu"]`, `dict`, `json@pickle`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Type {
    /// No value: JSON null.
    None,
    /// Text.
    Str,
    /// A whole number of 64 bits, signed or not. `1.0` is none.
    Int,
    /// A number; whole ones too.
    Float,
    /// True or false.
    Bool,
    /// A path as such: text that is not empty.
    Path,
    /// A path whose content counts: text that is not empty.
    File,
    /// A date and time, as RFC 3339 text with its offset.
    Datetime,
    /// Any JSON value.
    Json,
    /// A JSON object.
    Dict,
    /// Any number of values of one type.
    List(Box<Type>),
    /// A value or null.
    Optional(Box<Type>),
    /// One of the given texts.
    Literal(Vec<String>),
    /// A host's own encoding on a base type.
    Coded(Box<Type>, String),
}

impl Type {
    /// Returns whether a value of this type can be given where `target` is taken.
    ///
    /// T to T, int to float, `file` to `path` and back, T to `optional[T]`, anything to `json`; list
    /// and optional element by element; nothing else.
    pub fn assignable_to(&self, target: &Self) -> bool {
        match (self, target) {
            (_, Self::Json)
            | (Self::Int, Self::Float)
            | (Self::File, Self::Path)
            | (Self::Path, Self::File) => true,
            (Self::List(from), Self::List(to)) | (Self::Optional(from), Self::Optional(to)) => {
                self == target || from.assignable_to(to)
            }
            (from, Self::Optional(to)) => from.assignable_to(to),
            (from, to) => from == to,
        }
    }

    /// Returns the type of the entries of a list.
    pub fn entry(&self) -> Option<&Self> {
        match self {
            Self::List(entry) => Some(entry),
            _ => None,
        }
    }

    /// Returns the type without `optional` and without a host's own encoding around it.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Optional(inner) | Self::Coded(inner, _) => inner.plain(),
            other => other,
        }
    }

    /// Returns whether null fits.
    pub fn takes_null(&self) -> bool {
        match self {
            Self::None | Self::Json | Self::Optional(_) => true,
            Self::Coded(base, _) => base.takes_null(),
            _ => false,
        }
    }

    /// Returns whether values hold paths.
    pub fn has_paths(&self) -> bool {
        match self {
            Self::Path | Self::File => true,
            Self::List(inner) | Self::Optional(inner) | Self::Coded(inner, _) => inner.has_paths(),
            _ => false,
        }
    }

    /// Returns whether values hold files, whose content counts.
    pub fn has_files(&self) -> bool {
        match self {
            Self::File => true,
            Self::List(inner) | Self::Optional(inner) | Self::Coded(inner, _) => inner.has_files(),
            _ => false,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::None => "none",
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Path => "path",
            Self::File => "file",
            Self::Datetime => "datetime",
            Self::Json => "json",
            Self::Dict => "dict",
            Self::List(entry) => return write!(f, "list[{entry}]"),
            Self::Optional(inner) => return write!(f, "optional[{inner}]"),
            Self::Literal(choices) => {
                f.write_str("literal[")?;
                for (position, choice) in choices.iter().enumerate() {
                    let comma = if position > 0 { ", " } else { "" };
                    write!(f, "{comma}{}", serde_json::Value::from(choice.as_str()))?;
                }
                return f.write_str("]");
            }
            Self::Coded(base, codec) => return write!(f, "{base}@{codec}"),
        };
        f.write_str(name)
    }
}

impl From<Type> for String {
    fn from(ty: Type) -> String {
        ty.to_string()
    }
}

impl TryFrom<String> for Type {
    type Error = ParseTypeError;
    fn try_from(text: String) -> Result<Self, ParseTypeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::Type;

    fn ty(text: &str) -> Type {
        text.parse().expect("a type")
    }

    #[test]
    fn assignable_is_what_the_table_says_and_nothing_else() {
        for (from, to) in [
            ("int", "int"),
            ("int", "float"),
            ("file", "path"),
            ("path", "file"),
            ("int", "optional[int]"),
            ("int", "optional[float]"),
            ("list[int]", "list[float]"),
            ("optional[int]", "optional[float]"),
            ("list[file]", "optional[list[path]]"),
            ("list[int]", "list[optional[int]]"),
            ("dict", "json"),
            ("none", "json"),
            ("int@pickle", "int@pickle"),
            ("optional[int]", "optional[optional[int]]"),
        ] {
            assert!(ty(from).assignable_to(&ty(to)), "{from} to {to}");
        }
        for (from, to) in [
            ("float", "int"),
            ("str", "path"),
            ("path", "str"),
            ("optional[int]", "int"),
            ("json", "dict"),
            ("json", "int"),
            ("list[float]", "list[int]"),
            ("int", "list[int]"),
            ("bool", "int"),
            ("none", "optional[int]"),
            ("literal[\"a\"]", "str"),
            ("literal[\"a\"]", "literal[\"a\", \"b\"]"),
            ("int@a", "int"),
            ("int", "int@a"),
            ("int@a", "int@b"),
        ] {
            assert!(!ty(from).assignable_to(&ty(to)), "{from} to {to}");
        }
    }
}
