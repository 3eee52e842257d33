use std::io;

use super::UserFiles;
use crate::identity::{self, Digest, Given, Producer, ValueHasher};
use crate::rundir::RunDir;
use crate::workflow::{Graph, ParameterKind, TaskIndex};

/// Returns the digest of what is the same for all elements of a task of a run.
///
/// # Errors
/// When the content of one of the user's files is not known.
pub fn task_digest(
    dir: &RunDir,
    graph: &Graph,
    files: &UserFiles,
    task: TaskIndex,
) -> io::Result<Digest> {
    let declared = graph.declared(task);
    let hasher = ValueHasher {
        run_dir: dir.path().to_str().unwrap_or_default(),
        producer: Producer::User,
    };
    let mut given = std::collections::BTreeMap::new();
    for parameter in &declared.parameters {
        let name = parameter.name.as_str();
        let how = match &parameter.kind {
            ParameterKind::Plain { .. } => {
                let null = serde_json::Value::Null;
                let value = dir.record().parameters.get(task, name).unwrap_or(&null);
                let content = &mut |path: &str| files.content(path);
                Given::Value(hasher.value(&parameter.ty, value, content)?)
            }
            ParameterKind::RunDir => Given::RunDir,
            ParameterKind::Result { .. } => {
                let inputs = &graph.task(task).inputs;
                let input = inputs.iter().find(|input| input.parameter.as_str() == name);
                Given::Results(
                    input
                        .expect("a checked graph has a wire for each result parameter")
                        .delivery,
                )
            }
        };
        given.insert(name, how);
    }
    let workflow = &graph.description().name;
    Ok(identity::task(workflow, declared, |name| given[name]))
}
