use std::str::FromStr;

use super::Type;
use crate::error::Hint;
use crate::nearest::nearest;

/// Deeper nesting is refused, so that a foreign description cannot exhaust the stack.
const DEEPEST: usize = 32;

const NAMES: [&str; 13] = [
    "none", "str", "int", "float", "bool", "path", "file", "datetime", "json", "dict", "list",
    "optional", "literal",
];

/// A type that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a type: {fault} at character {position}")]
pub struct ParseTypeError {
    /// The text that was refused.
    pub text: String,
    /// What is wrong.
    pub fault: String,
    /// Where in the text, in characters from 1.
    pub position: usize,
    /// The nearest name of a type, or what types look like.
    pub hint: Option<String>,
}

impl Hint for ParseTypeError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl FromStr for Type {
    type Err = ParseTypeError;

    fn from_str(text: &str) -> Result<Self, ParseTypeError> {
        let mut parser = Parser { text, at: 0 };
        let ty = parser.ty(0)?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.fault("something follows the type"));
        }
        Ok(ty)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: char) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn expect(&mut self, token: char) -> Result<(), ParseTypeError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.fault(format!("`{token}` is missing")))
        }
    }

    fn word(&mut self, more: &str) -> &'a str {
        self.space();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && !more.contains(c))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn fault(&self, fault: impl Into<String>) -> ParseTypeError {
        self.fault_at(self.at, fault, None)
    }

    fn fault_at(
        &self,
        at: usize,
        fault: impl Into<String>,
        hint: Option<String>,
    ) -> ParseTypeError {
        ParseTypeError {
            text: self.text.to_owned(),
            fault: fault.into(),
            position: self.text[..at].chars().count() + 1,
            hint,
        }
    }

    fn ty(&mut self, depth: usize) -> Result<Type, ParseTypeError> {
        if depth > DEEPEST {
            return Err(self.fault(format!("more than {DEEPEST} types inside each other")));
        }
        self.space();
        let start = self.at;
        let mut ty = match self.word("") {
            "none" => Type::None,
            "str" => Type::Str,
            "int" => Type::Int,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "path" => Type::Path,
            "file" => Type::File,
            "datetime" => Type::Datetime,
            "json" => Type::Json,
            "dict" => Type::Dict,
            "list" => Type::List(self.inner(depth)?),
            "optional" => Type::Optional(self.inner(depth)?),
            "literal" => Type::Literal(self.choices()?),
            "" => return Err(self.fault_at(start, "a type is missing", None)),
            other => {
                let hint = match nearest(other, NAMES) {
                    Some(name) => format!("nearest type: `{name}`"),
                    None => format!("types: {}", NAMES.join(", ")),
                };
                return Err(self.fault_at(start, format!("unknown type `{other}`"), Some(hint)));
            }
        };
        let mut codecs = 0;
        while self.take('@') {
            codecs += 1;
            let codec = self.word("-.");
            if codec.is_empty() {
                return Err(self.fault("the name of an encoding is missing"));
            }
            if codecs + depth > DEEPEST {
                return Err(self.fault("too many encodings on each other"));
            }
            ty = Type::Coded(Box::new(ty), codec.to_owned());
        }
        Ok(ty)
    }

    fn inner(&mut self, depth: usize) -> Result<Box<Type>, ParseTypeError> {
        self.expect('[')?;
        let ty = self.ty(depth + 1)?;
        self.expect(']')?;
        Ok(Box::new(ty))
    }

    fn choices(&mut self) -> Result<Vec<String>, ParseTypeError> {
        self.expect('[')?;
        let mut choices = Vec::new();
        loop {
            if self.take(']') {
                return Ok(choices);
            }
            choices.push(self.quoted()?);
            if !self.take(',') {
                self.expect(']')?;
                return Ok(choices);
            }
        }
    }

    /// A choice: a JSON string, or text in single quotes, which has no escapes.
    fn quoted(&mut self) -> Result<String, ParseTypeError> {
        self.space();
        let rest = self.rest();
        let open = |c: char| rest.starts_with(c);
        if open('\'') {
            let end = rest[1..]
                .find('\'')
                .ok_or_else(|| self.fault("the quote is not closed"))?;
            self.at += end + 2;
            return Ok(rest[1..=end].to_owned());
        }
        if !open('"') {
            return Err(self.fault("a choice in quotes is missing"));
        }
        let mut escaped = false;
        let end = rest[1..]
            .find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .ok_or_else(|| self.fault("the quote is not closed"))?;
        let text = serde_json::from_str(&rest[..end + 2])
            .map_err(|error| self.fault(format!("the choice is not a JSON string ({error})")))?;
        self.at += end + 2;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_type() -> impl Strategy<Value = Type> {
        let leaf = prop_oneof![
            prop::sample::select(vec![
                Type::None,
                Type::Str,
                Type::Int,
                Type::Float,
                Type::Bool,
                Type::Path,
                Type::File,
                Type::Datetime,
                Type::Json,
                Type::Dict,
            ]),
            prop::collection::vec(any::<String>(), 0..4).prop_map(Type::Literal),
        ];
        leaf.prop_recursive(6, 20, 1, |inner| {
            prop_oneof![
                inner.clone().prop_map(|ty| Type::List(Box::new(ty))),
                inner.clone().prop_map(|ty| Type::Optional(Box::new(ty))),
                (inner, "[a-z][a-z0-9_.-]{0,8}")
                    .prop_map(|(ty, codec)| Type::Coded(Box::new(ty), codec)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_type_can_be_written_and_read_back(ty in any_type()) {
            prop_assert_eq!(ty.to_string().parse::<Type>(), Ok(ty));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z\\[\\]\"'@,\\\\ ä]{0,40}") {
            let _ = text.parse::<Type>();
        }
    }

    #[test]
    fn spaces_and_single_quotes_are_allowed() {
        assert_eq!(
            " list[ literal['a b', \"c\"] ] ".parse(),
            Ok(Type::List(Box::new(Type::Literal(vec![
                "a b".into(),
                "c".into()
            ]))))
        );
    }

    #[test]
    fn errors_name_the_position_and_the_nearest_type() {
        let error = |text: &str| {
            let error = text.parse::<Type>().expect_err("not a type");
            format!("{error}; {}", error.hint().unwrap_or_default())
        };
        insta::assert_snapshot!(error("list[strng]"), @"`list[strng]` is not a type: unknown type `strng` at character 6; nearest type: `str`");
        insta::assert_snapshot!(error("list"), @"`list` is not a type: `[` is missing at character 5; ");
        insta::assert_snapshot!(error("list[int"), @"`list[int` is not a type: `]` is missing at character 9; ");
        insta::assert_snapshot!(error("int]"), @"`int]` is not a type: something follows the type at character 4; ");
        insta::assert_snapshot!(error("list[]"), @"`list[]` is not a type: a type is missing at character 6; ");
        insta::assert_snapshot!(error("literal[a]"), @"`literal[a]` is not a type: a choice in quotes is missing at character 9; ");
        insta::assert_snapshot!(error("json@"), @"`json@` is not a type: the name of an encoding is missing at character 6; ");
    }

    #[test]
    fn nesting_is_bounded() {
        assert!("list[".repeat(100_000).parse::<Type>().is_err());
        assert!(
            format!("int{}", "@a".repeat(100_000))
                .parse::<Type>()
                .is_err()
        );
    }
}
