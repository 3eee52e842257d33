use serde_json::{Number, Value};

use super::Type;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got}{}", if .at.is_empty() { String::new() } else { format!(" at {at}") })]
pub struct Mismatch {
    /// The type that was expected at that place.
    pub expected: String,
    /// The value, shortened.
    pub got: String,
    /// Where in the value: `[3].name`; empty for the value itself.
    pub at: String,
}

impl Mismatch {
    fn new(expected: &impl ToString, got: String) -> Self {
        Self {
            expected: expected.to_string(),
            got,
            at: String::new(),
        }
    }

    fn within(mut self, index: usize) -> Self {
        self.at = format!("[{index}]{}", self.at);
        self
    }
}

/// Returns a value as JSON, cut to a length that fits a message.
pub(crate) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        // Only the start of a long text or list is wanted: the rest is not written at all.
        Value::String(text) if text.len() > 4 * LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            Value::from(start).to_string()
        }
        Value::Array(entries) if entries.len() > LONGEST => {
            Value::from(entries[..LONGEST].to_vec()).to_string()
        }
        other => other.to_string(),
    };
    if text.chars().count() > LONGEST {
        text.chars().take(LONGEST).chain(['…']).collect()
    } else {
        text
    }
}

impl Type {
    /// Checks that `value` fits the type.
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        let fits = match (self, value) {
            (Self::None, Value::Null)
            | (Self::Str, Value::String(_))
            | (Self::Float, Value::Number(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Json, _)
            | (Self::Dict, Value::Object(_)) => true,
            (Self::Int, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Self::Path | Self::File, Value::String(text)) => !text.is_empty(),
            (Self::Datetime, Value::String(text)) => is_rfc3339(text),
            (Self::Literal(choices), Value::String(text)) => choices.contains(text),
            (Self::List(entry), Value::Array(values)) => {
                return values.iter().enumerate().try_for_each(|(index, value)| {
                    entry.check(value).map_err(|fault| fault.within(index))
                });
            }
            (Self::Optional(inner), value) => {
                return if value.is_null() {
                    Ok(())
                } else {
                    inner.check(value)
                };
            }
            (Self::Coded(base, _), value) => return base.check(value),
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(Mismatch::new(&self, shown(value)))
        }
    }

    /// Reads text as a value of this type: a flag of the command line, or the output of a command.
    ///
    /// Numbers, `true` and `false` may have spaces around them; `str`, `path`, `file` and literals are
    /// taken as they are; lists, `dict` and `json` are read as JSON; no text is null for an `optional`
    /// and for `none`. Numbers that JSON cannot hold (`nan`, `inf`) are refused.
    pub fn parse_text(&self, text: &str) -> Result<Value, Mismatch> {
        let refuse = || Mismatch::new(&self, shown(&Value::from(text)));
        let trimmed = text.trim();
        let value = match self {
            Self::None if trimmed.is_empty() => Value::Null,
            Self::None => return Err(refuse()),
            Self::Optional(_) if text.is_empty() => Value::Null,
            Self::Optional(inner) => return inner.parse_text(text),
            Self::Coded(base, _) => return base.parse_text(text),
            Self::Str | Self::Literal(_) | Self::Path | Self::File => Value::from(text),
            Self::Datetime => Value::from(trimmed),
            Self::Bool => Value::from(trimmed.parse::<bool>().map_err(|_| refuse())?),
            Self::Int => match (trimmed.parse::<i64>(), trimmed.parse::<u64>()) {
                (Ok(number), _) => Value::from(number),
                (_, Ok(number)) => Value::from(number),
                _ => return Err(refuse()),
            },
            Self::Float => {
                let number: f64 = trimmed.parse().map_err(|_| refuse())?;
                Value::Number(Number::from_f64(number).ok_or_else(refuse)?)
            }
            Self::Json | Self::Dict | Self::List(_) => {
                serde_json::from_str(text).map_err(|_| refuse())?
            }
        };
        self.check(&value)
            .map_err(|fault| if fault.at.is_empty() { refuse() } else { fault })?;
        Ok(value)
    }

    /// Reads the texts given for one flag: one entry each for a list, otherwise exactly one text.
    pub fn parse_texts(&self, texts: &[String]) -> Result<Value, Mismatch> {
        match (self, texts) {
            (Self::List(entry), texts) => texts
                .iter()
                .enumerate()
                .map(|(index, text)| entry.parse_text(text).map_err(|fault| fault.within(index)))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::from),
            (Self::Optional(inner), texts) if inner.entry().is_some() => inner.parse_texts(texts),
            (ty, [text]) => ty.parse_text(text),
            (ty, texts) => Err(Mismatch::new(
                &format!("one {ty}"),
                format!("{} values", texts.len()),
            )),
        }
    }
}

