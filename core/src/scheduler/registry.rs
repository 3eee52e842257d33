use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::nearest::nearest;

use super::{Scheduler, SchedulerError, SchedulerErrorKind};

/// What a backend is given to connect with. Nothing else is read: no environment, no home directory.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// The backend's own settings: `[backend.NAME]` of the configuration, less what has a field here.
    /// A backend refuses keys that it does not know and names the nearest one.
    pub settings: Map<String, Value>,
    /// Logical partition to native one.
    pub partitions: BTreeMap<String, String>,
    /// Native flags added to every request, before the request's own.
    pub extra: Vec<String>,
    /// The caller's environment; what the batch system's programs are started with, after scrubbing.
    pub environment: BTreeMap<String, String>,
    /// Directory of the batch system's programs, searched instead of `PATH`.
    pub bin_dir: Option<PathBuf>,
    /// Directory for sockets and state private to the user; created with mode 0700 where missing.
    pub runtime_dir: PathBuf,
    /// How to start reflow's own program, for backends that need a process of their own.
    pub launcher: Vec<String>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Arc<dyn Scheduler>, SchedulerError>> + Send>>;
type Factory = Arc<dyn Fn(ConnectOptions) -> Connecting + Send + Sync>;

/// The backends that can be selected by name. Explicit: nothing registers itself.
#[derive(Clone, Default)]
pub struct Registry {
    factories: BTreeMap<String, Factory>,
}

impl Registry {
    /// Adds a backend; a later one replaces an earlier one of the same name.
    pub fn register<F, Connect>(&mut self, name: &str, connect: F)
    where
        F: Fn(ConnectOptions) -> Connect + Send + Sync + 'static,
        Connect: Future<Output = Result<Arc<dyn Scheduler>, SchedulerError>> + Send + 'static,
    {
        self.factories.insert(
            name.to_owned(),
            Arc::new(move |options| Box::pin(connect(options))),
        );
    }

    /// Returns the registered names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// Connects to the backend of that name.
    pub async fn connect(
        &self,
        name: &str,
        options: ConnectOptions,
    ) -> Result<Arc<dyn Scheduler>, SchedulerError> {
        let Some(factory) = self.factories.get(name) else {
            let known: Vec<&str> = self.names().collect();
            let error = SchedulerError::new(
                SchedulerErrorKind::InvalidRequest,
                format!(
                    "there is no backend `{name}`; there are: {}",
                    known.join(", ")
                ),
            );
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => error.with_context("nearest name", format!("`{near}`")),
                None => error,
            });
        };
        factory(options).await
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
