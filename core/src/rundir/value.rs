use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::publish;

/// Longest value kept inside a result, in bytes of JSON.
pub const INLINE_LIMIT: usize = 4096;
const MAGIC: &[u8; 8] = b"reflowv1";
const TRAILER: u64 = 20;
const NO_LIST: u32 = u32::MAX;

/// Where a value is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueRef {
    /// Too long to be carried along: in a file of its own, named by the digest of its JSON.
    Stored {
        /// BLAKE3 of the JSON text, in hex.
        digest: String,
        /// The number of its entries, where it is a list.
        items: Option<u32>,
    },
    /// Here.
    Inline {
        /// The JSON text.
        json: Box<RawValue>,
        /// The number of its entries, where it is a list.
        items: Option<u32>,
    },
}

impl ValueRef {
    /// Returns the number of entries, where the value is a list.
    pub fn items(&self) -> Option<u32> {
        match self {
            Self::Stored { items, .. } | Self::Inline { items, .. } => *items,
        }
    }
}

/// The values of a run that are too long for a result.
///
/// A file holds the JSON text, for a list the offset of each entry, and a trailer, so that a worker
/// reads just the entry it needs:
///
/// ```text
/// JSON text | end of each entry u64 | start of each entry u64 … | entries u32 | length of the text u64 | magic "reflowv1"
/// ```
#[derive(Debug, Clone)]
pub struct ValueStore {
    dir: PathBuf,
}

fn entries(json: &str) -> Result<Option<Vec<&RawValue>>, serde_json::Error> {
    if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map(Some)
    } else {
        Ok(None)
    }
}

fn damaged(digest: &str, what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the stored value {digest} is damaged: {what}"),
    )
}

