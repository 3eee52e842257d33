use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use reflow_core::config::{FileKind, FileLayer, Layer, Origin, Resolved};

use crate::app::GlobalArgs;
use crate::error::CliError;
use crate::surroundings::Surroundings;

/// The variables that set a key, and the key that each one sets.
pub(crate) const VARIABLES: [(&str, &str); 6] = [
    ("REFLOW_BACKEND", "default_backend"),
    ("REFLOW_STORE", "store"),
    ("REFLOW_DISPATCH", "dispatch"),
    ("REFLOW_ENV", "env"),
    ("REFLOW_LATENCY", "latency"),
    ("REFLOW_LAUNCHER", "launcher"),
];

/// A flag, the key that it sets, and its value where it was given.
pub(crate) type Given<'a> = (&'a str, &'a str, Option<&'a str>);

/// The configuration with the files that were looked for.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    /// What all layers together mean.
    pub(crate) resolved: Resolved,
    /// The files, the lowest layer first, with whether each one is there.
    pub(crate) files: Vec<(FileLayer, PathBuf, bool)>,
}

/// Puts all layers together. `project` is the `reflow.toml` of the project, if there is one.
pub(crate) fn read(
    surroundings: &Surroundings,
    global: &GlobalArgs,
    project: Option<&Path>,
    flags_of_command: &[Given<'_>],
) -> Result<Configuration, CliError> {
    let mut layers = vec![defaults(surroundings)?];
    let mut files = Vec::new();
    let given = global.config.clone().or_else(|| {
        let named = surroundings.variable("REFLOW_CONFIG")?;
        Some(PathBuf::from(named))
    });
    if let Some(given) = given {
        let path = surroundings.absolute(&given);
        let text = read_file(&path)?.ok_or_else(|| {
            CliError::request(format!(
                "the configuration file `{}` does not exist",
                path.display()
            ))
        })?;
        let kind = FileKind::Configuration(FileLayer::Given);
        layers.push(Layer::parse(&text, &path, kind)?);
        files.push((FileLayer::Given, path, true));
    } else {
        let system = Some((FileLayer::System, surroundings.system_configuration()));
        let user = surroundings
            .user_configuration()
            .map(|path| (FileLayer::User, path));
        for (layer, path) in system.into_iter().chain(user) {
            let text = read_file(&path)?;
            files.push((layer, path.clone(), text.is_some()));
            if let Some(text) = text {
                layers.push(Layer::parse(&text, &path, FileKind::Configuration(layer))?);
            }
        }
    }
    if let Some(path) = project
        && let Some(text) = read_file(path)?
    {
        layers.push(Layer::parse(&text, path, FileKind::Project)?);
        files.push((FileLayer::Project, path.to_owned(), true));
    }
    layers.push(variables(surroundings)?);
    layers.push(flags(surroundings, global, flags_of_command)?);
    Ok(Configuration {
        resolved: Resolved::new(layers),
        files,
    })
}

/// A configuration that could not be read.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Why.
    pub(crate) error: CliError,
}

/// Returns the configuration without any file: what is left where one of them is wrong.
pub(crate) fn without_files(
    surroundings: &Surroundings,
    global: &GlobalArgs,
) -> Result<Configuration, CliError> {
    let layers = [defaults(surroundings)?, flags(surroundings, global, &[])?];
    Ok(Configuration {
        resolved: Resolved::new(layers),
        files: Vec::new(),
    })
}

/// Returns the nearest `reflow.toml` from `directory` upwards.
pub(crate) fn find_project(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .map(|directory| directory.join("reflow.toml"))
        .find(|path| path.is_file())
}

fn defaults(surroundings: &Surroundings) -> Result<Layer, CliError> {
    let mut layer = Layer::default();
    let store = surroundings.default_store();
    if let Some(store) = store.as_deref().and_then(Path::to_str) {
        layer.set(&["store"], store, Origin::Default)?;
    }
    Ok(layer)
}

fn variables(surroundings: &Surroundings) -> Result<Layer, CliError> {
    let mut layer = Layer::default();
    for (name, key) in VARIABLES {
        if let Some(text) = surroundings.text(name) {
            let origin = Origin::Variable {
                name: name.to_owned(),
            };
            set(&mut layer, surroundings, key, text, origin)?;
        }
    }
    Ok(layer)
}

fn flags(
    surroundings: &Surroundings,
    global: &GlobalArgs,
    of_command: &[Given<'_>],
) -> Result<Layer, CliError> {
    let mut layer = Layer::default();
    let of_all = [
        ("--backend", "default_backend", global.backend.as_deref()),
        ("--store", "store", global.store.as_deref()),
    ];
    for &(name, key, value) in of_all.iter().chain(of_command) {
        if let Some(text) = value {
            let origin = Origin::Flag {
                name: name.to_owned(),
            };
            set(&mut layer, surroundings, key, text, origin)?;
        }
    }
    Ok(layer)
}

fn set(
    layer: &mut Layer,
    surroundings: &Surroundings,
    key: &str,
    text: &str,
    origin: Origin,
) -> Result<(), CliError> {
    let absolute = surroundings.absolute(Path::new(text));
    let text = match (key, absolute.to_str()) {
        ("store", Some(absolute)) => absolute,
        _ => text,
    };
    Ok(layer.set(&[key], text, origin)?)
}

fn read_file(path: &Path) -> Result<Option<String>, CliError> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(CliError::from_error(crate::error::Kind::Request, &error)
            .doing("the configuration cannot be read")),
    }
}
