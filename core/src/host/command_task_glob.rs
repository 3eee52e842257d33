//! The files that a pattern finds, with values in the pattern taken literally.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::PrepareError;
use super::command_task::Values;
use super::template::{Piece, Word, rendered};

/// What a pattern finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Files,
    /// Directories too.
    Everything,
}

#[derive(Debug)]
pub(super) enum GlobError {
    Name(String),
    Read(io::Error),
}

/// One name of a path, or a pattern for one.
#[derive(Debug)]
enum Segment {
    Literal(String),
    Pattern {
        matcher: GlobMatcher,
        /// Whether it is written with a dot first: only then hidden files are found.
        dot: bool,
    },
    /// `**`: directories to any depth, hidden ones and links left out.
    AnyDepth,
}

#[derive(Debug)]
pub(super) struct Pattern {
    absolute: bool,
    segments: Vec<Segment>,
}

/// A segment while it is put together.
#[derive(Default)]
struct Draft {
    glob: String,
    literal: String,
    is_pattern: bool,
}

impl Draft {
    fn push(&mut self, c: char, taken_literally: bool) {
        const MARKS: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];
        if taken_literally && MARKS.contains(&c) {
            self.glob.push('\\');
        }
        self.is_pattern |= !taken_literally && matches!(c, '*' | '?' | '[' | '{' | '\\');
        self.glob.push(c);
        self.literal.push(c);
    }

    fn segment(self) -> Result<Segment, globset::Error> {
        if !self.is_pattern {
            return Ok(Segment::Literal(self.literal));
        }
        if self.glob == "**" {
            return Ok(Segment::AnyDepth);
        }
        let glob = GlobBuilder::new(&self.glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()?;
        Ok(Segment::Pattern {
            matcher: glob.compile_matcher(),
            dot: self.glob.starts_with('.'),
        })
    }
}

impl Pattern {
    /// Checks the pattern, whatever the values in it.
    pub(super) fn check(word: &Word) -> Result<(), String> {
        let pieces = word.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => (text.clone(), false),
            Piece::Value(_) | Piece::File(_) => ("x".to_owned(), true),
        });
        let pattern = Self::build(pieces).map_err(|error| error.to_string())?;
        if pattern.segments.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        Ok(())
    }

    pub(super) fn of(word: &Word, values: &Values<'_>) -> Result<Self, PrepareError> {
        let mut pieces = Vec::with_capacity(word.pieces.len());
        for piece in &word.pieces {
            pieces.push(match piece {
                Piece::Text(text) => (text.clone(), false),
                Piece::Value(slot) | Piece::File(slot) => {
                    (rendered(slot, values.of(slot)?)?.unwrap_or_default(), true)
                }
            });
        }
        // Values are literal, so they cannot break a pattern that was checked.
        Ok(Self::build(pieces.into_iter()).unwrap_or(Self {
            absolute: false,
            segments: Vec::new(),
        }))
    }

    fn build(pieces: impl Iterator<Item = (String, bool)>) -> Result<Self, globset::Error> {
        let mut drafts = vec![Draft::default()];
        let mut absolute = None;
        for (text, taken_literally) in pieces {
            for c in text.chars() {
                absolute.get_or_insert(c == '/');
                if c == '/' {
                    drafts.push(Draft::default());
                } else if let Some(draft) = drafts.last_mut() {
                    draft.push(c, taken_literally);
                }
            }
        }
        let named = drafts
            .into_iter()
            .filter(|draft| !matches!(draft.glob.as_str(), "" | "."));
        Ok(Self {
            absolute: absolute.unwrap_or(false),
            segments: named.map(Draft::segment).collect::<Result<_, _>>()?,
        })
    }

    /// Returns what is found, sorted by bytes; a relative pattern is relative to `base`.
    pub(super) fn find(&self, base: &str, found: Found) -> Result<Vec<String>, GlobError> {
        let root = if self.absolute { "/" } else { base };
        let mut paths = Vec::new();
        walk(PathBuf::from(root), &self.segments, &mut paths)?;
        let mut names = Vec::with_capacity(paths.len());
        for path in paths {
            if found == Found::Files && !is_file(&path) {
                continue;
            }
            let name = path.into_os_string().into_string();
            names.push(name.map_err(|name| GlobError::Name(name.to_string_lossy().into_owned()))?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

fn is_file(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|found| !found.is_dir())
}

fn walk(at: PathBuf, segments: &[Segment], paths: &mut Vec<PathBuf>) -> Result<(), GlobError> {
    let Some((first, rest)) = segments.split_first() else {
        if at.symlink_metadata().is_ok() {
            paths.push(at);
        }
        return Ok(());
    };
    match first {
        Segment::Literal(name) => walk(at.join(name), rest, paths),
        Segment::Pattern { matcher, dot } => {
            for name in names(&at)? {
                let hidden = name.as_bytes().starts_with(b".");
                if (*dot || !hidden) && matcher.is_match(&name) {
                    walk(at.join(&name), rest, paths)?;
                }
            }
            Ok(())
        }
        Segment::AnyDepth => {
            let all = [Segment::AnyDepth];
            if rest.is_empty() {
                // At the end, `**` finds everything below.
                for name in names(&at)? {
                    if !name.as_bytes().starts_with(b".") {
                        paths.push(at.join(&name));
                    }
                }
            } else {
                walk(at.clone(), rest, paths)?;
            }
            for name in names(&at)? {
                let below = at.join(&name);
                let is_dir = below.symlink_metadata().is_ok_and(|found| found.is_dir());
                if is_dir && !name.as_bytes().starts_with(b".") {
                    walk(below, if rest.is_empty() { &all } else { segments }, paths)?;
                }
            }
            Ok(())
        }
    }
}

/// The names in a directory; none where there is no such directory.
fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, GlobError> {
    let entries = match fs_err::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(GlobError::Read(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()
        .map_err(GlobError::Read)
}
