use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Type;
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
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ParameterKind {
    /// From the command line or the caller.
    Plain {
        /// The value when none is given. Without one, and where the type is not optional, the
        /// parameter is required.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "present_value"
        )]
        default: Option<Value>,
        /// A one-letter flag.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        short: Option<char>,
        /// Whether the flag is `--task-name` and belongs to this task alone; otherwise parameters of
        /// one name are one flag.
        #[serde(default)]
        local: bool,
    },
    /// From upstream tasks.
    Result {
        /// Their names, in the order in which their items are put together.
        steps: Vec<String>,
        /// Whether the steps were written as a list, so that even one counts as a concatenation.
        #[serde(default)]
        concatenate: bool,
        /// Whether every element gets the whole value.
        #[serde(default)]
        broadcast: bool,
    },
    /// The run directory.
    RunDir,
}

/// Tells a default of `null` from no default.
mod present_value {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Value>, D::Error> {
        Value::deserialize(from).map(Some)
    }
}
