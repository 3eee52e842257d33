//! Making results known to later runs.

use super::Pass;
use crate::engine::ingest::Ingest;
use crate::identity::Digest;
use crate::journal::Record;
use crate::store::cache::{Cache, CacheEntry, Origin};

impl Pass<'_> {
    /// Makes new results known to later runs. A store that cannot be written costs hits, never a run.
    pub(super) fn publish(&self, ingest: &Ingest, remembered: Vec<(Digest, CacheEntry)>) {
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
        let origin = Origin {
            run_id: record.run_id.clone(),
            run_dir: self.dir.path().to_owned(),
            workflow: record.description.name.clone(),
            flow: declared.flow.clone(),
            task: declared.name.clone(),
        };
        let name = format!("{tag}-{pack}");
        let published = Cache::new(store).publish(declared.own_name(), &name, &origin, remembered);
        if let Err(error) = published {
            tracing::warn!(%error, "the results of `{}` are not remembered", declared.name);
        }
    }
}
