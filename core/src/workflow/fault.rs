use std::fmt;

use super::{ParseTypeError, Type};
use crate::error::Hint;
use crate::id::InvalidId;

/// Everything that is wrong with a workflow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct CheckErrors {
    /// The name of the workflow.
    pub workflow: String,
    /// The errors, in the order of the tasks; never empty.
    pub errors: Vec<CheckError>,
}

impl fmt::Display for CheckErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.errors.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "workflow `{}` has {count} error{plural}", self.workflow)?;
        for error in &self.errors {
            write!(f, "\n  {error}")?;
            if let Some(hint) = error.hint() {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

/// One thing that is wrong with a workflow, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct CheckError {
    /// The task.
    pub task: Option<String>,
    /// The parameter of the task.
    pub parameter: Option<String>,
    /// What is wrong.
    #[source]
    pub fault: CheckFault,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = &self.task {
            write!(f, "task `{task}`")?;
            if let Some(parameter) = &self.parameter {
                write!(f, ", parameter `{parameter}`")?;
            }
            f.write_str(": ")?;
        }
        fmt::Display::fmt(&self.fault, f)
    }
}

impl Hint for CheckError {
    fn hint(&self) -> Option<String> {
        self.fault.hint()
    }
}

/// What is wrong with a workflow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckFault {
    /// The document is of another version.
    #[error(
        "the description has schema {found}, this program reads schema {}",
        super::SCHEMA
    )]
    Schema {
        /// The version found.
        found: u32,
    },
    /// The document does not have the form of a description.
    #[error("the description is not valid: {0}")]
    Document(String),
    /// A name cannot be a file name, a flag and an identifier.
    #[error("{0}")]
    Name(#[from] InvalidId),
    /// A type cannot be read.
    #[error("{0}")]
    Type(#[from] ParseTypeError),
    /// Two tasks have one name.
    #[error("a task of that name is defined twice")]
    DuplicateTask,
    /// The names of two tasks differ in case only.
    #[error(
        "the name differs from task `{other}` in case only, and names logs that some file systems cannot tell apart"
    )]
    CaseOnly {
        /// The other task.
        other: String,
    },
    /// Two parameters of a task have one name.
    #[error("a parameter of that name is defined twice")]
    DuplicateParameter,
    /// A result is taken from, or an order refers to, a task that does not exist.
    #[error("there is no task `{name}`")]
    UnknownStep {
        /// The name that was written.
        name: String,
        /// The nearest name of a task.
        nearest: Option<String>,
    },
    /// A result parameter names no task.
    #[error("no task is named to take results from")]
    NoSteps,
    /// A task comes after itself.
    #[error("comes `after` itself")]
    AfterItself,
    /// Tasks need each other.
    #[error("the tasks need each other in a circle: {}", .path.join(" -> "))]
    Cycle {
        /// The names along the data, the first again at the end.
        path: Vec<String>,
    },
    /// The results of a task do not fit.
    #[error("takes {takes}{}, but {from} `{step}` returns {returns}", if *.into_array { " in every element" } else { "" })]
    Wire {
        /// What the parameter takes.
        takes: String,
        /// Whether the taking task is an array.
        into_array: bool,
        /// What kind of task gives: `task` or `array task`.
        from: &'static str,
        /// The task that gives.
        step: String,
        /// What it returns.
        returns: String,
        /// What to do.
        advice: Option<String>,
    },
    /// `broadcast` where there is one element anyway.
    #[error("`broadcast` is for array tasks")]
    BroadcastIntoSingle,
    /// Nothing gives an array task its width.
    #[error("an array task needs a parameter that takes the items of a list or of an array")]
    NoFanOut,
    /// A limit that an array alone has.
    #[error("`{key}` is for array tasks")]
    OnlyArrays {
        /// The key.
        key: &'static str,
    },
    /// A number that must be at least one.
    #[error("`{key}` must be at least 1")]
    Zero {
        /// The key.
        key: &'static str,
    },
    /// A factor of a retry that is no factor.
    #[error("`{key}` is {value}: a factor is a number of at least 1")]
    Factor {
        /// The key.
        key: &'static str,
        /// The value.
        value: f64,
    },
    /// A variable that no environment can hold.
    #[error("`{name}` cannot be the name or value of an environment variable")]
    Variable {
        /// The name.
        name: String,
    },
    /// A parameter that takes the run directory is of another type.
    #[error("takes the run directory, so its type must be path or str, not {ty}")]
    RunDirType {
        /// The type that was written.
        ty: Type,
    },
    /// A literal without a choice.
    #[error("a literal needs at least one choice")]
    NoChoices,
    /// A literal with a choice twice.
    #[error("the literal has the choice {choice:?} twice")]
    DuplicateChoice {
        /// The choice.
        choice: String,
    },
    /// A default does not fit the type.
    #[error("the default does not fit: {0}")]
    Default(#[from] super::Mismatch),
    /// A flag of reflow's own.
    #[error("`--{flag}` is a flag of reflow")]
    ReservedFlag {
        /// The flag, without dashes.
        flag: String,
        /// The flag that the parameter would have with `namespace = "local"`.
        local: String,
    },
    /// A short flag of reflow's own.
    #[error("`-{short}` is a flag of reflow")]
    ReservedShort {
        /// The letter.
        short: char,
    },
    /// A short flag that is no letter.
    #[error("{short:?} cannot be a short flag: write one ASCII letter")]
    InvalidShort {
        /// What was written.
        short: char,
    },
    /// Two parameters have one short flag.
    #[error("`-{short}` is the flag of parameter `{other}` too")]
    DuplicateShort {
        /// The letter.
        short: char,
        /// The other parameter.
        other: String,
    },
    /// Two parameters have one flag.
    #[error("`--{flag}` is the flag of {other} too")]
    DuplicateFlag {
        /// The flag, without dashes.
        flag: String,
        /// The other parameter, with its task.
        other: String,
    },
    /// Parameters of one name, so one flag, disagree.
    #[error("has {what} {here}, but in task `{other}` the same flag `--{flag}` has {there}")]
    Disagree {
        /// What they disagree on.
        what: &'static str,
        /// The flag, without dashes.
        flag: String,
        /// The value here.
        here: String,
        /// The other task.
        other: String,
        /// The value there.
        there: String,
    },
    /// The command of a command task is wrong.
    #[error("{message}")]
    Command {
        /// What is wrong, with the position in the command.
        message: String,
        /// What to do.
        advice: Option<String>,
    },
}

