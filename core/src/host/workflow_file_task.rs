//! One task of a workflow file.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::template::escaped;
use super::workflow_file_reader::{Item, Reader, Table, in_order};
use super::{CommandBody, DEFAULT_INTERPRETER, Output, Program};
use crate::error::Hint;
use crate::id::{ParameterName, TaskName};
use crate::scheduler::{RESOURCE_KEYS, Resources};
use crate::workflow::{
    CacheOptions, ParameterDescription, ParameterKind, RetryOptions, TaskDescription, Type,
};

/// The keys of a task, besides the resources of one element.
const OWN_KEYS: [&str; 20] = [
    "after",
    "array",
    "array_parallelism",
    "batch",
    "cache",
    "command",
    "doc",
    "env",
    "extra",
    "interpreter",
    "output",
    "params",
    "retries",
    "retry_mem",
    "retry_time",
    "returns",
    "setup",
    "shell",
    "verify",
    "version",
];

/// Returns the keys of a task.
pub(super) fn task_keys() -> Vec<&'static str> {
    let mut keys = [&OWN_KEYS[..], &RESOURCE_KEYS[..]].concat();
    keys.sort_unstable();
    keys
}

pub(super) const PARAMETER_KEYS: [&str; 8] = [
    "broadcast",
    "default",
    "help",
    "namespace",
    "result",
    "results",
    "short",
    "type",
];

/// Reads a task. Nothing is returned where so much is wrong that other tasks could not be checked
/// against it.
pub(super) fn task(
    reader: &mut Reader<'_>,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    item: &Item<'_>,
    directory: &str,
) -> Option<TaskDescription> {
    let place = format!("tasks.{}", key.get_ref());
    let name = TaskName::new(key.get_ref().as_ref())
        .map_err(|error| reader.refuse(key.span(), &place, error.to_string(), None))
        .ok();
    let table = reader.table(item, &place, &task_keys())?;
    let parameters = parameters(reader, &table, directory);
    let returns = match table.get("returns") {
        Some((item, place)) => ty(reader, item, &place),
        None => Some(Type::None),
    };
    let body = body(reader, &table);
    let mut setup = table.read("setup", |item, place| reader.texts(item, place, true));
    if let Some(lines) = &mut setup {
        // Lines are lines, however they are written.
        *lines = lines
            .iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect();
    }
    let environment = table.read("env", |item, place| reader.text_map(item, place));
    let fingerprint = body
        .as_ref()
        .map(|body| fingerprint(&(body, &setup, &environment)));
    let verify = table.read("verify", |item, place| reader.text(item, place));
    let task = TaskDescription {
        name: name?,
        flow: None,
        name_in_flow: None,
        doc: table
            .read("doc", |item, place| reader.text(item, place))
            .unwrap_or_default(),
        array: table
            .read("array", |item, place| reader.flag(item, place))
            .unwrap_or(false),
        array_parallelism: table.read("array_parallelism", |item, place| reader.count(item, place)),
        resources: resources(reader, &table),
        extra: table
            .read("extra", |item, place| reader.texts(item, place, false))
            .unwrap_or_default(),
        setup: setup.unwrap_or_default(),
        environment: environment.unwrap_or_default(),
        parameters: parameters?,
        returns: returns?,
        after: table
            .read("after", |item, place| reader.texts(item, place, true))
            .unwrap_or_default(),
        cache: cache(reader, &table),
        version: table.read("version", |item, place| version(reader, item, place)),
        fingerprint,
        retry: RetryOptions {
            retries: table
                .read("retries", |item, place| reader.count(item, place))
                .unwrap_or(0),
            mem: table.read("retry_mem", |item, place| reader.number(item, place)),
            time: table.read("retry_time", |item, place| reader.number(item, place)),
        },
        batch: table.read("batch", |item, place| reader.count(item, place)),
        verify: verify.is_some(),
        body: body.map(|body| absolute_program(CommandBody { verify, ..body }, directory)),
    };
    Some(task)
}

/// A digest of what runs, as it is written, so that moving the project changes nothing.
fn fingerprint(code: &impl serde::Serialize) -> String {
    let text = serde_json::to_vec(code).expect("plain data is always JSON");
    blake3::hash(&text).to_hex().to_string()
}

fn absolute_program(mut body: CommandBody, directory: &str) -> Value {
    if let Program::Command(words) = &mut body.program
        && let Some(program) = words.first_mut()
        && program.contains('/')
        && !program.starts_with(['/', '{'])
    {
        let directory = escaped(directory.trim_end_matches('/'));
        *program = format!("{directory}/{}", program.trim_start_matches("./"));
    }
    serde_json::to_value(body).expect("plain data is always JSON")
}

