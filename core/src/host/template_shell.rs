//! Shell scripts with `{name}` in them: finds where a value stands, so that it can be quoted there.

use super::template::{Brace, Scope, Slot, TemplateError, position};
use super::template_shell_words::Words;

/// A part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShellPiece {
    Text(String),
    /// Outside quotes: quoted as needed. `digits_bind` where a number before it would be read as a
    /// file descriptor.
    Value {
        slot: Slot,
        digits_bind: bool,
    },
    /// In arithmetic: an int, not quoted.
    Arithmetic(Slot),
    /// The path of a file that holds the value.
    File(Slot),
}

/// More substitutions inside each other are refused, so that a script cannot exhaust the stack.
const DEEPEST: usize = 50;

/// What surrounds a place in the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Code,
    Arithmetic,
    Quotes,
    Expansion,
    Backticks,
    HereDocument,
}

struct HereDocument {
    delimiter: String,
    strip_tabs: bool,
}

/// Compiles a script.
pub(super) fn compile(
    script: &str,
    scope: &Scope,
    errors: &mut Vec<TemplateError>,
) -> Vec<ShellPiece> {
    let mut scanner = Scanner {
        script,
        at: 0,
        scope,
        errors,
        pieces: Vec::new(),
        literal: String::new(),
        here_documents: Vec::new(),
        depth: 0,
    };
    while scanner.at < script.len() {
        scanner.code(None);
    }
    scanner.flush();
    scanner.pieces
}

