//! A workflow, a batch system and a state to plan from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::elements::ElementSet;
use crate::engine::plan::{Action, Lookup, Remembered, Room, Snapshot, plan, select};
use crate::engine::{ElementState, State};
use crate::id::{JobId, RunId, Tag};
use crate::journal::{Edge, HandBack, NotSent, Record, Reopen, SubmissionKind, SubmissionRecord};
use crate::rundir::{DispatchMode, Selection};
use crate::scheduler::{Capabilities, DependencyKind, FailedParent};
use crate::workflow::{Graph, TaskIndex};

pub(super) struct Case {
    pub(super) graph: Graph,
    pub(super) state: State,
    pub(super) capabilities: Capabilities,
    pub(super) dispatch: DispatchMode,
    pub(super) room: Room,
    /// What earlier runs remember, by task: elements, and for each the entries of the list that it returned.
    pub(super) remembered: BTreeMap<TaskIndex, Vec<(u32, u32)>>,
    own: Option<Tag>,
    run: RunId,
    /// What a submission is called here: its task, or `d1`, `g1`, …; a second one of a task is `x#2`.
    names: BTreeMap<Tag, String>,
    /// How many names begin with a word.
    named: BTreeMap<String, u32>,
}

/// Returns a single task.
pub(super) fn single(name: &str, returns: &str, parameters: &[Value]) -> Value {
    json!({"name": name, "returns": returns, "parameters": parameters})
}

/// Returns an array task.
pub(super) fn array(name: &str, returns: &str, parameters: &[Value]) -> Value {
    json!({"name": name, "array": true, "returns": returns, "parameters": parameters})
}

/// Returns a parameter of type `ty` that takes the result of `step`.
pub(super) fn takes(step: &str, ty: &str) -> Value {
    json!({"name": format!("of_{step}"), "type": ty, "kind": "result", "steps": [step]})
}

/// Adds a key to a task or a parameter.
pub(super) fn with(mut value: Value, key: &str, to: impl Into<Value>) -> Value {
    value[key] = to.into();
    value
}

impl Lookup for Case {
    fn remembered(&self, _state: &State, task: TaskIndex, elements: &ElementSet) -> Remembered {
        let known = self.remembered.get(&task).into_iter().flatten();
        let found = known.filter(|(element, _)| elements.contains(*element));
        Remembered {
            elements: found.clone().map(|(element, _)| *element).collect(),
            items: found.copied().collect(),
        }
    }
}

impl Case {
    pub(super) fn new(tasks: &[Value]) -> Self {
        let description = json!({"schema": 1, "name": "w", "tasks": tasks});
        let graph = Graph::check(serde_json::from_value(description).expect("well formed"))
            .expect("a valid workflow");
        Self {
            state: State::new(&graph),
            graph,
            capabilities: Capabilities {
                array_limit: Some(1000),
                array_base: 0,
                element_wise: true,
                element_wise_any: false,
                failed_parent: FailedParent::Cancelled,
                releases_cancelled: true,
                after_not_ok: false,
                not_before: true,
                concurrency_limit: true,
                element_cancel: true,
                history: None,
                submit_from_jobs: true,
                serves_indices: false,
                message_timeout: Duration::ZERO,
                may_stall: false,
                partitions: Vec::new(),
            },
            dispatch: DispatchMode::Job,
            own: None,
            room: Room::default(),
            remembered: BTreeMap::new(),
            run: RunId::new("20260101-000000-abcdef").expect("an id"),
            names: BTreeMap::new(),
            named: BTreeMap::new(),
        }
    }

