use reflow_core::store::cache::Cache;
use serde_json::json;

use super::{each, store, tasks};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::render::cache;

pub(super) fn execute(context: &Context) -> Result<Exit, CliError> {
    let store = store(context)?;
    let remembered = Cache::new(&store);
    let mut all = Vec::new();
    each(&remembered, &tasks(&remembered, None)?, |task, opened| {
        all.push((task.clone(), opened.sizes()));
        Ok(())
    });
    if context.output.json {
        let by_task: Vec<_> = all
            .iter()
            .map(|(task, sizes)| {
                json!({
                    "task": task, "results": sizes.records, "bytes": sizes.bytes,
                    "files": sizes.tables,
                })
            })
            .collect();
        output::print_document(&json!({
            "store": store,
            "tasks": by_task,
            "results": all.iter().map(|(_, sizes)| sizes.records).sum::<u64>(),
            "bytes": all.iter().map(|(_, sizes)| sizes.bytes).sum::<u64>(),
        }))?;
    } else {
        output::print(&cache::stats(&store, &all))?;
    }
    Ok(Exit::Done)
}
