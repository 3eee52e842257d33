use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use fs_err as fs;

use super::{Entry, Holder, Record};
use crate::segment::read_frames;

/// The journal as it was when it was read.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The records that count, in order, of the terms from `since` on.
    pub entries: Vec<Entry>,
    /// The first term that was read; 0 when all were.
    pub since: u64,
    /// The length of the files that were read, as far as they are whole.
    pub bytes: u64,
    /// The number of the newest file; 0 when there is none.
    pub term: u64,
    /// Who holds the newest term, once it has said so.
    pub holder: Option<Holder>,
    /// Whether the newest term was given back.
    pub is_released: bool,
    /// Lengths that count of the files that no later file has cut.
    pub uncut: Vec<(u64, u64)>,
}

struct File {
    /// The end of each record, and the record.
    entries: Vec<(u64, Entry)>,
}

impl File {
    fn read(bytes: &[u8]) -> Self {
        let mut entries = Vec::new();
        let mut frames = read_frames(bytes);
        while let Some(payload) = frames.next() {
            // A record of a later version cannot be understood, and what follows may depend on it.
            let Ok(entry) = serde_json::from_slice(payload) else {
                break;
            };
            entries.push((frames.offset() as u64, entry));
        }
        Self { entries }
    }

    fn length(&self) -> u64 {
        self.entries.last().map_or(0, |(end, _)| *end)
    }

    fn term(&self) -> Option<(&Holder, &[(u64, u64)])> {
        match self.entries.first() {
            Some((
                _,
                Entry {
                    record: Record::Term { holder, cuts },
                    ..
                },
            )) => Some((holder, cuts)),
            _ => None,
        }
    }
}

/// Returns the terms that files in a directory are named by, ascending.
pub(crate) fn terms(dir: &Path) -> io::Result<Vec<u64>> {
    let mut terms = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(term) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            terms.push(term);
        }
    }
    terms.sort_unstable();
    Ok(terms)
}

/// Reads the journal in `dir`. Needs no lease.
pub fn read_journal(dir: &Path) -> io::Result<Journal> {
    Ok(fold_files(&read_files(dir, 0..u64::MAX)?, 0))
}

/// Reads the journal from the term `since` on if what that term measured counts, else all of it.
///
/// A term states cuts of terms before it only, and for each of them that nobody had cut. So the files
/// from `since` on tell among themselves how much of each counts, and the rest is cut by them.
pub(crate) fn read_journal_since(dir: &Path, since: u64) -> io::Result<Journal> {
    read_terms(dir, since, u64::MAX)
}

/// Reads the terms below `below`, from `since` on if what that term measured counts.
pub(super) fn read_terms(dir: &Path, since: u64, below: u64) -> io::Result<Journal> {
    if since > 0 {
        let files = read_files(dir, since..below)?;
        let has_begun = files.get(&since).is_some_and(|file| file.term().is_some());
        if has_begun && cuts(&files).get(&since) != Some(&0) {
            return Ok(fold_files(&files, since));
        }
    }
    Ok(fold_files(&read_files(dir, 0..below)?, 0))
}

fn read_files(dir: &Path, which: Range<u64>) -> io::Result<BTreeMap<u64, File>> {
    let mut files = BTreeMap::new();
    for term in terms(dir)? {
        if which.contains(&term) {
            files.insert(term, File::read(&fs::read(dir.join(term.to_string()))?));
        }
    }
    Ok(files)
}

/// Returns how much counts of the files that were cut.
fn cuts(files: &BTreeMap<u64, File>) -> BTreeMap<u64, u64> {
    let mut cuts: BTreeMap<u64, u64> = BTreeMap::new();
    // From the newest on: what a term says of the terms before it stands, unless it was itself cut to
    // nothing.
    for (number, file) in files.iter().rev() {
        if cuts.get(number) == Some(&0) {
            continue;
        }
        if let Some((_, said)) = file.term() {
            for (before, length) in said.iter().filter(|(before, _)| before < number) {
                cuts.entry(*before).or_insert(*length);
            }
        }
    }
    cuts
}

fn fold_files(files: &BTreeMap<u64, File>, since: u64) -> Journal {
    let cuts = cuts(files);
    let mut entries = Vec::new();
    let mut uncut = Vec::new();
    for (number, file) in files {
        let length = cuts.get(number).copied().unwrap_or_else(|| {
            uncut.push((*number, file.length()));
            u64::MAX
        });
        entries.extend(
            file.entries
                .iter()
                .take_while(|(end, _)| *end <= length)
                .map(|(_, entry)| entry.clone()),
        );
    }
    let newest = files.last_key_value();
    Journal {
        entries,
        since,
        bytes: files.values().map(File::length).sum(),
        term: newest.map_or(0, |(number, _)| *number),
        holder: newest.and_then(|(_, file)| file.term().map(|(holder, _)| holder.clone())),
        is_released: newest.is_some_and(|(_, file)| {
            matches!(
                file.entries.last(),
                Some((
                    _,
                    Entry {
                        record: Record::Released | Record::Finished { .. },
                        ..
                    }
                ))
            )
        }),
        uncut,
    }
}
