use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::key;
use super::layer::{Layer, Origin, Setting};
use crate::rundir::DispatchMode;
use crate::scheduler::Resources;

/// Which of the submitter's variables a job has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentPolicy {
    /// All but those of the session and of batch systems.
    Submit,
    /// None.
    Clean,
    /// Those of the given names.
    Only(Vec<String>),
}

/// The settings of one backend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BackendSettings {
    /// Logical partition to native one.
    pub partitions: BTreeMap<String, String>,
    /// What dispatch jobs ask for.
    pub dispatch: Resources,
    /// Native flags added to dispatch jobs, last.
    pub dispatch_extra: Vec<String>,
    /// Native flags added to every job.
    pub extra: Vec<String>,
    /// Shell lines run first in every job.
    pub setup: Vec<String>,
    /// Directory of the batch system's programs.
    pub bin_dir: Option<PathBuf>,
    /// How long a file written on one node may take to be seen on another, where that was set.
    pub latency: Option<Duration>,
    /// Most elements of one run that may be queued or run in the batch system at the same time.
    pub max_queued: Option<u32>,
    /// What the backend alone understands.
    pub settings: Map<String, Value>,
}

/// What all layers together mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    settings: BTreeMap<Vec<String>, Setting>,
}

impl Resolved {
    /// Puts layers on top of the defaults, the lowest first. A value replaces the value of the same
    /// key below it; tables are joined.
    pub fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut settings = BTreeMap::new();
        let defaults = [
            ("default_backend", "local"),
            ("dispatch", "job"),
            ("env", "submit"),
        ]
        .map(|(key, value)| Setting {
            key: vec![key.to_owned()],
            value: Value::from(value),
            origin: Origin::Default,
        });
        let above = layers.into_iter().flat_map(|layer| layer.settings);
        for setting in defaults.into_iter().chain(above) {
            settings.insert(setting.key.clone(), setting);
        }
        Self { settings }
    }

    /// Returns every value with its origin, sorted by key.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.values()
    }

    /// Returns the name of the backend that runs go to.
    pub fn default_backend(&self) -> String {
        self.read(&["default_backend"])
            .unwrap_or_else(|| "local".to_owned())
    }

    /// Returns the directory of the store, if one was named.
    pub fn store(&self) -> Option<PathBuf> {
        self.read(&["store"])
    }

    /// Returns who plans a run again while it runs.
    pub fn dispatch(&self) -> DispatchMode {
        self.read(&["dispatch"]).unwrap_or_default()
    }

    /// Returns which of the submitter's variables a job has.
    pub fn environment(&self) -> EnvironmentPolicy {
        match self.value(&["env"]) {
            Some(Value::String(text)) if text == "clean" => EnvironmentPolicy::Clean,
            Some(list @ Value::Array(_)) => {
                EnvironmentPolicy::Only(serde_json::from_value(list.clone()).unwrap_or_default())
            }
            _ => EnvironmentPolicy::Submit,
        }
    }

    /// Returns how reflow is started on a node, if that was set.
    pub fn launcher(&self) -> Option<Vec<String>> {
        self.read(&["launcher"])
    }

    /// Returns the settings of the backend of that name.
    pub fn backend(&self, name: &str) -> BackendSettings {
        let mut backend = BackendSettings::default();
        let mut dispatch = Map::new();
        for setting in self.settings.values() {
            let parts: Vec<&str> = setting.key.iter().map(String::as_str).collect();
            let ["backend", of, rest @ ..] = &parts[..] else {
                continue;
            };
            if *of != name {
                continue;
            }
            let value = setting.value.clone();
            match rest {
                ["partitions", logical] => {
                    if let Value::String(native) = value {
                        backend.partitions.insert((*logical).to_owned(), native);
                    }
                }
                ["dispatch", "extra"] => backend.dispatch_extra = typed(value).unwrap_or_default(),
                ["dispatch", "queue"] => {
                    dispatch.insert("partition".to_owned(), value);
                }
                ["dispatch", field] => {
                    dispatch.insert((*field).to_owned(), value);
                }
                ["extra"] => backend.extra = typed(value).unwrap_or_default(),
                ["setup"] => backend.setup = typed(value).unwrap_or_default(),
                ["bin_dir"] => backend.bin_dir = typed(value),
                ["latency"] => backend.latency = key::time(&value),
                ["max_queued"] => backend.max_queued = key::count(&value),
                [own] => {
                    backend.settings.insert((*own).to_owned(), value);
                }
                _ => {}
            }
        }
        backend.dispatch = typed(Value::Object(dispatch)).unwrap_or_default();
        let latency_of_all = || self.value(&["latency"]).and_then(key::time);
        backend.latency = backend.latency.or_else(latency_of_all);
        backend
    }

    fn value(&self, key: &[&str]) -> Option<&Value> {
        let key: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
        self.settings.get(&key).map(|setting| &setting.value)
    }

    /// Returns the value of a key. Each value was checked to fit when its layer was read.
    fn read<T: DeserializeOwned>(&self, key: &[&str]) -> Option<T> {
        typed(self.value(key)?.clone())
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{FileKind, FileLayer};
    use crate::scheduler::Walltime;

    fn layer(kind: FileLayer, text: &str) -> Layer {
        Layer::parse(
            text,
            Path::new("/etc/reflow/config.toml"),
            FileKind::Configuration(kind),
        )
        .expect("a sound file")
    }

    #[test]
    fn a_higher_layer_wins_and_tables_are_joined() {
        let system = layer(
            FileLayer::System,
            "default_backend = \"slurm\"\n[backend.slurm.partitions]\ngpu = \"a100\"\ncpu = \"main\"\n[backend.slurm.dispatch]\ntime = \"00:05:00\"\npartition = \"short\"",
        );
        let user = layer(
            FileLayer::User,
            "[backend.slurm]\nextra = [\"-A\", \"x\"]\ntimeout = 3\n[backend.slurm.partitions]\ngpu = \"h100\"\n[backend.slurm.dispatch]\nqueue = \"tiny\"",
        );
        let mut flags = Layer::default();
        let origin = Origin::Flag {
            name: "--backend".to_owned(),
        };
        flags
            .set(&["default_backend"], "local", origin.clone())
            .expect("a sound value");
        let resolved = Resolved::new([system, user, flags]);

        assert_eq!(resolved.default_backend(), "local");
        let slurm = resolved.backend("slurm");
        assert_eq!(slurm.partitions["gpu"], "h100");
        assert_eq!(slurm.partitions["cpu"], "main");
        assert_eq!(slurm.dispatch.time.map(Walltime::seconds), Some(300));
        assert_eq!(slurm.dispatch.partition.as_deref(), Some("tiny"));
        assert_eq!(slurm.extra, ["-A", "x"]);
        assert_eq!(slurm.settings["timeout"], 3);
        assert_eq!(resolved.backend("local"), BackendSettings::default());
        let backend = resolved.settings().find(|s| s.key == ["default_backend"]);
        assert_eq!(backend.map(|setting| &setting.origin), Some(&origin));
    }

    #[test]
    fn the_latency_of_a_backend_wins_over_that_of_all() {
        let user = layer(
            FileLayer::User,
            "latency = 20\n[backend.slurm]\nlatency = \"1.5s\"\nmax_queued = 1000",
        );
        let mut variables = Layer::default();
        let origin = Origin::Variable {
            name: "REFLOW_LATENCY".to_owned(),
        };
        variables
            .set(&["latency"], "250ms", origin)
            .expect("a sound value");
        let resolved = Resolved::new([user, variables]);
        let slurm = resolved.backend("slurm");
        assert_eq!(slurm.latency, Some(Duration::from_millis(1500)));
        assert_eq!(slurm.max_queued, Some(1000));
        assert!(slurm.settings.is_empty());
        let local = resolved.backend("local");
        assert_eq!(local.latency, Some(Duration::from_millis(250)));
        assert_eq!(local.max_queued, None);
    }

    #[test]
    fn variables_are_read_by_the_kind_of_their_key() {
        let mut layer = Layer::default();
        let origin = |name: &str| Origin::Variable {
            name: name.to_owned(),
        };
        layer
            .set(&["env"], "PATH, HOME", origin("REFLOW_ENV"))
            .expect("a list of names");
        layer
            .set(
                &["launcher"],
                "apptainer exec 'my image.sif' reflow",
                origin("REFLOW_LAUNCHER"),
            )
            .expect("words");
        let error = layer
            .set(&["dispatch"], "jobs", origin("REFLOW_DISPATCH"))
            .expect_err("no such mode");
        assert_eq!(
            error.to_string(),
            "variable REFLOW_DISPATCH: `dispatch` must be one of \"job\", \"worker\", \"login\", not \"jobs\""
        );
        let resolved = Resolved::new([layer]);
        assert_eq!(
            resolved.environment(),
            EnvironmentPolicy::Only(vec!["PATH".to_owned(), "HOME".to_owned()])
        );
        assert_eq!(
            resolved.launcher().as_deref(),
            Some(&["apptainer", "exec", "my image.sif", "reflow"].map(str::to_owned)[..])
        );
        assert_eq!(resolved.dispatch(), DispatchMode::Job);
        assert_eq!(resolved.store(), None);
    }
}
