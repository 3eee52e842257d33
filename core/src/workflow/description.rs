use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Type;
use super::fault::{CheckErrors, CheckFault, Faults};
use crate::id::{ParameterName, TaskName, WorkflowName};
use crate::scheduler::Resources;

/// The version of the description document that this engine reads and writes.
pub const SCHEMA: u32 = 1;

/// A workflow as a task host describes it: the only thing the engine knows about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The name of the workflow.
    pub name: WorkflowName,
    /// What it does, for `--help`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Its tasks, in the order of definition.
    pub tasks: Vec<TaskDescription>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDescription {
    /// The name, with the prefixes of the flows it was included under.
    pub name: TaskName,
    /// The flow that defined it, where that is not the workflow itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<WorkflowName>,
    /// The name that flow gave it, where it was included under a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_in_flow: Option<TaskName>,
    /// What it does, for `--help`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Whether it has one element per item of its inputs.
    #[serde(default)]
    pub array: bool,
    /// Most elements running at the same time, over all submissions of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_parallelism: Option<u32>,
    /// What one element needs.
    #[serde(default)]
    pub resources: Resources,
    /// Native flags of the batch system, added last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<String>,
    /// Shell lines run before the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Variables of the body.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub environment: std::collections::BTreeMap<String, String>,
    /// Its parameters, in the order of definition.
    #[serde(default)]
    pub parameters: Vec<ParameterDescription>,
    /// What one element returns.
    pub returns: Type,
    /// Tasks that must have succeeded before, without data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether and how results are remembered.
    #[serde(default)]
    pub cache: CacheOptions,
    /// Bumped by the user to invalidate remembered results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A digest of the code, where the host can give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Attempts made by reflow itself after a failure.
    #[serde(default)]
    pub retry: RetryOptions,
    /// Elements run one after another in one array index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Whether the host can verify a remembered value.
    #[serde(default)]
    pub verify: bool,
    /// What the host wants back with every call: opaque to the engine. For a command task, the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Whether and how results of a task are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheOptions {
    /// Whether they are remembered at all.
    pub enabled: bool,
    /// Whether the code counts, besides `version`.
    pub code: bool,
    /// Whether other workflows may use them.
    pub shared: bool,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            code: true,
            shared: false,
        }
    }
}

/// Attempts made by reflow itself after a failure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryOptions {
    /// Number of further attempts.
    pub retries: u32,
    /// Factor on the memory after an attempt that was over its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<f64>,
    /// Factor on the walltime after an attempt that was over its walltime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawParameter")]
pub struct ParameterDescription {
    /// The name.
    pub name: ParameterName,
    /// What the task takes.
    #[serde(rename = "type")]
    pub ty: Type,
    /// Where the value comes from.
    #[serde(flatten)]
    pub kind: ParameterKind,
    /// For `--help`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// Where the value of a parameter comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ParameterKind {
    /// From the command line or the caller.
    Plain {
        /// The value when none is given. Without one, and where the type is not optional, the
        /// parameter is required.
        #[serde(skip_serializing_if = "Option::is_none")]
        default: Option<Value>,
        /// A one-letter flag.
        #[serde(skip_serializing_if = "Option::is_none")]
        short: Option<char>,
        /// Whether the flag is `--task-name` and belongs to this task alone; otherwise parameters of
        /// one name are one flag.
        local: bool,
    },
    /// From upstream tasks.
    Result {
        /// Their names, in the order in which their items are put together.
        steps: Vec<String>,
        /// Whether the steps were written as a list, so that even one counts as a concatenation.
        concatenate: bool,
        /// Whether every element gets the whole value.
        broadcast: bool,
    },
    /// The run directory.
    RunDir,
}

impl TaskDescription {
    /// Returns its name without the prefix under which its flow was included.
    pub fn own_name(&self) -> &TaskName {
        self.name_in_flow.as_ref().unwrap_or(&self.name)
    }
}

impl Description {
    /// Reads a description as a task host gives it.
    ///
    /// # Errors
    /// Names and types that are not valid come all together, each with its task and parameter. A
    /// document of another form gives one error, with its place in the document.
    pub fn from_json(document: Value) -> Result<Self, CheckErrors> {
        let mut faults = Faults::default();
        let text = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
        let workflow = text(&document, "name").unwrap_or_default();
        match document.get("schema").and_then(Value::as_u64) {
            Some(found) if found != u64::from(SCHEMA) => faults.workflow(CheckFault::Schema {
                found: u32::try_from(found).unwrap_or(u32::MAX),
            }),
            _ => {}
        }
        for task in entries(&document, "tasks") {
            let name = text(task, "name").unwrap_or_default();
            if let Err(error) = TaskName::new(name.clone()) {
                faults.task(&name, error);
            }
            if let Some(Err(error)) = text(task, "returns").map(|ty| ty.parse::<Type>()) {
                faults.task(&name, error);
            }
            for parameter in entries(task, "parameters") {
                let own = text(parameter, "name").unwrap_or_default();
                if let Err(error) = ParameterName::new(own.clone()) {
                    faults.parameter(&name, &own, error);
                }
                if let Some(Err(error)) = text(parameter, "type").map(|ty| ty.parse::<Type>()) {
                    faults.parameter(&name, &own, error);
                }
            }
        }
        if faults.0.is_empty() {
            match serde_path_to_error::deserialize(document) {
                Ok(description) => return Ok(description),
                Err(error) => faults.workflow(CheckFault::Document(error.to_string())),
            }
        }
        Err(CheckErrors {
            workflow,
            errors: faults.0,
        })
    }
}

