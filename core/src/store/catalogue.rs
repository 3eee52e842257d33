use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::make_directory;
use super::draft::Draft;
use super::file;
use crate::id::{RunId, WorkflowName};

/// The version of the catalogue files that this engine writes.
const SCHEMA: u32 = 1;
/// Longest file of an entry; the names and paths of one have some hundred bytes.
const LONGEST: u64 = 1 << 20;

/// The runs that were submitted with a store: one small file each, under `runs/`.
///
/// A file is written once, under its final name from the start, and never changed: readers need no
/// lock.
#[derive(Debug, Clone)]
pub struct Catalogue {
    store: PathBuf,
    directory: PathBuf,
}

/// One run of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// The version of the file.
    schema: u32,
    /// The id of the run.
    pub run_id: RunId,
    /// Its directory.
    pub run_dir: PathBuf,
    /// The name of its workflow.
    pub workflow: WorkflowName,
    /// When it was submitted, RFC 3339 in UTC.
    pub created: String,
}

impl CatalogueEntry {
    /// Returns the entry of a run.
    pub fn new(
        run_id: RunId,
        run_dir: PathBuf,
        workflow: WorkflowName,
        created: impl Into<String>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            run_id,
            run_dir,
            workflow,
            created: created.into(),
        }
    }
}

/// The catalogue as found.
#[derive(Debug, Default)]
pub struct Listing {
    /// The runs, the newest first.
    pub entries: Vec<CatalogueEntry>,
    /// Files that could not be read or understood.
    pub errors: Vec<CatalogueError>,
}

/// A catalogue that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Reading or writing failed.
    #[error("could not {action} the catalogue of runs")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The cause, which names the path.
        #[source]
        source: std::io::Error,
    },
    /// A file is not an entry.
    #[error("{} is not an entry of the catalogue of runs: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// There is a run of that id already.
    #[error("the catalogue of runs has a run `{run_id}` already")]
    Exists {
        /// The id.
        run_id: RunId,
    },
}

fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> CatalogueError {
    move |source| CatalogueError::Io { action, source }
}

impl Catalogue {
    /// Returns the catalogue of a store, which need not exist yet.
    pub fn new(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
            directory: store.join("runs"),
        }
    }

    /// Adds a run.
    ///
    /// # Errors
    /// [`CatalogueError::Exists`] where there is one of that id, [`CatalogueError::Io`] otherwise.
    pub fn add(&self, entry: &CatalogueEntry) -> Result<(), CatalogueError> {
        let text = serde_json::to_vec(entry)
            .map_err(std::io::Error::other)
            .map_err(io("write"))?;
        let written = || {
            make_directory(&self.store, &self.directory)?;
            // Readers take names that end in `.json` only, so half a file is never seen.
            let mut draft = Draft::create(&self.directory)?;
            draft.write_all(&text)?;
            draft.publish(&format!("{}.json", entry.run_id))
        };
        if written().map_err(io("write"))? {
            Ok(())
        } else {
            Err(CatalogueError::Exists {
                run_id: entry.run_id.clone(),
            })
        }
    }

    /// Returns the run of that id, if the catalogue has it.
    pub fn get(&self, run_id: &RunId) -> Result<Option<CatalogueEntry>, CatalogueError> {
        read(&self.path(run_id))
    }

    /// Returns the ids that start with `prefix`, sorted.
    pub fn find(&self, prefix: &str) -> Result<Vec<RunId>, CatalogueError> {
        let mut ids = self.ids()?;
        ids.retain(|id| id.as_str().starts_with(prefix));
        ids.sort();
        Ok(ids)
    }

    /// Returns all runs, the newest first. A catalogue that does not exist is empty.
    pub fn list(&self) -> Result<Listing, CatalogueError> {
        let mut listing = Listing::default();
        for id in self.ids()? {
            match read(&self.path(&id)) {
                Ok(entry) => listing.entries.extend(entry),
                Err(error) => listing.errors.push(error),
            }
        }
        listing
            .entries
            .sort_by(|a, b| (&b.created, &b.run_id).cmp(&(&a.created, &a.run_id)));
        Ok(listing)
    }

    fn path(&self, run_id: &RunId) -> PathBuf {
        self.directory.join(format!("{run_id}.json"))
    }

    fn ids(&self) -> Result<Vec<RunId>, CatalogueError> {
        let files = match fs_err::read_dir(&self.directory) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("read")(error)),
        };
        let mut ids = Vec::new();
        for file in files {
            let name = file.map_err(io("read"))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.and_then(|id| RunId::new(id).ok()));
        }
        Ok(ids)
    }
}

