use super::{Digest, Encoder, digest_of};
use crate::id::WorkflowName;
use crate::workflow::{Delivery, ParameterKind, TaskDescription};

/// How a parameter counts for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A plain one: the digest of its value.
    Value(Digest),
    /// The run directory.
    RunDir,
    /// Results, delivered in this way.
    Results(Delivery),
}

/// Returns the digest of what is the same for all elements of a task. `given` tells how a parameter
/// counts.
pub fn task(
    workflow: &WorkflowName,
    task: &TaskDescription,
    mut given: impl FnMut(&str) -> Given,
) -> Digest {
    let mut encoder = Encoder::tagged(7, "reflow/task/1");
    if task.cache.shared {
        encoder.null();
    } else {
        let flow = task.flow.as_ref().map(WorkflowName::as_str);
        encoder.array(2).text(workflow.as_str()).optional_text(flow);
    }
    encoder
        .text(task.own_name().as_str())
        .optional_text(task.version.as_deref())
        .optional_text(task.fingerprint.as_deref().filter(|_| task.cache.code))
        .text(&task.returns.to_string());
    let mut parameters: Vec<_> = task.parameters.iter().collect();
    parameters.sort_unstable_by_key(|parameter| parameter.name.as_str());
    encoder.array(parameters.len());
    for parameter in parameters {
        let given = given(parameter.name.as_str());
        let is_plain = matches!(given, Given::Value(_));
        encoder
            .array(3 + usize::from(is_plain))
            .text(parameter.name.as_str())
            .text(&parameter.ty.to_string());
        match given {
            Given::Value(digest) => encoder.text("plain").byte_string(digest.as_bytes()),
            Given::RunDir => encoder.text("run_dir"),
            Given::Results(Delivery::Direct) => encoder.text("direct"),
            Given::Results(Delivery::Collect) => encoder.text("collect"),
            Given::Results(Delivery::Spread) => encoder.text("spread"),
        };
    }
    digest_of(&encoder)
}

/// Computes the identities of the elements of a task.
#[derive(Debug, Clone)]
pub struct ElementHasher {
    /// What all have in common.
    start: Encoder,
    given: usize,
}

impl ElementHasher {
    /// Returns the hasher for a task whose elements are given this number of results.
    pub fn new(task: &Digest, given: usize) -> Self {
        let mut start = Encoder::tagged(2 + given, "reflow/element/1");
        start.byte_string(task.as_bytes());
        Self { start, given }
    }

    /// Returns the identity of the element that is given these results: their digests, in the order of the
    /// names of their parameters.
    ///
    /// # Panics
    /// When their number is another than was announced.
    pub fn identity(&self, given: &[Digest]) -> Digest {
        assert_eq!(given.len(), self.given, "one digest for each parameter");
        let mut encoder = self.start.clone();
        for digest in given {
            encoder.byte_string(digest.as_bytes());
        }
        digest_of(&encoder)
    }
}

/// Returns the names of the parameters of a task that take results, in the order in which they count.
pub fn result_parameters(task: &TaskDescription) -> Vec<&str> {
    let mut names: Vec<&str> = task
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.kind, ParameterKind::Result { .. }))
        .map(|parameter| parameter.name.as_str())
        .collect();
    names.sort_unstable();
    names
}