/// Whether it is RFC 3339: a date, `T`, a time with seconds, and an offset.
fn is_rfc3339(text: &str) -> bool {
    // jiff also reads shorter forms of ISO 8601 and a time zone in brackets.
    let shape = "dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    bytes.len() > shape.len()
        && !text.contains('[')
        && shape.bytes().zip(bytes).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't' | b' '),
            other => *byte == other,
        })
        && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ty(text: &str) -> Type {
        text.parse().expect("a type")
    }

    #[test]
    fn values_that_fit_and_values_that_do_not() {
        for (text, good, bad) in [
            ("none", vec![json!(null)], vec![json!(0), json!("")]),
            (
                "str",
                vec![json!(""), json!("ä")],
                vec![json!(1), json!(null)],
            ),
            (
                "int",
                vec![json!(-1), json!(u64::MAX)],
                vec![json!(1.0), json!("1"), json!(true)],
            ),
            ("float", vec![json!(1), json!(1.5)], vec![json!("1.5")]),
            ("bool", vec![json!(true)], vec![json!(1), json!("true")]),
            ("path", vec![json!("a")], vec![json!(""), json!(null)]),
            ("file", vec![json!("/a b")], vec![json!("")]),
            (
                "datetime",
                vec![
                    json!("2026-02-03T04:05:06Z"),
                    json!("2026-02-03T04:05:06.25+01:00"),
                ],
                vec![
                    json!("2026-02-03"),
                    json!("2026-02-03T04:05:06"),
                    json!("2026-02-30T04:05:06Z"),
                    json!("2026-02-03T04:05Z"),
                ],
            ),
            ("json", vec![json!(null), json!([1, "a"])], vec![]),
            ("dict", vec![json!({"a": 1})], vec![json!([]), json!(null)]),
            (
                "list[int]",
                vec![json!([]), json!([1])],
                vec![json!(1), json!(["1"])],
            ),
            (
                "optional[int]",
                vec![json!(null), json!(1)],
                vec![json!("a")],
            ),
            (
                "literal[\"a\"]",
                vec![json!("a")],
                vec![json!("b"), json!(1)],
            ),
            ("int@big", vec![json!(1)], vec![json!("1")]),
        ] {
            for value in good {
                assert_eq!(ty(text).check(&value), Ok(()), "{text} {value}");
            }
            for value in bad {
                assert!(ty(text).check(&value).is_err(), "{text} took {value}");
            }
        }
    }

    #[test]
    fn a_mismatch_names_place_and_value() {
        let fault = ty("list[list[int]]")
            .check(&json!([[1], [2, "x"]]))
            .expect_err("`x` is no int");
        assert_eq!(fault.to_string(), "expected int, got \"x\" at [1][1]");
    }

    #[test]
    fn text_is_read_as_the_type() {
        for (text, from, value) in [
            ("int", " 42\n", json!(42)),
            ("int", "18446744073709551615", json!(u64::MAX)),
            ("float", "3", json!(3.0)),
            ("bool", "true", json!(true)),
            ("str", " a ", json!(" a ")),
            ("str", "", json!("")),
            ("none", "\n", json!(null)),
            ("optional[int]", "", json!(null)),
            ("optional[int]", "1", json!(1)),
            ("dict", "{\"a\": 1}", json!({"a": 1})),
            ("list[int]", "[1, 2]", json!([1, 2])),
            ("json", "\"x\"", json!("x")),
        ] {
            assert_eq!(ty(text).parse_text(from), Ok(value), "{text} {from:?}");
        }
        for (text, from) in [
            ("int", "1.0"),
            ("int", ""),
            ("int", "99999999999999999999"),
            ("float", "nan"),
            ("float", "1e999"),
            ("bool", "yes"),
            ("none", "x"),
            ("path", ""),
            ("literal[\"a\"]", "b"),
            ("list[int]", "1 2"),
            ("dict", "[]"),
        ] {
            assert!(ty(text).parse_text(from).is_err(), "{text} took {from:?}");
        }
    }

    #[test]
    fn several_texts_are_the_entries_of_a_list() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            ty("list[int]").parse_texts(&texts(&["1", "2"])),
            Ok(json!([1, 2]))
        );
        assert_eq!(
            ty("list[str]").parse_texts(&texts(&["[a"])),
            Ok(json!(["[a"]))
        );
        assert_eq!(ty("int").parse_texts(&texts(&["1"])), Ok(json!(1)));
        let fault = ty("int").parse_texts(&texts(&["1", "2"])).expect_err("two");
        assert_eq!(fault.to_string(), "expected one int, got 2 values");
        let fault = ty("list[int]")
            .parse_texts(&texts(&["1", "b"]))
            .expect_err("no int");
        assert_eq!(fault.to_string(), "expected int, got \"b\" at [1]");
    }

    #[test]
    fn long_values_are_cut_in_messages() {
        let fault = Type::Int
            .check(&json!("x".repeat(1_000_000)))
            .expect_err("text");
        assert!(fault.got.chars().count() < 100, "{}", fault.got.len());
    }
}
