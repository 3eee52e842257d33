//! The part of the probe that is about the store: the cache, and the content of files.

use std::path::{Path, PathBuf};

use reflow_core::content;
use reflow_core::id::{RunId, Tag, TaskName, WorkflowName};
use reflow_core::identity::Digest;
use reflow_core::results::ValueDigests;
use reflow_core::rundir::ValueRef;
use reflow_core::store::cache::{Cache, CacheEntry, Origin};

use super::{say, timed};

fn task() -> TaskName {
    TaskName::new("each").expect("a sound name")
}

fn identity(element: u32) -> Digest {
    blake3::hash(&element.to_le_bytes()).into()
}

fn entry(element: u32, tag: &Tag) -> CacheEntry {
    let json = serde_json::value::to_raw_value(&format!("/data/results/part-{element}.csv"));
    CacheEntry {
        value: ValueRef::Inline {
            json: json.expect("a text is JSON"),
            items: None,
        },
        digests: ValueDigests {
            whole: identity(!element),
            entries: None,
            files: None,
        },
        made_ms: 1_795_000_000_000 + u64::from(element),
        forced: false,
        tag: tag.clone(),
        element,
    }
}

/// Publishes `count` results in `parts` publications.
pub(super) fn publish(store: &Path, count: u32, parts: u32) {
    let origin = Origin {
        run_id: RunId::new("bench-1").expect("a sound id"),
        run_dir: PathBuf::from("/data/runs/bench-1"),
        workflow: WorkflowName::new("bench").expect("a sound name"),
        flow: None,
        task: task(),
    };
    let tag = Tag::from_digest('r', &blake3::hash(b"bench"));
    timed(|| {
        for part in 0..parts {
            let entries = (part..count)
                .step_by(parts as usize)
                .map(|element| (identity(element), entry(element, &tag)))
                .collect();
            let published =
                Cache::new(store).publish(&task(), &format!("{tag}-{part}"), &origin, entries);
            assert!(published.expect("the store can be written"));
        }
    });
}

/// Looks `count` identities up at once.
pub(super) fn find(store: &Path, count: u32) {
    let identities: Vec<Digest> = (0..count).map(identity).collect();
    timed(|| {
        let cache = Cache::new(store).open(&task()).expect("it can be read");
        let found = cache.find_many(&identities).expect("it can be read");
        assert!(found.iter().all(|candidates| candidates.len() == 1));
    });
}

/// Opens the cache and looks one identity up, `count` times, as so many workers do.
pub(super) fn find_each(store: &Path, count: u32) {
    timed(|| {
        for element in 0..count {
            let cache = Cache::new(store).open(&task()).expect("it can be read");
            let found = cache.find(&identity(element)).expect("it can be read");
            assert_eq!(found.len(), 1);
        }
    });
}

/// Prints the digest of a file as `b3sum` does.
pub(super) fn hash(path: &Path) {
    let content = content::read(path).expect("it can be read");
    say(&format!("{}  {}", content.digest, path.display()));
}
