use std::fmt;
use std::str::FromStr;

use reflow_core::elements::ElementSet;
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

/// A task or some of its elements, as people name them: `total`, `count[3]`, `count[1,3,7-9]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectedName {
    /// The task.
    pub(crate) task: TaskName,
    /// The elements, from 0, or all of them.
    pub(crate) elements: Option<ElementSet>,
}

/// A name that is none of a task or elements of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseSelectedError {
    /// It has another form.
    #[error("write a task or elements of it: `total`, `count[3]`, `count[1-4]`, `count[1,3,7-9]`")]
    Form,
    /// It has an index that is none.
    #[error("`{0}` is no index: write `3`, or `1-4` for those from 1 to 4")]
    Index(String),
    /// It has a range that ends before it begins.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
}

impl FromStr for SelectedName {
    type Err = ParseSelectedError;

    fn from_str(text: &str) -> Result<Self, ParseSelectedError> {
        let (task, elements) = match text.split_once('[') {
            Some((task, rest)) => {
                let list = rest.strip_suffix(']').ok_or(ParseSelectedError::Form)?;
                (task, Some(indices(list)?))
            }
            None => (text, None),
        };
        let task = TaskName::new(task).map_err(|_| ParseSelectedError::Form)?;
        Ok(Self { task, elements })
    }
}

impl fmt::Display for SelectedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.elements {
            Some(elements) => write!(f, "{}[{}]", self.task, ranges(elements)),
            None => write!(f, "{}", self.task),
        }
    }
}

fn indices(list: &str) -> Result<ElementSet, ParseSelectedError> {
    let mut parts = Vec::new();
    for part in list.split(',').map(str::trim) {
        let no_index = || ParseSelectedError::Index(part.to_owned());
        let number = |text: &str| -> Result<u32, ParseSelectedError> {
            let text = text.trim();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(no_index());
            }
            text.parse().map_err(|_| no_index())
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(ParseSelectedError::Backwards(part.to_owned()));
        }
        parts.push((first, last.checked_add(1).ok_or_else(no_index)?));
    }
    Ok(ElementSet::from_ranges(parts))
}

/// Returns elements as people name them: `0-3,5`.
pub(crate) fn ranges(elements: &ElementSet) -> String {
    let parts: Vec<String> = elements
        .ranges()
        .iter()
        .map(|(first, end)| match end - first {
            1 => first.to_string(),
            _ => format!("{first}-{}", end - 1),
        })
        .collect();
    parts.join(",")
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

    #[test]
    fn several_elements_are_read_as_they_are_written() {
        for (text, shown) in [
            ("total", "total"),
            ("count[3]", "count[3]"),
            ("count[1-4]", "count[1-4]"),
            ("count[9,1,7-8,3]", "count[1,3,7-9]"),
            ("count[ 2 - 5 , 4-6 ]", "count[2-6]"),
            ("count[3-3]", "count[3]"),
            ("count[0-4294967294]", "count[0-4294967294]"),
        ] {
            let name: SelectedName = text.parse().expect("a name");
            assert_eq!(name.to_string(), shown);
        }
    }

    #[test]
    fn what_names_no_elements_is_told_what_is_wrong() {
        let error = |text: &str| text.parse::<SelectedName>().expect_err(text).to_string();
        for bad in ["", "[3]", "count[", "count[3", "a b", "count[3]x"] {
            assert!(error(bad).starts_with("write a task"), "{bad:?}");
        }
        for (bad, part) in [
            ("count[]", ""),
            ("count[-1]", "-1"),
            ("count[+1]", "+1"),
            ("count[1,,2]", ""),
            ("count[1-]", "1-"),
            ("count[a]", "a"),
            ("count[1-2-3]", "1-2-3"),
            ("count[4294967295]", "4294967295"),
        ] {
            let expected =
                format!("`{part}` is no index: write `3`, or `1-4` for those from 1 to 4");
            assert_eq!(error(bad), expected, "{bad:?}");
        }
        assert_eq!(error("count[4-1]"), "`4-1` ends before it begins");
    }
}