fn entries<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The fields of a parameter as they are written: serde cannot refuse unknown fields of a flattened
/// enum.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParameter {
    name: ParameterName,
    #[serde(rename = "type")]
    ty: Type,
    kind: RawKind,
    #[serde(default)]
    help: String,
    #[serde(default, deserialize_with = "present")]
    default: Option<Value>,
    #[serde(default)]
    short: Option<char>,
    #[serde(default)]
    local: Option<bool>,
    #[serde(default)]
    steps: Option<Vec<String>>,
    #[serde(default)]
    concatenate: Option<bool>,
    #[serde(default)]
    broadcast: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Plain,
    Result,
    RunDir,
}

/// Tells a default of `null` from no default.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl TryFrom<RawParameter> for ParameterDescription {
    type Error = String;

    fn try_from(raw: RawParameter) -> Result<Self, String> {
        let of_plain = [
            ("default", raw.default.is_some()),
            ("short", raw.short.is_some()),
            ("local", raw.local.is_some()),
        ];
        let of_result = [
            ("steps", raw.steps.is_some()),
            ("concatenate", raw.concatenate.is_some()),
            ("broadcast", raw.broadcast.is_some()),
        ];
        let refuse =
            |what: &str, fields: &[(&str, bool)]| match fields.iter().find(|(_, present)| *present)
            {
                Some((field, _)) => Err(format!("a {what} parameter has no `{field}`")),
                None => Ok(()),
            };
        let kind = match raw.kind {
            RawKind::Plain => {
                refuse("plain", &of_result)?;
                ParameterKind::Plain {
                    default: raw.default,
                    short: raw.short,
                    local: raw.local.unwrap_or(false),
                }
            }
            RawKind::Result => {
                refuse("result", &of_plain)?;
                ParameterKind::Result {
                    steps: raw.steps.ok_or("a result parameter needs `steps`")?,
                    concatenate: raw.concatenate.unwrap_or(false),
                    broadcast: raw.broadcast.unwrap_or(false),
                }
            }
            RawKind::RunDir => {
                refuse("run_dir", &of_plain)?;
                refuse("run_dir", &of_result)?;
                ParameterKind::RunDir
            }
        };
        Ok(Self {
            name: raw.name,
            ty: raw.ty,
            kind,
            help: raw.help,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameter(value: &Value) -> Result<ParameterDescription, String> {
        serde_json::from_value(value.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_parameter_survives_the_document() {
        for document in [
            json!({"name": "a", "type": "int", "kind": "plain", "local": false}),
            json!({"name": "a", "type": "optional[int]", "kind": "plain", "default": null, "short": "a", "local": true, "help": "h"}),
            json!({"name": "a", "type": "int", "kind": "result", "steps": ["x"], "concatenate": true, "broadcast": false}),
            json!({"name": "a", "type": "path", "kind": "run_dir"}),
        ] {
            let parameter = parameter(&document).expect("a parameter");
            assert_eq!(serde_json::to_value(&parameter).expect("JSON"), document);
        }
    }

    #[test]
    fn fields_of_another_kind_are_refused() {
        for document in [
            json!({"name": "a", "type": "int", "kind": "plain", "steps": []}),
            json!({"name": "a", "type": "int", "kind": "result", "steps": ["x"], "default": null}),
            json!({"name": "a", "type": "int", "kind": "result"}),
            json!({"name": "a", "type": "path", "kind": "run_dir", "short": "a"}),
            json!({"name": "a", "type": "int", "kind": "plain", "colour": 1}),
        ] {
            assert!(parameter(&document).is_err(), "{document}");
        }
    }

    #[test]
    fn names_and_types_that_are_wrong_come_together() {
        let errors = Description::from_json(json!({"schema": 1, "name": "w", "tasks": [
            {"name": "../up", "returns": "none"},
            {"name": "b", "returns": "strng", "parameters": [
                {"name": "a b", "type": "int", "kind": "plain"},
                {"name": "c", "type": "lst[int]", "kind": "plain"}]},
        ]}))
        .expect_err("four errors");
        insta::assert_snapshot!(errors, @"
        workflow `w` has 4 errors
          task `../up`: `../up` is not a valid task name: a letter, then letters, digits and `_`, at most 100 characters
          task `b`: `strng` is not a type: unknown type `strng` at character 1 (nearest type: `str`)
          task `b`, parameter `a b`: `a b` is not a valid parameter name: a letter, then letters, digits and `_`, at most 100 characters
          task `b`, parameter `c`: `lst[int]` is not a type: unknown type `lst` at character 1 (nearest type: `list`)
        ");
        let errors =
            Description::from_json(json!({"schema": 1, "name": "w", "tasks": [{"name": "a"}]}))
                .expect_err("no return type");
        insta::assert_snapshot!(errors, @"
        workflow `w` has 1 error
          the description is not valid: tasks[0]: missing field `returns`
        ");
        let errors = Description::from_json(json!({"schema": 2, "name": "w"})).expect_err("schema");
        insta::assert_snapshot!(errors, @"
        workflow `w` has 1 error
          the description has schema 2, this program reads schema 1
        ");
    }
}
