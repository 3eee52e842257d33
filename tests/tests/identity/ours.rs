//! The digest of a vector, as reflow computes it.

use std::io;

use reflow_core::id::WorkflowName;
use reflow_core::identity::{
    Digest, ElementHasher, Encoder, Given, PathContent, Producer, ValueHasher, digest_of,
    execution, task,
};
use reflow_core::workflow::{Delivery, TaskDescription, Type};
use serde_json::{Map, Value, json};

/// Returns the digest of a vector, or the one that stands in its place.
pub(crate) fn digest(vector: &Value) -> Digest {
    if let Some(text) = vector.as_str() {
        return text.parse().expect("a digest");
    }
    let input = &vector["input"];
    match vector["kind"].as_str().expect("each vector has a kind") {
        "blake3" => {
            let length = input.as_u64().expect("a number of bytes");
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            blake3::hash(&bytes).into()
        }
        "cbor" => digest_of(Encoder::default().value(input)),
        "value" => value(
            input["type"].as_str().expect("a type"),
            &input["value"],
            input,
        ),
        "tree" => tree(input),
        "execution" => execution(&digest(&input["identity"]), text(&input["tag"])),
        "task" => of_task(input),
        "element" => {
            let given = input["inputs"].as_object().expect("inputs by parameter");
            let mut names: Vec<&String> = given.keys().collect();
            names.sort_unstable();
            let given: Vec<Digest> = names.iter().map(|name| digest(&given[*name])).collect();
            ElementHasher::new(&digest(&input["task"]), given.len()).identity(&given)
        }
        other => panic!("a vector of kind {other}"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn value(ty: &str, value: &Value, context: &Value) -> Digest {
    let ty: Type = ty.parse().expect("a type");
    let hasher = ValueHasher {
        run_dir: context["run_dir"].as_str().unwrap_or("/no/run"),
        producer: match &context["execution"] {
            Value::Null => Producer::User,
            made => Producer::Execution(digest(made)),
        },
    };
    let content = &mut |path: &str| match &context["files"][path] {
        Value::Null => Err(io::Error::other(format!("{path} is not in the vector"))),
        of_file => Ok(PathContent {
            is_directory: of_file[0] == "directory",
            digest: digest(&of_file[1]),
        }),
    };
    hasher.value(&ty, value, content).expect("a digest")
}

fn of_task(input: &Value) -> Digest {
    let listed = input["parameters"].as_array().expect("parameters");
    let parameters: Vec<Value> = listed
        .iter()
        .map(|it| {
            let mut parameter = json!({"name": it["name"], "type": it["type"]});
            match it["mode"].as_str() {
                None => parameter["kind"] = json!("plain"),
                Some("run_dir") => parameter["kind"] = json!("run_dir"),
                Some(_) => {
                    parameter["kind"] = json!("result");
                    parameter["steps"] = json!(["upstream"]);
                }
            }
            parameter
        })
        .collect();
    let (workflow, flow) = match &input["scope"] {
        Value::Null => ("any", Value::Null),
        scope => (text(&scope[0]), scope[1].clone()),
    };
    let mut description: Map<String, Value> = Map::new();
    for (key, value) in [
        ("name", input["name"].clone()),
        ("flow", flow),
        ("cache", json!({"shared": input["scope"].is_null()})),
        ("version", input["version"].clone()),
        ("fingerprint", input["code"].clone()),
        ("returns", input["returns"].clone()),
        ("parameters", json!(parameters)),
    ] {
        description.insert(key.to_owned(), value);
    }
    let description: TaskDescription =
        serde_json::from_value(Value::Object(description)).expect("a task");
    let given = |name: &str| {
        let it = listed.iter().find(|it| it["name"] == name);
        let it = it.expect("a parameter of the vector");
        match it["mode"].as_str() {
            None => Given::Value(value(text(&it["type"]), &it["plain"], input)),
            Some("run_dir") => Given::RunDir,
            Some("direct") => Given::Results(Delivery::Direct),
            Some("collect") => Given::Results(Delivery::Collect),
            Some("spread") => Given::Results(Delivery::Spread),
            Some(other) => panic!("mode {other}"),
        }
    };
    task(
        &WorkflowName::new(workflow).expect("a name"),
        &description,
        given,
    )
}

/// The content of a directory that has these entries.
fn tree(entries: &Value) -> Digest {
    let entries = entries.as_array().expect("entries");
    let mut described: Vec<(Vec<u8>, &str, Vec<u8>)> = entries
        .iter()
        .map(|entry| {
            let name = match entry["name_hex"].as_str() {
                Some(hex) => data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex"),
                None => text(&entry["name"]).as_bytes().to_vec(),
            };
            if let Some(content) = entry["file"].as_str() {
                let digest = blake3::hash(content.as_bytes());
                (name, "file", digest.as_bytes().to_vec())
            } else if entry["directory"].is_array() {
                let digest = tree(&entry["directory"]);
                (name, "directory", digest.as_bytes().to_vec())
            } else {
                (name, "link", text(&entry["link"]).as_bytes().to_vec())
            }
        })
        .collect();
    described.sort();
    let mut encoder = Encoder::tagged(described.len() + 1, "reflow/tree/1");
    for (name, kind, content) in described {
        encoder
            .array(3)
            .byte_string(&name)
            .text(kind)
            .byte_string(&content);
    }
    digest_of(&encoder)
}
