use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::CliError;

/// Of names that stand out.
pub(crate) const STRONG: Style = Style::new().bold();
/// Of what can be overlooked.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Of success.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Of failure.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Of what needs attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();

/// Returns `text` in `style`. Styles are taken out again where the output is no terminal.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether the one thing printed is a JSON document.
    pub(crate) json: bool,
}

/// Prints a JSON document, with the version of its form put first.
pub(crate) fn print_document(document: &impl Serialize) -> Result<(), CliError> {
    let mut fields = Map::new();
    fields.insert("schema".to_owned(), Value::from(1));
    if let Value::Object(rest) = serde_json::to_value(document).map_err(CliError::fault)? {
        fields.extend(rest);
    }
    print_json(&Value::Object(fields))
}

/// Prints a JSON value on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(value).map_err(CliError::fault)?;
    text.push('\n');
    print_bytes(text.as_bytes())
}

/// Prints text for people on standard output.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints bytes as they are on standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Tells people something that the request can do without. Goes to standard error, in JSON mode too.
pub(crate) fn note(style: Style, heading: &str, text: &str) {
    let mut err = anstream::stderr().lock();
    // Standard error may be closed: a remark is not worth more than the request.
    writeln!(err, "{} {text}", styled(style, format!("{heading}:"))).ok();
}

/// Warns on standard error.
pub(crate) fn warn(text: &str) {
    note(WARN, "warning", text);
}