fn ty(reader: &mut Reader<'_>, item: &Item<'_>, place: &str) -> Option<Type> {
    let DeValue::String(text) = item.get_ref() else {
        reader.refuse(item.span(), place, "expected a type, as a text", None);
        return None;
    };
    text.parse::<Type>()
        .map_err(|error| reader.refuse(item.span(), place, error.to_string(), error.hint()))
        .ok()
}

fn version(reader: &mut Reader<'_>, item: &Item<'_>, place: &str) -> Option<String> {
    match item.get_ref() {
        DeValue::Integer(number) => Some(number.to_string()),
        _ => reader.text(item, place),
    }
}

fn body(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<CommandBody> {
    let command = table.read("command", |item, place| {
        if let DeValue::String(_) = item.get_ref() {
            let advice = "write each word as a text of its own, or use `shell`".to_owned();
            let message = "expected a list of texts, got a text";
            reader.refuse(item.span(), place, message, Some(advice));
            return None;
        }
        reader.texts(item, place, false)
    });
    let script = table.read("shell", |item, place| reader.text(item, place));
    let interpreter = table.read("interpreter", |item, place| {
        reader.texts(item, place, false)
    });
    let output = match table.get("output") {
        Some((item, place)) => output(reader, item, &place),
        None => Some(Output::Text),
    };
    let mut refuse = |key: &str, message: &str| {
        reader.refuse(table.key_span(key), &table.place, message, None);
    };
    let program = match (table.get("command"), table.get("shell")) {
        (Some(_), Some(_)) => {
            refuse("shell", "a task has `command` or `shell`, not both");
            return None;
        }
        (None, None) => {
            refuse("", "a task needs a `command` or a `shell`");
            return None;
        }
        (Some(_), None) => {
            if table.get("interpreter").is_some() {
                refuse("interpreter", "`interpreter` is for `shell`");
            }
            Program::Command(command?)
        }
        (None, Some(_)) => Program::Shell {
            script: script?,
            interpreter: match table.get("interpreter") {
                Some(_) => interpreter?,
                None => DEFAULT_INTERPRETER.map(str::to_owned).to_vec(),
            },
        },
    };
    Some(CommandBody {
        program,
        output: output?,
        verify: None,
    })
}

fn output(reader: &mut Reader<'_>, item: &Item<'_>, place: &str) -> Option<Output> {
    const FORMS: [&str; 3] = ["text", "lines", "json"];
    match item.get_ref() {
        DeValue::String(form) => match form.as_ref() {
            "text" => Some(Output::Text),
            "lines" => Some(Output::Lines),
            "json" => Some(Output::Json),
            other => {
                let advice = match crate::nearest::nearest(other, FORMS) {
                    Some(form) => format!("nearest: `{form}`"),
                    None => "text, lines, json, { glob = ... } or { file = ... }".to_owned(),
                };
                let message = format!("there is no output `{other}`");
                reader.refuse(item.span(), place, message, Some(advice));
                None
            }
        },
        DeValue::Table(_) => {
            let table = reader.table(item, place, &["file", "glob"])?;
            let glob = table.read("glob", |item, place| reader.text(item, place));
            let file = table.read("file", |item, place| reader.text(item, place));
            if table.entries.len() != 1 {
                let message = "an output has either `glob` or `file`";
                reader.refuse(item.span(), place, message, None);
                return None;
            }
            glob.map(Output::Glob).or(file.map(Output::File))
        }
        _ => {
            reader.wrong_type(
                item,
                place,
                "text, lines, json, { glob = ... } or { file = ... }",
            );
            None
        }
    }
}

fn cache(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> CacheOptions {
    let mut cache = CacheOptions::default();
    let Some((item, place)) = table.get("cache") else {
        return cache;
    };
    if let DeValue::Boolean(enabled) = item.get_ref() {
        cache.enabled = *enabled;
        return cache;
    }
    if let Some(options) = reader.table(item, &place, &["code", "enabled", "shared"]) {
        for (key, option) in [
            ("code", &mut cache.code),
            ("enabled", &mut cache.enabled),
            ("shared", &mut cache.shared),
        ] {
            if let Some(flag) = options.read(key, |item, place| reader.flag(item, place)) {
                *option = flag;
            }
        }
    }
    cache
}

fn resources(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Resources {
    let mut resources = Resources::default();
    for key in RESOURCE_KEYS {
        let Some((item, place)) = table.get(key) else {
            continue;
        };
        let nested: &[&str] = match key {
            "signal" => &["before", "name"],
            "mail" => &["on", "to"],
            _ => &[],
        };
        if !nested.is_empty() && reader.table(item, &place, nested).is_none() {
            continue;
        }
        let value = match (key, item.get_ref()) {
            // A count of GPUs is a number, and whole nodes are wanted or not. Memory and time
            // without a unit are refused as such.
            ("gpus" | "mem" | "time", DeValue::Integer(number)) => {
                Some(Value::from(number.to_string()))
            }
            ("exclusive", DeValue::Boolean(true)) => Some(Value::from("node")),
            ("exclusive", DeValue::Boolean(false)) => continue,
            _ => reader.json(item, &place),
        };
        let Some(value) = value else { continue };
        if key == "queue" && table.get("partition").is_some() {
            let message = "`queue` is another word for `partition`: write one of them";
            reader.refuse(table.key_span(key), &table.place, message, None);
            continue;
        }
        let one = Value::Object([(key.to_owned(), value)].into_iter().collect());
        match serde_json::from_value::<Resources>(one) {
            Ok(one) => resources = resources.or(&one),
            Err(error) => {
                let unknown_key = nested
                    .iter()
                    .any(|_| error.to_string().contains("unknown field"));
                if !unknown_key {
                    reader.refuse(item.span(), &place, error.to_string(), None);
                }
            }
        }
    }
    resources
}

fn parameters(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    directory: &str,
) -> Option<Vec<ParameterDescription>> {
    let Some((item, place)) = table.get("params") else {
        return Some(Vec::new());
    };
    let DeValue::Table(entries) = item.get_ref() else {
        reader.wrong_type(item, &place, "a table of parameters");
        return None;
    };
    // All are read, so that all errors are seen.
    let parameters: Vec<_> = in_order(entries)
        .into_iter()
        .map(|(key, item)| {
            let place = format!("{place}.{}", key.get_ref());
            let name = ParameterName::new(key.get_ref().as_ref())
                .map_err(|error| reader.refuse(key.span(), &place, error.to_string(), None))
                .ok();
            let parameter = parameter(reader, item, &place, directory);
            let (ty, kind, help) = parameter?;
            Some(ParameterDescription {
                name: name?,
                ty,
                kind,
                help,
            })
        })
        .collect();
    parameters.into_iter().collect()
}

fn parameter(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    place: &str,
    directory: &str,
) -> Option<(Type, ParameterKind, String)> {
    let table = reader.table(item, place, &PARAMETER_KEYS)?;
    if table.get("type").is_none() {
        let message = "a parameter needs a `type`";
        reader.refuse(table.span.clone(), place, message, None);
    }
    let ty = table.read("type", |item, place| ty(reader, item, place));
    let help = table
        .read("help", |item, place| reader.text(item, place))
        .unwrap_or_default();
    let result = table.read("result", |item, place| reader.text(item, place));
    let results = table.read("results", |item, place| reader.texts(item, place, false));
    let broadcast = table.read("broadcast", |item, place| reader.flag(item, place));
    let takes_results = table.get("result").is_some() || table.get("results").is_some();
    let misplaced: &[&str] = if takes_results {
        &["default", "short", "namespace"]
    } else {
        &["broadcast"]
    };
    for key in misplaced {
        if table.get(key).is_some() {
            let message = if takes_results {
                format!("`{key}` is for parameters that the caller gives, not for results")
            } else {
                format!("`{key}` is for parameters with `result` or `results`")
            };
            reader.refuse(table.key_span(key), place, message, None);
        }
    }
    if takes_results {
        if table.get("result").is_some() && table.get("results").is_some() {
            let message = "a parameter has `result` or `results`, not both";
            reader.refuse(table.key_span("results"), place, message, None);
            return None;
        }
        let concatenate = table.get("results").is_some();
        let kind = ParameterKind::Result {
            steps: results.or(result.map(|name| vec![name]))?,
            concatenate,
            broadcast: broadcast.unwrap_or(false),
        };
        return Some((ty?, kind, help));
    }
    let short = table.read("short", |item, place| short(reader, item, place));
    let local = table.read("namespace", |item, place| namespace(reader, item, place));
    let mut default = table.read("default", |item, place| reader.json(item, place));
    let ty = ty?;
    if let Some(default) = &mut default {
        ty.make_absolute(default, directory);
    }
    let kind = ParameterKind::Plain {
        default,
        short,
        local: local.unwrap_or(false),
    };
    Some((ty, kind, help))
}

fn short(reader: &mut Reader<'_>, item: &Item<'_>, place: &str) -> Option<char> {
    let text = reader.text(item, place)?;
    let mut letters = text.trim_start_matches('-').chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Some(letter);
    }
    let message = format!("`{text}` cannot be a short flag: write one letter");
    reader.refuse(item.span(), place, message, None);
    None
}

fn namespace(reader: &mut Reader<'_>, item: &Item<'_>, place: &str) -> Option<bool> {
    let text = reader.text(item, place)?;
    match text.as_str() {
        "local" => Some(true),
        "global" => Some(false),
        other => {
            let message = format!("a namespace is `local` or `global`, not `{other}`");
            reader.refuse(item.span(), place, message, None);
            None
        }
    }
}
