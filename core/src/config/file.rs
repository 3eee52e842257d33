use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{self, Key};
use super::layer::{FileLayer, Layer, Origin, Setting};
use super::{ConfigError, TOP_LEVEL_KEYS};

/// Which file a text is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A configuration file: every key must be known.
    Configuration(FileLayer),
    /// A project's `reflow.toml`: keys at its top that are not of the configuration belong to the
    /// workflow and are left to its loader.
    Project,
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    layer: FileLayer,
    settings: Vec<Setting>,
}

pub(super) fn parse(text: &str, path: &Path, kind: FileKind) -> Result<Layer, ConfigError> {
    let mut reader = Reader {
        text,
        path,
        layer: match kind {
            FileKind::Configuration(layer) => layer,
            FileKind::Project => FileLayer::Project,
        },
        settings: Vec::new(),
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: reader.origin(&error.span().unwrap_or_default()),
        message: error.message().trim().replace('\n', ", "),
    })?;
    for (name, value) in table.get_ref() {
        let belongs_to_workflow =
            kind == FileKind::Project && !TOP_LEVEL_KEYS.contains(&name.get_ref().as_ref());
        if !belongs_to_workflow {
            reader.read(&mut Vec::new(), name, value)?;
        }
    }
    Ok(Layer {
        settings: reader.settings,
    })
}

impl Reader<'_> {
    fn read(
        &mut self,
        tables: &mut Vec<String>,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let place = self.origin(&name.span());
        tables.push(name.get_ref().to_string());
        let kind = Key::find(tables).map_err(|unknown| unknown.at(place.clone()))?;
        let refused = |message| ConfigError::Value {
            place: self.origin(&value.span()),
            key: key::dotted(tables),
            message,
        };
        if kind == Key::Table {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(refused(format!(
                    "must be a table, not a {}",
                    value.get_ref().type_str()
                )));
            };
            if tables.len() == 1
                && let Some(bad) = table
                    .keys()
                    .find(|name| !key::is_backend_name(name.get_ref()))
            {
                return Err(ConfigError::Value {
                    place: self.origin(&bad.span()),
                    key: format!("backend.{}", bad.get_ref()),
                    message: "is not the name of a backend: lower-case letters, digits and `-`"
                        .to_owned(),
                });
            }
            for (name, value) in table {
                self.read(tables, name, value)?;
            }
        } else {
            let mut plain = to_json(value.get_ref()).map_err(refused)?;
            kind.check(&plain).map_err(refused)?;
            if kind == Key::Resource {
                Key::check_resource(name.get_ref(), &plain).map_err(refused)?;
            }
            if kind == Key::Path
                && let Some(directory) = self.path.parent()
                && let Some(text) = plain.as_str()
                && let Some(absolute) = directory.join(text).to_str()
            {
                plain = Value::from(absolute);
            }
            self.settings.push(Setting {
                key: tables.clone(),
                value: plain,
                origin: place,
            });
        }
        tables.pop();
        Ok(())
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            layer: self.layer,
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start_of_line..].chars().count() + 1,
        }
    }
}