impl ValueStore {
    /// Returns the store in `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Keeps a value: inside the reference when short, otherwise in a file.
    pub fn put(&self, json: String) -> io::Result<ValueRef> {
        let list = entries(&json)?;
        let items = match &list {
            Some(list) => Some(
                u32::try_from(list.len())
                    .map_err(|_| io::Error::other("a list has more than 2^32 entries"))?,
            ),
            None => None,
        };
        if json.len() <= INLINE_LIMIT {
            return Ok(ValueRef::Inline {
                json: RawValue::from_string(json)?,
                items,
            });
        }
        let digest = blake3::hash(json.as_bytes()).to_hex().to_string();
        let path = self.dir.join(&digest);
        if !path.exists() {
            let base = json.as_ptr().addr();
            let mut offsets = Vec::new();
            for entry in list.iter().flatten() {
                let start = entry.get().as_ptr().addr() - base;
                offsets.extend_from_slice(&(start as u64).to_le_bytes());
                offsets.extend_from_slice(&((start + entry.get().len()) as u64).to_le_bytes());
            }
            let length = json.len() as u64;
            let mut bytes = json.into_bytes();
            bytes.extend_from_slice(&offsets);
            bytes.extend_from_slice(&items.unwrap_or(NO_LIST).to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(MAGIC);
            crate::fault::reach("value/write");
            publish(&path, &bytes)?;
        }
        Ok(ValueRef::Stored { digest, items })
    }

    /// Returns the JSON text of a value. A stored one is checked against its digest.
    pub fn read(&self, value: &ValueRef) -> io::Result<String> {
        match value {
            ValueRef::Inline { json, .. } => Ok(json.get().to_owned()),
            ValueRef::Stored { digest, .. } => {
                let mut bytes = fs::read(self.dir.join(digest))?;
                let length = bytes
                    .len()
                    .checked_sub(TRAILER as usize)
                    .filter(|trailer| &bytes[trailer + 12..] == MAGIC)
                    .map(|trailer| {
                        u64::from_le_bytes(
                            bytes[trailer + 4..trailer + 12]
                                .try_into()
                                .expect("eight bytes"),
                        )
                    })
                    .filter(|length| *length <= bytes.len() as u64)
                    .ok_or_else(|| damaged(digest, "its end is missing"))?;
                bytes.truncate(length as usize);
                if blake3::hash(&bytes).to_hex().as_str() != digest {
                    return Err(damaged(digest, "it does not match its digest"));
                }
                String::from_utf8(bytes).map_err(|_| damaged(digest, "it is not UTF-8"))
            }
        }
    }

    /// Returns the JSON text of one entry of a list, reading no more than that.
    pub fn item(&self, value: &ValueRef, index: u32) -> io::Result<String> {
        match value {
            ValueRef::Inline { json, .. } => {
                let list = entries(json.get())?.ok_or_else(|| {
                    io::Error::other("an entry was asked of a value that is no list")
                })?;
                list.get(index as usize)
                    .map(|entry| entry.get().to_owned())
                    .ok_or_else(|| out_of_range(index, list.len() as u32))
            }
            ValueRef::Stored { digest, .. } => self.open_list(digest)?.item(index),
        }
    }

    /// Opens a stored list, to read many entries of it.
    pub fn open_list(&self, digest: &str) -> io::Result<StoredList> {
        let file = fs::File::open(self.dir.join(digest))?;
        let end = file
            .metadata()?
            .len()
            .checked_sub(TRAILER)
            .ok_or_else(|| damaged(digest, "it is too short"))?;
        let mut trailer = [0; TRAILER as usize];
        file.file().read_exact_at(&mut trailer, end)?;
        if &trailer[12..] != MAGIC {
            return Err(damaged(digest, "its end is missing"));
        }
        let count = u32::from_le_bytes(trailer[..4].try_into().expect("four bytes"));
        Ok(StoredList {
            digest: digest.to_owned(),
            file,
            count: if count == NO_LIST { 0 } else { count },
            length: u64::from_le_bytes(trailer[4..12].try_into().expect("eight bytes")),
        })
    }
}

/// A list in a file of its own, open.
#[derive(Debug)]
pub struct StoredList {
    digest: String,
    file: fs::File,
    count: u32,
    /// Of its JSON text.
    length: u64,
}

impl StoredList {
    /// Returns the digest that names it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the JSON text of one entry, reading no more than that.
    pub fn item(&self, index: u32) -> io::Result<String> {
        if index >= self.count {
            return Err(out_of_range(index, self.count));
        }
        let mut offsets = [0; 16];
        self.file
            .file()
            .read_exact_at(&mut offsets, self.length + u64::from(index) * 16)?;
        let start = u64::from_le_bytes(offsets[..8].try_into().expect("eight bytes"));
        let stop = u64::from_le_bytes(offsets[8..].try_into().expect("eight bytes"));
        let size = stop
            .checked_sub(start)
            .filter(|_| stop <= self.length)
            .ok_or_else(|| damaged(&self.digest, "its index is wrong"))?;
        let mut bytes = vec![0; size as usize];
        self.file.file().read_exact_at(&mut bytes, start)?;
        String::from_utf8(bytes).map_err(|_| damaged(&self.digest, "an entry is not UTF-8"))
    }
}

fn out_of_range(index: u32, count: u32) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("entry {index} was asked of a list of {count}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ValueStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = ValueStore::new(dir.path().to_owned());
        (dir, store)
    }

    #[test]
    fn an_entry_is_what_the_whole_list_has_at_that_place() {
        let (_dir, store) = store();
        for count in [0, 1, 3, 2000] {
            let list: Vec<String> = (0..count)
                .map(|n| format!("{{\"n\":{n},\"text\":\"ä, [\\\"]\"}}"))
                .collect();
            let value = store.put(format!("[{}]", list.join(" , "))).unwrap();
            assert_eq!(value.items(), Some(count));
            for (index, entry) in (0..).zip(&list) {
                assert_eq!(&store.item(&value, index).unwrap(), entry);
            }
            assert!(store.item(&value, count).is_err());
        }
    }

    #[test]
    fn a_reference_survives_its_own_json() {
        let (_dir, store) = store();
        for json in [
            "null".to_owned(),
            "1.50".to_owned(),
            format!("\"{}\"", "x".repeat(9000)),
        ] {
            let value = store.put(json.clone()).unwrap();
            let text = serde_json::to_string(&value).unwrap();
            let back: ValueRef = serde_json::from_str(&text).unwrap();
            assert_eq!(store.read(&back).unwrap(), json);
        }
    }

    #[test]
    fn a_stored_value_that_was_changed_is_an_error() {
        let (dir, store) = store();
        let value = store.put(format!("\"{}\"", "x".repeat(9000))).unwrap();
        let path = fs::read_dir(dir.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let whole = fs::read(&path).unwrap();
        for cut in [0, 10, 9000, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(store.read(&value).is_err());
        }
        let mut bytes = whole;
        bytes[100] = b'y';
        fs::write(&path, &bytes).unwrap();
        assert!(store.read(&value).is_err());
    }
}
