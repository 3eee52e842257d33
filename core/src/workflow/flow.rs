use std::collections::HashMap;

use super::{Description, ParameterKind};
use crate::id::{InvalidId, TaskName};

/// A flow that cannot be included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// The prefix is no identifier, or makes a name too long.
    #[error(
        "task `{task}` of flow `{flow}` cannot be included under the prefix `{prefix}`: {source}"
    )]
    Name {
        /// The flow.
        flow: String,
        /// The task, as the flow calls it.
        task: String,
        /// The prefix.
        prefix: String,
        /// What is wrong with the name that would result.
        source: Box<InvalidId>,
    },
}

impl Description {
    /// Adds the tasks of a flow, named `prefix_name`.
    ///
    /// References between tasks of the flow are rewritten; a name that the flow does not define stays
    /// as it is and refers to a task of this workflow. Each task remembers the flow that defined it,
    /// by the flow's own name, and its name in it.
    ///
    /// # Errors
    /// When a name that results is not valid; nothing is added then.
    pub fn include(&mut self, flow: Self, prefix: &str) -> Result<(), IncludeError> {
        let mut names = HashMap::with_capacity(flow.tasks.len());
        for task in &flow.tasks {
            let name = TaskName::new(format!("{prefix}_{}", task.name)).map_err(|source| {
                IncludeError::Name {
                    flow: flow.name.to_string(),
                    task: task.name.to_string(),
                    prefix: prefix.to_owned(),
                    source: Box::new(source),
                }
            })?;
            names.insert(task.name.to_string(), name);
        }
        let rewrite = |reference: &mut String| {
            if let Some(name) = names.get(reference.as_str()) {
                *reference = name.to_string();
            }
        };
        for mut task in flow.tasks {
            if let Some(name) = names.get(task.name.as_str()) {
                let own = std::mem::replace(&mut task.name, name.clone());
                task.name_in_flow.get_or_insert(own);
            }
            task.flow.get_or_insert_with(|| flow.name.clone());
            task.after.iter_mut().for_each(rewrite);
            for parameter in &mut task.parameters {
                if let ParameterKind::Result { steps, .. } = &mut parameter.kind {
                    steps.iter_mut().for_each(rewrite);
                }
            }
            self.tasks.push(task);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description(name: &str, tasks: &serde_json::Value) -> Description {
        serde_json::from_value(json!({"schema": 1, "name": name, "tasks": tasks}))
            .expect("a description")
    }

    #[test]
    fn names_and_inner_references_get_the_prefix() {
        let inner = description(
            "ingest",
            &json!([
                {"name": "download", "returns": "list[str]"},
                {"name": "validate", "array": true, "returns": "str", "after": ["download", "login"],
                 "parameters": [
                    {"name": "item", "type": "str", "kind": "result", "steps": ["download", "extra"]}]},
            ]),
        );
        let mut middle = description("middle", &json!([]));
        middle.include(inner, "raw").expect("names are valid");
        let mut outer = description("outer", &json!([{"name": "extra", "returns": "list[str]"}]));
        outer.include(middle, "night").expect("names are valid");
        let names: Vec<_> = outer.tasks.iter().map(|task| task.name.as_str()).collect();
        assert_eq!(names, ["extra", "night_raw_download", "night_raw_validate"]);
        let validate = &outer.tasks[2];
        assert_eq!(validate.after, ["night_raw_download", "login"]);
        assert_eq!(validate.flow.as_ref().map(AsRef::as_ref), Some("ingest"));
        let ParameterKind::Result { steps, .. } = &validate.parameters[0].kind else {
            panic!("a result parameter");
        };
        assert_eq!(steps, &["night_raw_download", "extra"]);
    }

    #[test]
    fn a_prefix_that_is_no_identifier_is_refused() {
        let flow = description("f", &json!([{"name": "a", "returns": "none"}]));
        let mut outer = description("outer", &json!([]));
        let error = outer.include(flow, "../x").expect_err("not a name");
        insta::assert_snapshot!(error, @"task `a` of flow `f` cannot be included under the prefix `../x`: `../x_a` is not a valid task name: a letter, then letters, digits and `_`, at most 100 characters");
        assert!(outer.tasks.is_empty());
    }
}