/// Returns the value as JSON: dates as text, numbers in their own kind.
fn to_json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| format!("is out of range: {}", number.as_str()))?,
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| format!("must be a finite number, not {}", number.as_str()))?,
        DeValue::Array(list) => list
            .iter()
            .map(|item| to_json(item.get_ref()))
            .collect::<Result<_, _>>()?,
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(name, value)| Ok((name.get_ref().to_string(), to_json(value.get_ref())?)))
                .collect::<Result<Map<_, _>, String>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Result<Layer, ConfigError> {
        parse(
            text,
            Path::new("/home/ada/.config/reflow/config.toml"),
            FileKind::Configuration(FileLayer::User),
        )
    }

    fn refusal(text: &str) -> String {
        let error = user(text).expect_err("must be refused");
        match error.hint() {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn a_whole_file_is_read_key_by_key() {
        let layer = user(
            r#"
default_backend = "slurm"
store = "store"
dispatch = "login"
env = ["PATH", "HOME"]
launcher = ["apptainer", "exec", "image.sif", "reflow"]
latency = 2.5

[backend.slurm]
latency = "500ms"
max_queued = 2000
extra = ["--clusters=a"]
bin_dir = "/opt/slurm/bin"
message_timeout = 30

[backend.slurm.partitions]
gpu = "a100"

[backend.slurm.dispatch]
partition = "short"
time = "00:05:00"
"#,
        )
        .expect("a sound file");
        let lines: Vec<String> = layer
            .settings
            .iter()
            .map(|setting| format!("{} = {}", setting.dotted_key(), setting.value))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        backend.slurm.bin_dir = "/opt/slurm/bin"
        backend.slurm.dispatch.partition = "short"
        backend.slurm.dispatch.time = "00:05:00"
        backend.slurm.extra = ["--clusters=a"]
        backend.slurm.latency = "500ms"
        backend.slurm.max_queued = 2000
        backend.slurm.message_timeout = 30
        backend.slurm.partitions.gpu = "a100"
        default_backend = "slurm"
        dispatch = "login"
        env = ["PATH","HOME"]
        latency = 2.5
        launcher = ["apptainer","exec","image.sif","reflow"]
        store = "/home/ada/.config/reflow/store"
        "#);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_with_its_place() {
        insta::assert_snapshot!(refusal("defualt_backend = \"slurm\""), @r"
        /home/ada/.config/reflow/config.toml:1:1: unknown key `defualt_backend`
        hint: the nearest key is `default_backend`
        ");
        insta::assert_snapshot!(refusal("\n[backend.slurm.dispatch]\n  parition = \"short\""), @r"
        /home/ada/.config/reflow/config.toml:3:3: unknown key `backend.slurm.dispatch.parition`
        hint: the nearest key is `partition`
        ");
        insta::assert_snapshot!(refusal("colour = true"), @r"
        /home/ada/.config/reflow/config.toml:1:1: unknown key `colour`
        hint: known keys: backend, default_backend, dispatch, env, latency, launcher, store
        ");
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_its_place() {
        insta::assert_snapshot!(refusal("dispatch = \"jobs\""), @r#"/home/ada/.config/reflow/config.toml:1:12: `dispatch` must be one of "job", "worker", "login", not "jobs""#);
        insta::assert_snapshot!(refusal("backend = \"slurm\""), @"/home/ada/.config/reflow/config.toml:1:11: `backend` must be a table, not a string");
        insta::assert_snapshot!(refusal("[backend.slurm.dispatch]\nmem = 500"), @r#"/home/ada/.config/reflow/config.toml:2:7: `backend.slurm.dispatch.mem` does not fit: invalid type: integer `500`, expected a string"#);
        insta::assert_snapshot!(refusal("[backend.Slurm]\nextra = []"), @"/home/ada/.config/reflow/config.toml:1:10: `backend.Slurm` is not the name of a backend: lower-case letters, digits and `-`");
        insta::assert_snapshot!(refusal("launcher = []"), @"/home/ada/.config/reflow/config.toml:1:12: `launcher` must be a list of words, with at least one, not []");
        insta::assert_snapshot!(refusal("latency = \"30 parsecs\""), @r#"/home/ada/.config/reflow/config.toml:1:11: `latency` must be a time of at most an hour: seconds, or a number with a unit such as "500ms" or "30s", not "30 parsecs""#);
        insta::assert_snapshot!(refusal("latency = -1"), @r#"/home/ada/.config/reflow/config.toml:1:11: `latency` must be a time of at most an hour: seconds, or a number with a unit such as "500ms" or "30s", not -1"#);
        insta::assert_snapshot!(refusal("[backend.slurm]\nlatency = 3601"), @r#"/home/ada/.config/reflow/config.toml:2:11: `backend.slurm.latency` must be a time of at most an hour: seconds, or a number with a unit such as "500ms" or "30s", not 3601"#);
        insta::assert_snapshot!(refusal("[backend.slurm]\nmax_queued = 0"), @"/home/ada/.config/reflow/config.toml:2:14: `backend.slurm.max_queued` must be a whole number from 1, not 0");
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        let text = refusal("store = \"a\"\nenv = [\"PATH\"\ndispatch = 1");
        assert!(
            text.starts_with("/home/ada/.config/reflow/config.toml:3:"),
            "{text}"
        );
    }

    #[test]
    fn the_keys_of_the_workflow_are_left_alone_in_a_project_file() {
        let layer = parse(
            "default_backend = \"slurm\"\n[workflow]\nname = \"w\"\n[tasks.a]\nshell = \"true\"",
            Path::new("/p/reflow.toml"),
            FileKind::Project,
        )
        .expect("a sound file");
        assert_eq!(layer.settings.len(), 1);
    }

    #[test]
    fn every_dispatch_key_is_a_resource() {
        for key in crate::scheduler::RESOURCE_KEYS {
            let error = Key::check_resource(key, &Value::Bool(true)).err();
            assert!(
                !error
                    .as_deref()
                    .is_some_and(|text| text.contains("unknown field")),
                "{key}: {error:?}"
            );
        }
    }
}