fn read(path: &Path) -> Result<Option<CatalogueEntry>, CatalogueError> {
    let damaged = |message: String| CatalogueError::Damaged {
        path: path.to_owned(),
        message,
    };
    let file = match file::open(path) {
        Ok(Some((file, size))) if size <= LONGEST => file,
        Ok(Some(_)) => return Err(damaged(format!("it is longer than {LONGEST} bytes"))),
        Ok(None) => return Err(damaged("it is no file".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read")(error)),
    };
    let mut text = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut text)
        .map_err(io("read"))?;
    let entry: CatalogueEntry =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if entry.schema == SCHEMA {
        Ok(Some(entry))
    } else {
        Err(damaged(format!(
            "it has version {}, this program reads version {SCHEMA}",
            entry.schema
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, created: &str) -> CatalogueEntry {
        CatalogueEntry::new(
            RunId::new(id).expect("a sound id"),
            PathBuf::from("/runs").join(id),
            WorkflowName::new("wordcount").expect("a sound name"),
            created,
        )
    }

    #[test]
    fn runs_are_listed_newest_first_and_found_by_prefix() {
        let store = tempfile::tempdir().expect("a directory");
        let catalogue = Catalogue::new(store.path());
        assert!(catalogue.list().expect("no store yet").entries.is_empty());
        let old = entry("wordcount-a1", "2026-01-01T00:00:00Z");
        let new = entry("wordcount-b2", "2026-01-02T00:00:00Z");
        catalogue.add(&old).expect("added");
        catalogue.add(&new).expect("added");
        let listing = catalogue.list().expect("listed");
        assert_eq!(listing.entries, [new, old.clone()]);
        assert_eq!(catalogue.find("wordcount-").expect("found").len(), 2);
        assert_eq!(
            catalogue.find("wordcount-a").expect("found"),
            std::slice::from_ref(&old.run_id)
        );
        assert_eq!(catalogue.get(&old.run_id).expect("read"), Some(old));
    }

    #[test]
    fn an_id_is_taken_once() {
        let store = tempfile::tempdir().expect("a directory");
        let catalogue = Catalogue::new(store.path());
        let run = entry("wordcount-a1", "2026-01-01T00:00:00Z");
        catalogue.add(&run).expect("added");
        assert!(matches!(
            catalogue.add(&run),
            Err(CatalogueError::Exists { .. })
        ));
    }

    #[test]
    fn what_is_no_entry_is_reported_and_not_waited_for() {
        let store = tempfile::tempdir().expect("a directory");
        let catalogue = Catalogue::new(store.path());
        let run = entry("wordcount-a1", "2026-01-01T00:00:00Z");
        catalogue.add(&run).expect("added");
        let at = |name: &str| store.path().join("runs").join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo.json"), kind, mode, 0).expect("a pipe");
        fs_err::create_dir(at("folder.json")).expect("a directory");
        let long = fs_err::File::create(at("long.json")).expect("a file");
        long.set_len(1 << 40).expect("it has holes");
        let listing = catalogue.list().expect("listed");
        assert_eq!(listing.entries, [run]);
        assert_eq!(listing.errors.len(), 3);
    }

    #[test]
    fn damage_is_reported_and_hides_nothing_else() {
        let store = tempfile::tempdir().expect("a directory");
        let catalogue = Catalogue::new(store.path());
        let run = entry("wordcount-a1", "2026-01-01T00:00:00Z");
        catalogue.add(&run).expect("added");
        fs_err::write(store.path().join("runs/half.json"), "{\"schema\":1,").expect("written");
        let listing = catalogue.list().expect("listed");
        assert_eq!(listing.entries, [run]);
        assert_eq!(listing.errors.len(), 1);
    }
}