    pub(super) fn task(&self, name: &str) -> TaskIndex {
        self.graph.find(name).expect("a task of the workflow")
    }

    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            run: &self.run,
            graph: &self.graph,
            state: &self.state,
            dispatch: self.dispatch,
            own: self.own.as_ref(),
            room: self.room,
        }
    }

    fn look(&self) -> Vec<Action> {
        plan(self.snapshot(), &self.capabilities, self)
    }

    /// Plans, does what was planned, and returns it as text; planning again must give nothing.
    pub(super) fn plan(&mut self) -> String {
        let actions = self.actions();
        let mut text = String::new();
        for action in &actions {
            match action {
                Action::Record(record) => text.push_str(&self.record_text(record)),
                Action::Send(submission) => text.push_str(&self.send_text(submission)),
                Action::Cancel(tags) => {
                    let names: Vec<&str> =
                        tags.iter().map(|tag| self.names[tag].as_str()).collect();
                    let _ = write!(text, "cancel {}", names.join(", "));
                }
                Action::Withdraw(parts) => {
                    let parts = parts.iter();
                    let names: Vec<String> = parts
                        .map(|(tag, elements)| format!("{}{}", self.names[tag], ranges(elements)))
                        .collect();
                    let _ = write!(text, "withdraw {}", names.join(", "));
                }
            }
            text.push('\n');
        }
        text
    }

    /// Plans, does what was planned, and returns it.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        let actions = self.look();
        for action in &actions {
            match action {
                Action::Record(record) => self.state.apply(record),
                Action::Send(submission) => {
                    self.name(submission);
                    let job = JobId::new(submission.tag.as_str()).expect("an id");
                    let tag = submission.tag.clone();
                    self.state.apply(&Record::Intent(submission.clone()));
                    self.state.apply(&Record::Submitted { tag, job });
                }
                Action::Cancel(_) | Action::Withdraw(_) => {}
            }
        }
        assert_eq!(self.look(), [], "planning again");
        actions
    }

    fn name(&mut self, submission: &SubmissionRecord) {
        let base = match &submission.kind {
            SubmissionKind::Elements { task, .. } => {
                self.graph.declared(*task).name.as_str().to_owned()
            }
            SubmissionKind::Dispatch => "d".to_owned(),
            SubmissionKind::Guard { .. } => "g".to_owned(),
            SubmissionKind::Watch { .. } => "w".to_owned(),
        };
        let number = self.named.entry(base.clone()).or_default();
        *number += 1;
        let name = match (submission.is_driver(), *number) {
            (true, number) => format!("{base}{number}"),
            (false, 1) => base,
            (false, number) => format!("{base}#{number}"),
        };
        self.names.insert(submission.tag.clone(), name);
    }

    fn send_text(&self, submission: &SubmissionRecord) -> String {
        let mut text = format!("send {}", self.names[&submission.tag]);
        if let SubmissionKind::Elements {
            attempt,
            elements,
            batch,
            ..
        } = &submission.kind
        {
            text.push_str(&ranges(elements));
            if *batch > 1 {
                let _ = write!(text, " by {batch}");
            }
            if *attempt > 1 {
                let _ = write!(text, " try {attempt}");
            }
        }
        if let Some(most) = submission.at_most {
            let _ = write!(text, " at most {most}");
        }
        text.push_str(" after ");
        if submission.after.is_empty() {
            text.push('-');
        }
        let edges: Vec<String> = submission
            .after
            .iter()
            .map(|Edge { tag, kind }| {
                let kind = match kind {
                    DependencyKind::Ok => "ok",
                    DependencyKind::Any => "any",
                    DependencyKind::NotOk => "not_ok",
                    DependencyKind::ElementWise => "element",
                    DependencyKind::ElementWiseAny => "element_any",
                };
                format!("{}:{kind}", self.names[tag])
            })
            .collect();
        text + &edges.join(" ")
    }

    fn record_text(&self, record: &Record) -> String {
        let name = |task: &TaskIndex| self.graph.declared(*task).name.as_str();
        match record {
            Record::Expanded { task, width } => format!("width {} = {width}", name(task)),
            Record::Unexpanded {
                task,
                state,
                message,
            } => format!("never {} {}: {message}", name(task), state.word()),
            Record::Remembered { task, elements, .. } => {
                format!("take {}{}", name(task), ranges(elements))
            }
            Record::Ended {
                task,
                elements,
                state,
                message,
                ..
            } => format!(
                "end {}{} {}: {message}",
                name(task),
                ranges(elements),
                state.word()
            ),
            Record::Reopened {
                task,
                elements,
                why,
            } => format!("reopen {}{} {why:?}", name(task), ranges(elements)).to_lowercase(),
            Record::HandedBack { tag, elements, why } => {
                format!("back {}{} {why:?}", self.names[tag], ranges(elements)).to_lowercase()
            }
            Record::Finished { state } => format!("finished {state:?}").to_lowercase(),
            other => format!("{other:?}"),
        }
    }

    // --- what happens between two plans ---

    /// The newest tries of `elements` end in `state`.
    pub(super) fn end(&mut self, task: &str, elements: &[u32], state: ElementState) {
        self.end_with(task, elements, state, &[]);
    }

    /// All elements of a task succeed, each with a list of `items` entries.
    pub(super) fn succeed(&mut self, task: &str, items: &[u32]) {
        let width = self.state.task(self.task(task)).elements.len() as u32;
        let items: Vec<(u32, u32)> = (0..).zip(items.iter().copied()).collect();
        let all: Vec<u32> = (0..width).collect();
        self.end_with(task, &all, ElementState::Succeeded, &items);
    }

    fn end_with(
        &mut self,
        task: &str,
        elements: &[u32],
        state: ElementState,
        items: &[(u32, u32)],
    ) {
        for (tag, part) in self.carriers(task, elements) {
            self.state.apply(&Record::Ingested {
                tag,
                pack: 0,
                ended: vec![(state, part)],
                handed_back: ElementSet::new(),
                items: items.to_vec(),
                causes: Vec::new(),
            });
        }
    }

    /// Somebody asks for another try of elements of tasks, or of everything.
    pub(super) fn retry(&mut self, what: &[(&str, Option<&[u32]>)]) -> String {
        let what: Vec<Selection> = what
            .iter()
            .map(|(task, elements)| Selection {
                task: self.task(task),
                elements: elements.map(|elements| elements.iter().copied().collect()),
            })
            .collect();
        let selected = select(self.snapshot(), &self.capabilities, &what);
        let mut text = String::new();
        for (task, elements) in selected {
            let why = Reopen::Request;
            let record = Record::Reopened {
                task,
                elements,
                why,
            };
            text.push_str(&self.record_text(&record));
            text.push('\n');
            self.state.apply(&record);
        }
        text
    }

    /// The workers of `elements` found an input missing.
    pub(super) fn hand_back(&mut self, task: &str, elements: &[u32]) {
        for (tag, elements) in self.carriers(task, elements) {
            let why = HandBack::Unstarted;
            self.state.apply(&Record::HandedBack { tag, elements, why });
        }
    }

    /// The batch system did not take a submission this time.
    pub(super) fn not_sent(&mut self, name: &str) {
        let why = NotSent::Temporary {
            message: "busy".to_owned(),
        };
        let tag = self.tag(name);
        self.state.apply(&Record::NotSent { tag, why });
    }

    /// The batch system refused a submission for good: it was announced, and has no job.
    pub(super) fn refused(&mut self, name: &str) {
        let tag = self.tag(name);
        let position = self.state.position(&tag).expect("announced") as usize;
        self.state.submissions[position].job = None;
        let why = NotSent::Rejected {
            message: "no such partition".to_owned(),
        };
        self.state.apply(&Record::NotSent { tag, why });
    }

    fn carriers(&self, task: &str, elements: &[u32]) -> BTreeMap<Tag, ElementSet> {
        let mut parts: BTreeMap<Tag, ElementSet> = BTreeMap::new();
        for element in elements {
            let entry = self.state.task(self.task(task)).elements[*element as usize];
            let tag = self.state.submission(entry.submission).record.tag.clone();
            parts.entry(tag).or_default().insert(*element);
        }
        parts
    }

    fn tag(&self, name: &str) -> Tag {
        let found = self.names.iter().find(|(_, known)| *known == name);
        found.expect("a submission of that name").0.clone()
    }

    /// The dispatch or guard job `name` plans now.
    pub(super) fn planned_by(&mut self, name: &str) -> String {
        let tag = self.tag(name);
        self.state.apply(&Record::Closed { tag: tag.clone() });
        self.own = Some(tag);
        self.plan()
    }

    /// Returns how many jobs were sent so far.
    pub(super) fn jobs(&self) -> usize {
        self.state.submissions.len()
    }
}

fn ranges(elements: &ElementSet) -> String {
    let ranges: Vec<String> = elements
        .ranges()
        .iter()
        .map(|(first, end)| format!("{first}..{end}"))
        .collect();
    format!("[{}]", ranges.join(","))
}
