//! What must run, and what it must give: computed from the model alone, by comparing all that an element
//! is given with all that any element of an earlier run was given.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Kind, Parameter, Returns, Source, Task, Work, Workflow};
use super::shell;

/// One number as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The number.
    pub(crate) number: i64,
    /// How a body writes it into its line.
    pub(crate) label: String,
    /// What counts of it for who takes it.
    counts: String,
    kind: Kind,
}

impl Item {
    /// Returns whether a value that the program gives is this one.
    pub(crate) fn is(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Int => *value == self.number,
            Kind::Str => *value == self.label,
            Kind::File | Kind::Path => value.as_str().is_some_and(|path| {
                let content = fs_err::read_to_string(path).unwrap_or_default();
                path.ends_with(&format!("/{}", self.label))
                    && content.trim().parse() == Ok(self.number)
            }),
        }
    }
}

/// What a run is expected to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// The lines that bodies write, each with how often at most: elements that are alike may be run once.
    pub(crate) bodies: BTreeMap<String, usize>,
    /// What each element of each task gives.
    pub(crate) results: Vec<Vec<Vec<Item>>>,
}

/// All that earlier runs have made.
#[derive(Debug, Default)]
pub(crate) struct Known {
    made: BTreeMap<String, Vec<Item>>,
}

/// What one element is given: by parameter, the items and whether they are a list.
type Given = Vec<Vec<Item>>;

impl Known {
    /// Returns what a run of the workflow does now, and remembers what it makes.
    pub(crate) fn expect(&mut self, workflow: &Workflow) -> Expected {
        let mut expected = Expected::default();
        let mut new = BTreeMap::new();
        for task in &workflow.tasks {
            let mut results = Vec::new();
            for given in elements(task, &expected.results) {
                let counts = counts(task, &given);
                let items = if let Some(items) = self.made.get(&counts) {
                    items.clone()
                } else {
                    *expected.bodies.entry(line(task, &given)).or_default() += 1;
                    let execution = format!("{}", self.made.len() + new.len());
                    let items = work(task, &given, &execution);
                    new.entry(counts).or_insert(items).clone()
                };
                results.push(items);
            }
            expected.results.push(results);
        }
        self.made.extend(new);
        expected
    }
}

/// Returns what each element of a task is given.
fn elements(task: &Task, results: &[Vec<Vec<Item>>]) -> Vec<Given> {
    let flat: Vec<(bool, Vec<Item>)> = task
        .parameters
        .iter()
        .map(|parameter| items(parameter, results))
        .collect();
    let width = flat
        .iter()
        .find_map(|(spread, items)| spread.then_some(items.len()));
    (0..width.unwrap_or(1))
        .map(|element| {
            flat.iter()
                .map(|(spread, items)| {
                    if *spread {
                        vec![items[element].clone()]
                    } else {
                        items.clone()
                    }
                })
                .collect()
        })
        .collect()
}

/// Returns all items of a parameter, and whether each element gets one of them.
fn items(parameter: &Parameter, results: &[Vec<Vec<Item>>]) -> (bool, Vec<Item>) {
    let plain = |number: i64, label: String| Item {
        number,
        counts: format!("{label}={number}"),
        label,
        kind: parameter.kind,
    };
    match &parameter.source {
        Source::Text(number) => (false, vec![plain(*number, shell::text_of(*number))]),
        Source::Number(number) | Source::File(_, number) => {
            (false, vec![plain(*number, number.to_string())])
        }
        Source::List(numbers) => {
            let items = numbers.iter().map(|n| plain(*n, n.to_string())).collect();
            (false, items)
        }
        Source::Tasks { tasks, spread, .. } => {
            let items = tasks
                .iter()
                .flat_map(|place| results[*place].iter().flatten().cloned())
                .collect();
            (*spread, items)
        }
    }
}

/// Returns all that counts for an element.
fn counts(task: &Task, given: &Given) -> String {
    let mut text = format!("{}\n{:?}\n{}\n", task.name, task.version, shell::body(task));
    for (parameter, items) in task.parameters.iter().zip(given) {
        let items: Vec<&str> = items.iter().map(|item| item.counts.as_str()).collect();
        let _ = writeln!(text, "{} [{}]", parameter.name, items.join(","));
    }
    text
}

/// Returns the line that a body writes.
fn line(task: &Task, given: &Given) -> String {
    let mut line = task.name.clone();
    for items in given {
        for item in items {
            line.push(' ');
            line.push_str(&item.label);
        }
        line.push_str(" |");
    }
    line
}

/// Returns what a body makes: the same arithmetic that [`shell::body`] has it do.
fn work(task: &Task, given: &Given, execution: &str) -> Vec<Item> {
    let mix = |n: i64, v: i64| (n * 31 + v) % 1_000_003;
    let mut all = task.salt;
    for items in given {
        for item in items {
            all = mix(all, item.number);
        }
        all = mix(all, 7);
    }
    let numbers: Vec<i64> = match task.work {
        Work::Fold => vec![all % task.modulus],
        Work::Each => given[0]
            .iter()
            .map(|item| mix(task.salt, item.number) % task.modulus)
            .collect(),
        Work::Burst => (0..all % 4).map(|j| (all + j) % task.modulus).collect(),
    };
    let (Returns::One(kind) | Returns::Many(kind)) = task.returns;
    numbers
        .into_iter()
        .map(|number| {
            let label = match kind {
                Kind::Int => number.to_string(),
                Kind::Str => shell::text_of(number),
                Kind::File | Kind::Path => shell::file_of(task, number),
            };
            let counts = match kind {
                Kind::Path => format!("{label} of {execution}"),
                _ => format!("{label}={number}"),
            };
            Item {
                number,
                label,
                counts,
                kind,
            }
        })
        .collect()
}
