use serde::Serialize;
use serde_json::{Map, Value};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be, or no matter.
    Ok,
    /// Runs work, with something that should be known.
    Warning,
    /// Runs will not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What it belongs to: `configuration`, `program`, `installed`, `backend`, `limits`, `storage`,
    /// `node`.
    pub(crate) topic: &'static str,
    /// What was looked at.
    pub(crate) about: String,
    pub(crate) level: Level,
    /// What was found, as a fragment.
    pub(crate) message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
    /// What was measured or read, for programs.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) facts: Map<String, Value>,
}

impl Finding {
    /// Adds what to do about it.
    pub(crate) fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds something for programs to read.
    pub(crate) fn fact(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// What has been found so far, in the order in which it is shown.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds something that is as it should be.
    pub(crate) fn ok(
        &mut self,
        topic: &'static str,
        about: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.add(topic, Level::Ok, about, message)
    }

    pub(crate) fn add(
        &mut self,
        topic: &'static str,
        level: Level,
        about: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.0.push(Finding {
            topic,
            about: about.into(),
            level,
            message: message.into(),
            advice: None,
            facts: Map::new(),
        });
        self.0.last_mut().expect("one was pushed just now")
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }
}
