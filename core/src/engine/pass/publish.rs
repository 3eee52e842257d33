//! Making results known to later runs.

use super::Pass;
use crate::cache::{made_ms, origin_of};
use crate::engine::ingest::Ingest;
use crate::identity::Digest;
use crate::journal::Record;
use crate::store::cache::{Cache, CacheEntry};

impl Pass<'_> {
    /// Makes new results known to later runs. A store that cannot be written costs hits, never a run.
    pub(super) fn publish(&self, ingest: &Ingest, mut remembered: Vec<(Digest, CacheEntry)>) {
        let record = self.dir.record();
        let submission = &self.state.submission(ingest.position);
        let (Some(store), Some(task), Record::Ingested { tag, pack, .. }) = (
            &record.cache.store,
            submission.record.task(),
            &ingest.record,
        ) else {
            return;
        };
        if remembered.is_empty() {
            return;
        }
        let declared = self.graph.declared(task);
        let origin = origin_of(self.dir, &record.description.name, declared);
        // Not the time now: what is published again from the run directory has the same.
        if let Ok(made) = made_ms(self.dir, tag, *pack) {
            for (_, entry) in &mut remembered {
                entry.made_ms = made;
            }
        }
        let name = format!("{tag}-{pack}");
        let published = Cache::new(store).publish(declared.own_name(), &name, &origin, remembered);
        if let Err(error) = published {
            tracing::warn!(%error, "the results of `{}` are not remembered", declared.name);
        }
    }
}
