use std::collections::BTreeMap;

use reflow_core::workflow::{Description, Graph};
use serde_json::{Value, json};

use super::random::{Random, mix};

/// Makes a workflow of two to eight tasks with all kinds of wires.
pub(super) fn random(random: &mut Random) -> Graph {
    let mut tasks: Vec<Value> = Vec::new();
    // Name, whether it is an array, whether it returns a list.
    let mut made: Vec<(String, bool, bool)> = Vec::new();
    let count = 2 + random.below(7);
    for number in 0..count {
        let name = format!("t{number}");
        let array = made.iter().any(|(_, array, list)| *array || *list) && random.happens(550);
        let list = random.happens(400);
        let mut parameters = Vec::new();
        if array {
            let sources: Vec<_> = made
                .iter()
                .filter(|(_, array, list)| *array || *list)
                .cloned()
                .collect();
            let source = random.one(&sources).0.clone();
            let is_joined = random.happens(200);
            if is_joined {
                // Several steps one behind the other, single tasks among them.
                let other = random.one(&made).0.clone();
                let steps = if random.happens(500) {
                    [source.as_str(), other.as_str()]
                } else {
                    [other.as_str(), source.as_str()]
                };
                parameters.push(parameter("item", "int", &steps, true, false));
            } else {
                parameters.push(parameter("item", "int", &[&source], false, false));
            }
            if random.happens(200) {
                let (other, _, _) = random.one(&made).clone();
                let (_, other_array, other_list) = made
                    .iter()
                    .find(|(name, _, _)| *name == other)
                    .expect("it is one of them");
                let ty = if *other_array || *other_list {
                    "list[int]"
                } else {
                    "int"
                };
                parameters.push(parameter("all", ty, &[&other], false, true));
            }
            if !is_joined && random.happens(100) {
                // Zipped with itself: equal lengths by construction.
                parameters.push(parameter("again", "int", &[&source], false, false));
            }
        } else if !made.is_empty() && random.happens(850) {
            for position in 0..=random.below(2) {
                let (source, source_array, source_list) = random.one(&made).clone();
                let name = format!("p{position}");
                if random.happens(250) {
                    let other = random.one(&made).0.clone();
                    parameters.push(parameter(
                        &name,
                        "list[int]",
                        &[&source, &other],
                        true,
                        false,
                    ));
                } else {
                    let ty = if source_array || source_list {
                        "list[int]"
                    } else {
                        "int"
                    };
                    parameters.push(parameter(&name, ty, &[&source], false, false));
                }
            }
        }
        let after: Vec<&str> = if !made.is_empty() && random.happens(150) {
            vec![random.one(&made).0.as_str()]
        } else {
            Vec::new()
        };
        let mut task = json!({
            "name": name,
            "array": array,
            "parameters": parameters,
            "returns": if list { "list[int]" } else { "int" },
            "after": after,
        });
        if array && random.happens(300) {
            task["array_parallelism"] = json!(1 + random.below(3));
        }
        if array && random.happens(200) {
            task["batch"] = json!(1 + random.below(3));
        }
        if random.happens(300) {
            task["retry"] = json!({ "retries": 1 + random.below(2) });
        }
        tasks.push(task);
        made.push((name, array, list));
    }
    let description: Description =
        serde_json::from_value(json!({ "schema": 1, "name": "sim", "tasks": tasks }))
            .expect("the description is well formed");
    Graph::check(description).expect("the workflow is valid by construction")
}

fn parameter(name: &str, ty: &str, steps: &[&str], concatenate: bool, broadcast: bool) -> Value {
    json!({ "name": name, "type": ty, "kind": "result", "steps": steps, "concatenate": concatenate, "broadcast": broadcast })
}

/// Returns whether the first try of an element fails for no reason that a second would meet again.
pub(super) fn is_flaky(seed: u64, task: &str, element: u32) -> bool {
    let number = task
        .bytes()
        .fold(seed, |number, byte| mix(number ^ u64::from(byte)));
    mix(number.rotate_left(7) ^ u64::from(element)).is_multiple_of(10)
}

/// Returns what the body of a task returns for its inputs, or none where it fails.
pub(super) fn body(
    seed: u64,
    task: &str,
    element: u32,
    returns_list: bool,
    inputs: &BTreeMap<String, Value>,
) -> Option<Value> {
    let number = of_task(seed, task);
    if mix(number ^ u64::from(element)).is_multiple_of(12) {
        return None;
    }
    Some(value(seed, task, returns_list, inputs))
}

/// Returns what the body of a task returns for its inputs, where it does not fail.
pub(super) fn value(
    seed: u64,
    task: &str,
    returns_list: bool,
    inputs: &BTreeMap<String, Value>,
) -> Value {
    let mut number = of_task(seed, task);
    for (name, value) in inputs {
        number = mix(number ^ name.len() as u64 ^ digest(value));
    }
    if returns_list {
        Value::from(
            (0..number % 4)
                .map(|item| mix(number ^ item) % 1000)
                .collect::<Vec<_>>(),
        )
    } else {
        Value::from(number % 1000)
    }
}

fn of_task(seed: u64, task: &str) -> u64 {
    let number = |number, byte| mix(number ^ u64::from(byte));
    task.bytes().fold(seed, number)
}

fn digest(value: &Value) -> u64 {
    value
        .to_string()
        .bytes()
        .fold(7, |number, byte| mix(number ^ u64::from(byte)))
}
