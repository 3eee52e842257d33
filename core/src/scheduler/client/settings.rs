use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::nearest::misspelt;
use crate::scheduler::{SchedulerError, SchedulerErrorKind};

/// Reads a backend's own settings. `keys` are those of `T`, which has a default for each.
///
/// # Errors
/// [`SchedulerErrorKind::InvalidRequest`] for an unknown key, with the nearest known one, and for a
/// value that does not fit, with its key.
pub fn read_settings<T: DeserializeOwned>(
    backend: &str,
    settings: &Map<String, Value>,
    keys: &[&'static str],
) -> Result<T, SchedulerError> {
    for (key, value) in settings {
        if !keys.contains(&key.as_str()) {
            return Err(unknown(backend, key, keys));
        }
        let single = Map::from_iter([(key.clone(), value.clone())]);
        let read: Result<T, _> = serde_json::from_value(Value::Object(single));
        read.map_err(|error| invalid(format!("`backend.{backend}.{key}` does not fit: {error}")))?;
    }
    serde_json::from_value(Value::Object(settings.clone()))
        .map_err(|error| invalid(format!("`backend.{backend}` does not fit: {error}")))
}

fn unknown(backend: &str, key: &str, keys: &[&'static str]) -> SchedulerError {
    let error = invalid(format!("unknown key `backend.{backend}.{key}`"));
    match misspelt(key, keys.iter().copied()) {
        Some(known) => error.with_context("nearest key", format!("`{known}`")),
        None => error.with_context("known keys", keys.join(" ")),
    }
}

fn invalid(message: String) -> SchedulerError {
    SchedulerError::new(SchedulerErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Settings {
        cluster: Option<String>,
        days: Option<u32>,
    }

    fn read(settings: &Value) -> Result<Settings, String> {
        let settings = settings.as_object().expect("is an object");
        read_settings("x", settings, &["cluster", "days"]).map_err(|error| error.to_string())
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_and_values_with_their_key() {
        insta::assert_snapshot!(read(&json!({"clustre": "a"})).expect_err("is unknown"), @"unknown key `backend.x.clustre` (nearest key: `cluster`)");
        insta::assert_snapshot!(read(&json!({"colour": "a"})).expect_err("is unknown"), @"unknown key `backend.x.colour` (known keys: cluster days)");
        insta::assert_snapshot!(read(&json!({"cluster": "a", "days": "x"})).expect_err("is no number"), @r#"`backend.x.days` does not fit: invalid type: string "x", expected u32"#);
        let cluster = Some("a".to_owned());
        assert_eq!(
            read(&json!({"cluster": "a", "days": 3})),
            Ok(Settings {
                cluster,
                days: Some(3)
            })
        );
    }
}