struct Scanner<'a> {
    script: &'a str,
    at: usize,
    scope: &'a Scope,
    errors: &'a mut Vec<TemplateError>,
    pieces: Vec<ShellPiece>,
    literal: String,
    /// Announced on this line, to be read after it.
    here_documents: Vec<HereDocument>,
    depth: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.script[self.at..]
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes `length` bytes as they are.
    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.script.len());
        self.literal.push_str(&self.script[self.at..end]);
        self.at = end;
    }

    fn copy_char(&mut self) {
        self.copy(self.next().map_or(1, char::len_utf8));
    }

    /// Takes a backslash and the character after it.
    fn copy_escape(&mut self) {
        self.copy(1);
        self.copy_char();
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let text = std::mem::take(&mut self.literal);
            self.pieces.push(ShellPiece::Text(text));
        }
    }

    fn refuse(&mut self, at: usize, message: impl Into<String>, advice: Option<String>) {
        self.errors.push(TemplateError {
            place: "shell".to_owned(),
            position: Some(position(self.script, at)),
            message: message.into(),
            advice,
        });
    }

    fn unclosed(&mut self, start: usize, what: &str) {
        self.refuse(
            start,
            format!("{what} is opened here and never closed"),
            None,
        );
    }

    /// Reads commands up to the `)` that closes the one opened at `start`, or to the end.
    fn code(&mut self, start: Option<usize>) {
        let mut words = Words::default();
        while let Some(c) = self.next() {
            match c {
                // A line that goes on: `#` after it may well start a comment.
                '\\' if self.rest().starts_with("\\\n") => self.copy(2),
                '\\' => {
                    words.push('\\');
                    self.copy_escape();
                }
                '\'' | '"' | '`' | '$' => {
                    words.push(c);
                    self.quoting(c, Context::Code);
                }
                '#' if words.at_start() => {
                    // A value could end a comment by a line break: text stays as it is in there.
                    self.copy(self.rest().find('\n').unwrap_or(self.rest().len()));
                }
                '<' if self.rest().starts_with("<<<") => {
                    words.end(c);
                    self.copy(3);
                }
                '<' if self.rest().starts_with("<<") => {
                    words.end(c);
                    self.here_document();
                }
                '\n' => {
                    words.end(c);
                    self.copy(1);
                    self.here_document_bodies();
                }
                '(' if self.rest().starts_with("((") => {
                    words.end(c);
                    self.arithmetic("((");
                }
                '(' => {
                    words.open();
                    self.copy(1);
                }
                ')' => {
                    let closes = words.close() && start.is_some();
                    self.copy(1);
                    if closes {
                        return;
                    }
                }
                '{' => {
                    words.push('{');
                    self.brace(Context::Code);
                }
                ' ' | '\t' | ';' | '&' | '|' | '<' | '>' => {
                    words.end(c);
                    self.copy(1);
                }
                other => {
                    words.push(other);
                    self.copy_char();
                }
            }
        }
        if let Some(start) = start {
            self.unclosed(start, "`$(`");
        }
    }

    /// Reads what starts with a quote, a backtick or `$`.
    fn quoting(&mut self, c: char, context: Context) {
        match c {
            '\'' => self.single(),
            '"' => self.double(),
            '`' => self.backticks(),
            _ => self.dollar(context),
        }
    }

    fn dollar(&mut self, context: Context) {
        let start = self.at;
        let rest = self.rest();
        self.depth += 1;
        if self.depth > DEEPEST {
            self.refuse(start, "too many substitutions inside each other", None);
            self.copy(self.rest().len());
        } else if rest.starts_with("$((") {
            self.arithmetic("$((");
        } else if rest.starts_with("$(") {
            self.copy(2);
            self.code(Some(start));
        } else if rest.starts_with("${") {
            self.expansion(context);
        } else if rest.starts_with("$'") && context != Context::Quotes {
            self.ansi();
        } else {
            self.copy(1);
        }
        self.depth -= 1;
    }

    fn single(&mut self) {
        let start = self.at;
        self.copy(1);
        while let Some(c) = self.next() {
            match c {
                '\'' => return self.copy(1),
                '{' => self.brace(Context::Quotes),
                _ => self.copy_char(),
            }
        }
        self.unclosed(start, "the quote");
    }

    fn ansi(&mut self) {
        let start = self.at;
        self.copy(2);
        while let Some(c) = self.next() {
            match c {
                '\'' => return self.copy(1),
                '\\' => self.copy_escape(),
                '{' => self.brace(Context::Quotes),
                _ => self.copy_char(),
            }
        }
        self.unclosed(start, "the quote");
    }

    fn double(&mut self) {
        let start = self.at;
        self.copy(1);
        while let Some(c) = self.next() {
            match c {
                '"' => return self.copy(1),
                '\\' => self.copy_escape(),
                '`' => self.backticks(),
                '$' => self.dollar(Context::Quotes),
                '{' => self.brace(Context::Quotes),
                _ => self.copy_char(),
            }
        }
        self.unclosed(start, "the quote");
    }

    fn backticks(&mut self) {
        let start = self.at;
        self.copy(1);
        while let Some(c) = self.next() {
            match c {
                '`' => return self.copy(1),
                '\\' => self.copy_escape(),
                '{' => self.brace(Context::Backticks),
                _ => self.copy_char(),
            }
        }
        self.unclosed(start, "the backtick");
    }

    /// Reads `${...}`.
    fn expansion(&mut self, context: Context) {
        let start = self.at;
        self.copy(2);
        while let Some(c) = self.next() {
            match c {
                '}' => return self.copy(1),
                '\\' => self.copy_escape(),
                '\'' if context == Context::Quotes => self.copy(1),
                '\'' | '"' | '`' | '$' => self.quoting(c, context),
                '{' => self.brace(Context::Expansion),
                _ => self.copy_char(),
            }
        }
        self.unclosed(start, "`${`");
    }

    /// Reads `((...))` or `$((...))`.
    fn arithmetic(&mut self, opening: &str) {
        let start = self.at;
        self.copy(opening.len());
        let mut open = 2usize;
        while let Some(c) = self.next() {
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                '\\' => {
                    self.copy_escape();
                    continue;
                }
                '\'' | '"' | '`' | '$' => {
                    self.quoting(c, Context::Arithmetic);
                    continue;
                }
                '{' => {
                    self.brace(Context::Arithmetic);
                    continue;
                }
                _ => {}
            }
            self.copy_char();
            if open == 0 {
                return;
            }
        }
        self.unclosed(start, &format!("`{opening}`"));
    }

    /// Reads `<<WORD`.
    fn here_document(&mut self) {
        self.copy(2);
        let strip_tabs = self.rest().starts_with('-');
        if strip_tabs {
            self.copy(1);
        }
        let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        self.copy(blanks);
        let mut delimiter = String::new();
        let mut quote = None;
        while let Some(c) = self.next() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (None, '\\') => {
                    self.copy(1);
                    delimiter.extend(self.next());
                }
                (None, c) if c.is_whitespace() || ";&|<>()".contains(c) => break,
                (_, c) => delimiter.push(c),
            }
            self.copy_char();
        }
        self.here_documents.push(HereDocument {
            delimiter,
            strip_tabs,
        });
    }

    fn here_document_bodies(&mut self) {
        for document in std::mem::take(&mut self.here_documents) {
            while self.at < self.script.len() {
                let length = self
                    .rest()
                    .find('\n')
                    .map_or(self.rest().len(), |end| end + 1);
                let line = self.rest()[..length].trim_end_matches('\n');
                let line = if document.strip_tabs {
                    line.trim_start_matches('\t')
                } else {
                    line
                };
                if line == document.delimiter {
                    self.copy(length);
                    break;
                }
                let end = self.at + length;
                while self.at < end {
                    if self.next() == Some('{') {
                        self.brace(Context::HereDocument);
                    } else {
                        self.copy_char();
                    }
                }
            }
        }
    }

    /// Reads a `{`, and the placeholder that it starts, if it does.
    fn brace(&mut self, context: Context) {
        if self.script[..self.at].ends_with('$') {
            return self.copy(1);
        }
        match self.scope.brace(self.rest()) {
            Brace::Other => self.copy(1),
            Brace::Literal { text, length } => {
                self.literal.push_str(&text);
                self.at += length;
            }
            Brace::Unknown {
                length,
                message,
                misspelt,
                advice,
                ..
            } => {
                // In quotes, `{print}` is the script's own business.
                let code = matches!(context, Context::Code | Context::Arithmetic);
                if misspelt || code {
                    self.refuse(self.at, message, Some(advice));
                }
                self.copy(length);
            }
            Brace::Value { slot, length } => self.value(context, slot, length),
            Brace::File { slot, length } => match context {
                Context::Code => {
                    self.flush();
                    self.pieces.push(ShellPiece::File(slot));
                    self.at += length;
                }
                _ => self.refuse_value(context, &slot, length),
            },
        }
    }

    fn value(&mut self, context: Context, slot: Slot, length: usize) {
        match context {
            Context::Code => {
                let before = self.script[..self.at].chars().next_back();
                let after = self.script[self.at + length..].chars().next();
                let apart = |c: Option<char>, marks: &str| {
                    c.is_none_or(|c| c.is_whitespace() || marks.contains(c))
                };
                if slot.is_list() && !(apart(before, ";|&(<>") && apart(after, ";|&)<>")) {
                    let message = format!("the list `{}` inside a larger word", slot.name());
                    let advice = "put spaces around it: it becomes one word for each entry";
                    self.refuse(self.at, message, Some(advice.to_owned()));
                }
                self.flush();
                self.pieces.push(ShellPiece::Value {
                    slot,
                    digits_bind: matches!(after, Some('<' | '>')),
                });
                self.at += length;
            }
            Context::Arithmetic if *slot.ty() == crate::workflow::Type::Int => {
                self.flush();
                self.pieces.push(ShellPiece::Arithmetic(slot));
                self.at += length;
            }
            _ => self.refuse_value(context, &slot, length),
        }
    }

    fn refuse_value(&mut self, context: Context, slot: &Slot, length: usize) {
        let text = &self.rest()[..length];
        let quoted = format!("end the quotes before it, or write `{{{text}}}` for the text itself");
        let (message, advice) = match context {
            Context::Quotes => (
                format!("`{text}` inside quotes: values are quoted for you"),
                quoted,
            ),
            Context::HereDocument => (
                format!("`{text}` inside a here-document: values are quoted for you"),
                format!(
                    "set a variable before it (`x={{{}}}`) and write `$x`, or write `{{{text}}}` for the text itself",
                    slot.name()
                ),
            ),
            Context::Expansion => (
                format!("`{text}` inside `${{}}`"),
                format!("set a variable before it (`x={{{}}}`)", slot.name()),
            ),
            Context::Backticks => (
                format!("`{text}` inside backticks, which change what is quoted"),
                "write `$(...)` for the backticks".to_owned(),
            ),
            Context::Arithmetic => (
                format!(
                    "`{text}` is {}: only an int may stand in arithmetic",
                    slot.ty()
                ),
                "take an int, or set a variable before it".to_owned(),
            ),
            // Every value may stand in code.
            Context::Code => return,
        };
        self.refuse(self.at, message, Some(advice));
        self.copy(length);
    }
}
