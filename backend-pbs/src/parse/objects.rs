use std::collections::BTreeMap;

use serde_json::Value;

use super::repair::repair;

/// Servers or queues, each with its attributes: `resources_max.walltime` and so on.
pub(crate) type Objects = Vec<(String, BTreeMap<String, String>)>;

/// Reads the answer of `qstat -B -f -F json` or `qstat -Q -f -F json`, whose objects are under `key`. None
/// for what is no such answer.
pub(crate) fn json(text: &str, key: &str) -> Option<Objects> {
    let text = &text[text.find('{')?..];
    let read = |text: &str| -> Option<Value> {
        // The first value alone: what comes after it is not looked at.
        let mut values = serde_json::Deserializer::from_str(text).into_iter();
        values.next()?.ok()
    };
    let value = read(text).or_else(|| read(&repair(text)))?;
    let objects = value.get(key)?.as_object()?;
    Some(
        objects
            .iter()
            .map(|(name, attributes)| {
                let mut flat = BTreeMap::new();
                flatten(&mut flat, "", attributes);
                (name.clone(), flat)
            })
            .collect(),
    )
}

fn flatten(into: &mut BTreeMap<String, String>, prefix: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                flatten(into, &name, value);
            }
        }
        Value::String(text) => {
            into.insert(prefix.to_owned(), text.clone());
        }
        Value::Bool(truth) => {
            let word = if *truth { "True" } else { "False" };
            into.insert(prefix.to_owned(), word.to_owned());
        }
        Value::Null | Value::Array(_) => {}
        Value::Number(number) => {
            into.insert(prefix.to_owned(), number.to_string());
        }
    }
}

/// Reads the answer of `qstat -B -f` or `qstat -Q -f`: `Server: NAME`, or `Queue: NAME`, and lines of
/// `    name = value`.
pub(crate) fn text(text: &str, key: &str) -> Objects {
    let mut objects = Objects::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let (Some(name), Some((_, attributes))) = (&last, objects.last_mut()) {
                let value: &mut String = attributes.entry(String::clone(name)).or_default();
                value.push_str(more.trim_end());
            }
        } else if let Some(name) = line
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(':'))
        {
            objects.push((name.trim().to_owned(), BTreeMap::new()));
        } else if let (Some((name, value)), Some((_, attributes))) =
            (line.split_once(" = "), objects.last_mut())
        {
            last = Some(name.trim().to_owned());
            attributes.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    objects
}
