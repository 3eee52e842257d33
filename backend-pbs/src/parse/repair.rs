//! Makes JSON of what PBS has printed in its place.

use std::fmt::Write as _;

/// Returns `text` with what is known to go wrong put right: raw control characters in strings, escapes
/// that JSON does not have, quotes within strings, and bare words that are no numbers (`08`, `nan`).
///
/// A quote ends a string when what comes after it, but for white space, could come after one.
pub(super) fn repair(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + text.len() / 64);
    let mut chars = text.char_indices().peekable();
    let mut is_string = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if !is_string => {
                is_string = true;
                out.push('"');
            }
            '"' if ends_string(&bytes[at + 1..]) => {
                is_string = false;
                out.push('"');
            }
            '"' => out.push_str("\\\""),
            '\\' if is_string => match chars.peek() {
                Some((_, next @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't'))) => {
                    out.push('\\');
                    out.push(*next);
                    chars.next();
                }
                Some((next, 'u')) if is_unicode_escape(&bytes[*next..]) => out.push('\\'),
                _ => out.push_str("\\\\"),
            },
            c if is_string && c.is_control() => {
                let point = u32::from(c);
                write!(out, "\\u{point:04x}").expect("writing to a string");
            }
            c if is_string || c.is_whitespace() || "{}[]:,".contains(c) => out.push(c),
            _ => {
                let length = text[at..]
                    .find(|c: char| c.is_whitespace() || "{}[]:,\"".contains(c))
                    .unwrap_or(text.len() - at);
                word(&mut out, &text[at..at + length]);
                while chars.next_if(|(next, _)| *next < at + length).is_some() {}
            }
        }
    }
    out
}

fn ends_string(rest: &[u8]) -> bool {
    match rest.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(byte) => b",:}]".contains(byte),
        None => true,
    }
}

fn is_unicode_escape(rest: &[u8]) -> bool {
    let Some(digits) = rest
        .get(1..5)
        .and_then(|digits| std::str::from_utf8(digits).ok())
    else {
        return false;
    };
    // Halves of a pair are left to be refused, and are then written out as they are.
    u32::from_str_radix(digits, 16).is_ok_and(|point| char::from_u32(point).is_some())
}

/// Writes a bare word, as a string when it is nothing that JSON has.
fn word(out: &mut String, word: &str) {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(word).is_ok();
    if is_json {
        out.push_str(word);
    } else {
        out.push('"');
        out.push_str(word);
        out.push('"');
    }
}

/// Returns whether the first object of a repaired text has its end.
pub(super) fn is_whole(text: &str) -> bool {
    object_end(text).is_some()
}

/// Returns the length of the object or list that `text` starts with.
fn object_end(text: &str) -> Option<usize> {
    let (mut depth, mut is_string, mut is_escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns the members of the object that a repaired text starts with which are objects themselves.
pub(super) fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text.strip_prefix('{').unwrap_or("");
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(['"', '}'])?;
            if rest[start..].starts_with('}') {
                return None;
            }
            rest = &rest[start + 1..];
            let key_end = string_end(rest)?;
            let key = &rest[..key_end];
            rest = rest[key_end + 1..].trim_start();
            let Some(value) = rest.strip_prefix(':') else {
                continue;
            };
            rest = value.trim_start();
            if rest.starts_with('{') {
                let end = object_end(rest)?;
                let value = &rest[..end];
                rest = &rest[end..];
                return Some((key, value));
            }
            if rest.starts_with('[') {
                rest = &rest[object_end(rest)?..];
            } else if let Some(text) = rest.strip_prefix('"') {
                rest = &text[string_end(text)? + 1..];
            }
        }
    })
}

/// Returns where the quote is that ends the string.
fn string_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
