use std::fmt;
use std::str::FromStr;

use reflow_core::id::TaskName;

/// A task or one of its elements, as people name it: `total`, `count[3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementName {
    /// The task.
    pub(crate) task: TaskName,
    /// The index, from 0.
    pub(crate) index: Option<u32>,
}

/// A name that is none of a task or element.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a task or one of its elements: `total`, `count[3]`")]
pub(crate) struct ParseElementError;

impl FromStr for ElementName {
    type Err = ParseElementError;

    fn from_str(text: &str) -> Result<Self, ParseElementError> {
        let (task, index) = match text.split_once('[') {
            Some((task, rest)) => {
                let digits = rest.strip_suffix(']').ok_or(ParseElementError)?;
                (task, Some(digits.parse().map_err(|_| ParseElementError)?))
            }
            None => (text, None),
        };
        let task = TaskName::new(task).map_err(|_| ParseElementError)?;
        Ok(Self { task, index })
    }
}

impl fmt::Display for ElementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.task),
            None => write!(f, "{}", self.task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written() {
        for text in ["total", "count[3]", "count[0]"] {
            let name: ElementName = text.parse().expect("a name");
            assert_eq!(name.to_string(), text);
        }
        for bad in [
            "",
            "[3]",
            "count[",
            "count[]",
            "count[-1]",
            "count[3",
            "a b",
            "count[3]x",
        ] {
            assert!(bad.parse::<ElementName>().is_err(), "{bad:?}");
        }
    }
}
