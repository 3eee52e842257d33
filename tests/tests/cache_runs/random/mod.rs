//! Random workflows, changed in one thing at a time: exactly what depends on it runs again.
//!
//! `REFLOW_CACHE_RUNS` sets their number, `REFLOW_CACHE_SEED` the first seed. A failing one prints its seed:
//! `REFLOW_CACHE_RUNS=1 REFLOW_CACHE_SEED=<seed>` replays it.

mod change;
mod model;
mod oracle;
mod shell;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use reflow_tests::{Case, Random, figure, is_set};
use serde_json::Value;

use self::change::change;
use self::model::{Returns, Workflow};
use self::oracle::{Expected, Known};
use crate::case;
use crate::series::{Run, Series};

pub(crate) const CASES: &[Case] = &[case(
    "one_change_runs_exactly_what_depends_on_it",
    random_workflows,
)];

fn random_workflows() {
    let usual = if is_set("REFLOW_TEST_FULL") { 150 } else { 12 };
    let (first, number) = (
        setting("REFLOW_CACHE_SEED", 1),
        setting("REFLOW_CACHE_RUNS", usual),
    );
    let mut failed = Vec::new();
    for seed in first..first + number {
        if catch_unwind(AssertUnwindSafe(|| one(seed))).is_err() {
            figure(format_args!(
                "failed; replay with REFLOW_CACHE_RUNS=1 REFLOW_CACHE_SEED={seed}"
            ));
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "of {number} seeds from {first}, these failed: {failed:?}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a failing seed is replayed by the environment"
)]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A workflow, run, and run again after each of a few changes. Some of these go back to what it was.
fn one(seed: u64) {
    let mut random = Random::new(seed);
    let series = Series::new();
    let mut known = Known::default();
    let mut workflow = Workflow::random(&mut random);
    let mut past = vec![workflow.clone()];
    step(&series, &workflow, &mut known, "the first run");
    step(&series, &workflow, &mut known, "nothing changed");
    for _ in 0..3 {
        let what = if past.len() > 1 && random.happens(200) {
            workflow = random.one(&past).clone();
            "back to an earlier one".to_owned()
        } else {
            change(&mut workflow, &mut random)
        };
        past.push(workflow.clone());
        step(&series, &workflow, &mut known, &what);
    }
}

/// Runs the workflow as it is now, and compares what ran and what it gave with the oracle.
fn step(series: &Series, workflow: &Workflow, known: &mut Known, what: &str) {
    series.workflow(&workflow.to_toml());
    for (name, content) in workflow.files() {
        series.program.write(&name, &content);
    }
    let flags = workflow.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let run = series.run(&flags);
    let expected = known.expect(workflow);
    let context = || {
        format!(
            "after: {what}\n{}\nflags: {flags:?}\nran: {:#?}\nexpected: {:#?}\n{}",
            workflow.to_toml(),
            run.bodies,
            expected.bodies,
            run.status
        )
    };
    let mut ran: BTreeMap<&str, usize> = BTreeMap::new();
    for body in &run.bodies {
        *ran.entry(body).or_default() += 1;
    }
    for (body, times) in &ran {
        let most = expected.bodies.get(*body).copied().unwrap_or(0);
        assert!(
            *times <= most,
            "`{body}` ran {times} times, not {most}; {}",
            context()
        );
    }
    for body in expected.bodies.keys() {
        assert!(
            ran.contains_key(body.as_str()),
            "`{body}` did not run; {}",
            context()
        );
    }
    values(series, workflow, &run, &expected, &context);
}

fn values(
    series: &Series,
    workflow: &Workflow,
    run: &Run,
    expected: &Expected,
    context: &dyn Fn() -> String,
) {
    for (task, elements) in workflow.tasks.iter().zip(&expected.results) {
        let value = series.value(run, &task.name);
        let given: Vec<Value> = if task.array {
            value.as_array().expect("an array has a list").clone()
        } else {
            vec![value]
        };
        assert_eq!(
            given.len(),
            elements.len(),
            "`{}`: {}",
            task.name,
            context()
        );
        for (given, items) in given.iter().zip(elements) {
            let given: Vec<&Value> = match task.returns {
                Returns::One(_) => vec![given],
                Returns::Many(_) => given
                    .as_array()
                    .expect("it returns a list")
                    .iter()
                    .collect(),
            };
            assert_eq!(given.len(), items.len(), "`{}`: {}", task.name, context());
            for (given, item) in given.iter().zip(items) {
                assert!(
                    item.is(given),
                    "`{}` gives {given}, not {item:?}: {}",
                    task.name,
                    context()
                );
            }
        }
    }
}
