use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reflow_conformance::{Part, Setup, marked};
use reflow_core::scheduler::{ConnectOptions, Registry, Resources, Walltime};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::faulty::{Clients, Family};
use super::suites::{Suite, System};
use super::surroundings::{environment, scratch, setup_over, tiny};
use crate::fake::{Dialect, Fake, FakeOptions};

/// A suite over a batch system, which lasts as long as this.
#[derive(Debug)]
pub struct Rigged {
    suite: Suite,
    rest: Rest,
}

/// What a suite needs to be there while it runs.
#[derive(Debug, Default)]
pub(super) struct Rest {
    _directory: Option<TempDir>,
    _fake: Option<Fake>,
}

impl Rigged {
    pub(super) fn take(self) -> (Suite, Rest) {
        (self.suite, self.rest)
    }
}

/// A backend whose batch system is driven by programs.
#[derive(Debug, Clone)]
pub struct Driven {
    /// Has the backend.
    pub registry: Registry,
    /// Its name.
    pub backend: &'static str,
    /// The kind of its programs.
    pub family: Family,
    /// The shortest walltime that it has.
    pub shortest_walltime: Walltime,
}

impl Driven {
    /// Returns the suite over a fake. Walltimes pass `options.time_scale` times as fast in it.
    ///
    /// # Panics
    /// When the fake does not start, or no temporary file can be made.
    pub fn over_fake(
        &self,
        name: &'static str,
        runtime: &Runtime,
        dialect: Dialect,
        options: FakeOptions,
    ) -> Rigged {
        let directory = scratch().expect("temporary files can be made");
        let scale = options.time_scale;
        let (held_array, native) = (options.array_limit, options.queues[0].name.clone());
        let fake = Fake::start(dialect, options);
        let searched = fake.bin().display().to_string();
        let found = self.setup(directory.path(), &searched, Some(native));
        let system = runtime.block_on(found).map(|setup| Setup {
            held_array,
            resources: Resources {
                time: Some(Walltime::from_seconds((300.0 * scale) as u64)),
                ..tiny()
            },
            quick_limits: self.shortest_walltime.seconds() as f64 / scale < 10.0,
            limit_lag: Duration::from_secs(75),
            ..setup
        });
        Rigged {
            suite: Suite {
                name,
                system: system.into(),
            },
            rest: Rest {
                _directory: Some(directory),
                _fake: Some(fake),
            },
        }
    }

    /// Returns the suite over what is installed, where the variable `flag` is 1.
    ///
    /// # Panics
    /// When no temporary file can be made.
    pub fn over_installed(&self, name: &'static str, runtime: &Runtime, flag: &str) -> Rigged {
        if !crate::is_set(flag) {
            let reason = format!("needs one that is there for tests ({flag}=1, see tests/run)");
            return Self::not_here(name, &reason);
        }
        let directory = scratch().expect("temporary files can be made");
        let path = environment().remove("PATH").unwrap_or_default();
        let setup = self.setup(directory.path(), &path, None);
        let system = runtime.block_on(setup).into();
        Rigged {
            suite: Suite { name, system },
            rest: Rest {
                _directory: Some(directory),
                _fake: None,
            },
        }
    }

    /// Returns the suite with every case ignored, for this reason.
    pub fn not_here(name: &'static str, reason: &str) -> Rigged {
        let system = System::NotHere(reason.to_owned());
        Rigged {
            suite: Suite { name, system },
            rest: Rest::default(),
        }
    }

    /// Connects to the programs in `searched`. Without `native`, requests that name no partition go to the
    /// one that the backend says is the default.
    async fn setup(
        &self,
        scratch: &Path,
        searched: &str,
        native: Option<String>,
    ) -> Result<Setup, String> {
        let mut options = ConnectOptions {
            environment: marked(environment()),
            ..ConnectOptions::default()
        };
        if native.is_some() {
            options.bin_dir = Some(searched.into());
        }
        let connect = |options: &ConnectOptions| {
            let connecting = self.registry.connect(self.backend, options.clone());
            async { connecting.await.map_err(|error| error.to_string()) }
        };
        let known = connect(&options).await?.capabilities().partitions.clone();
        let default = known.into_iter().find(|partition| partition.is_default);
        let native = native.or(default.map(|partition| partition.name));
        let mapped_partition = native.map(|native| ("reflow-logical".to_owned(), native));
        options.partitions.extend(mapped_partition.clone());
        Ok(Setup {
            rig: BTreeMap::from([(Part::SecondConnection, connect(&options).await?)]),
            unknown_partition: Some("reflow-no-such-partition".into()),
            mapped_partition,
            shortest_walltime: self.shortest_walltime,
            faulty: Some(Arc::new(Clients {
                registry: self.registry.clone(),
                backend: self.backend,
                options: options.clone(),
                family: self.family,
                searched: searched.to_owned(),
            })),
            ..setup_over(connect(&options).await?, scratch)
        })
    }
}
