use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fs_err as fs;

use super::{Entry, Holder, Record};
use crate::segment::read_frames;

/// The journal as it was when it was read.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The records that count, in order.
    pub entries: Vec<Entry>,
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

/// Returns the numbers of the files in a journal directory, ascending.
pub(super) fn terms(dir: &Path) -> io::Result<Vec<u64>> {
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
    let mut files = BTreeMap::new();
    for term in terms(dir)? {
        files.insert(term, File::read(&fs::read(dir.join(term.to_string()))?));
    }
    Ok(fold_files(&files))
}

fn fold_files(files: &BTreeMap<u64, File>) -> Journal {
    let mut cuts: BTreeMap<u64, u64> = BTreeMap::new();
    // From the newest on: what a term says of the terms before it stands, unless it was itself cut to
    // nothing.
    for (number, file) in files.iter().rev() {
        if cuts.get(number) == Some(&0) {
            continue;
        }
        if let Some((_, said)) = file.term() {
            for (before, length) in said {
                cuts.entry(*before).or_insert(*length);
            }
        }
    }
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