impl Hint for CheckFault {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownStep { nearest, .. } => nearest
                .as_ref()
                .map(|name| format!("nearest task: `{name}`")),
            Self::Type(error) => error.hint(),
            Self::Wire { advice, .. } | Self::Command { advice, .. } => advice.clone(),
            Self::ReservedFlag { local, .. } => Some(format!(
                "rename the parameter, or set `namespace = \"local\"` to make it `--{local}`"
            )),
            Self::Disagree { .. } => Some(
                "make them alike, or set `namespace = \"local\"` to give each its own flag"
                    .to_owned(),
            ),
            Self::NoFanOut => {
                Some("take the result of a task that returns a list, or drop `array`".to_owned())
            }
            _ => None,
        }
    }
}

/// Puts errors together while going through a workflow.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<CheckError>);

impl Faults {
    pub(super) fn workflow(&mut self, fault: impl Into<CheckFault>) {
        self.0.push(CheckError {
            task: None,
            parameter: None,
            fault: fault.into(),
        });
    }

    pub(super) fn task(&mut self, task: &impl ToString, fault: impl Into<CheckFault>) {
        self.0.push(CheckError {
            task: Some(task.to_string()),
            parameter: None,
            fault: fault.into(),
        });
    }

    pub(super) fn parameter(
        &mut self,
        task: &impl ToString,
        parameter: &impl ToString,
        fault: impl Into<CheckFault>,
    ) {
        self.0.push(CheckError {
            task: Some(task.to_string()),
            parameter: Some(parameter.to_string()),
            fault: fault.into(),
        });
    }
}
