use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reflow_conformance::Setup;
use reflow_core::scheduler::{Resources, Scheduler};
use tokio::runtime::Runtime;

/// Returns what every job asks for: little.
pub(super) fn tiny() -> Resources {
    Resources {
        mem: "64M".parse().ok(),
        time: "00:05:00".parse().ok(),
        ..Resources::default()
    }
}

/// Returns the suite's setup over a batch system that a test has.
pub fn setup_over(scheduler: Arc<dyn Scheduler>, scratch: &Path) -> Setup {
    Setup {
        patience: Duration::from_mins(2),
        ..Setup::for_site(scheduler, scratch.to_owned(), tiny())
    }
}

/// Returns the runtime that suites run on.
///
/// # Panics
/// When the machine has no room for its threads.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only threads")
}

/// Returns the environment of the test program, less what is not UTF-8.
pub fn environment() -> BTreeMap<String, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test program reads its environment here"
    )]
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns a new directory that the nodes see: under `REFLOW_TEST_SCRATCH`, else the directory for
/// temporary files, which does for nodes on this machine.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    // Short, for sockets below it.
    builder.prefix("reflow-conf-");
    match environment().get("REFLOW_TEST_SCRATCH") {
        Some(shared) => builder.tempdir_in(shared),
        None => builder.tempdir(),
    }
}
