//! The cost of planning.

use proptest::prelude::*;
use serde_json::Value;

use super::case::{Case, array, single, takes};
use crate::engine::plan::Action;
use crate::engine::{Phase, TaskState};

/// Workflows of `choices.len()` tasks: what each is and which task before it it takes from.
fn workflow(choices: &[(u8, usize)]) -> Vec<Value> {
    let mut kinds: Vec<(bool, bool)> = Vec::new();
    let mut tasks = Vec::new();
    for (number, (kind, step)) in choices.iter().enumerate() {
        let name = format!("t{number}");
        let is_list = kind & 1 == 1;
        let returns = if is_list { "list[int]" } else { "int" };
        let upstream = step.checked_rem(number).map(|step| (step, kinds[step]));
        let (task, is_array) = match upstream {
            Some((step, (upstream_array, upstream_list))) if kind & 2 == 2 => {
                let from = format!("t{step}");
                if upstream_array || upstream_list {
                    (array(&name, returns, &[takes(&from, "int")]), true)
                } else {
                    (single(&name, returns, &[takes(&from, "int")]), false)
                }
            }
            Some((step, (upstream_array, upstream_list))) if kind & 4 == 4 => {
                let ty = if upstream_array || upstream_list {
                    "list[int]"
                } else {
                    "int"
                };
                (
                    single(&name, returns, &[takes(&format!("t{step}"), ty)]),
                    false,
                )
            }
            _ => (single(&name, returns, &[]), false),
        };
        kinds.push((is_array, is_list));
        tasks.push(task);
    }
    tasks
}

/// Carries a workflow through to its end, every list having `items` entries; returns how many actions
/// all plans had.
fn carry_through(case: &mut Case, items: u32) -> usize {
    let mut actions = 0;
    for _ in 0..1000 {
        actions += case.actions().len();
        if case.state.finished.is_some() {
            assert!(case.state.tasks.iter().all(TaskState::is_ended));
            return actions;
        }
        let live: Vec<String> = case
            .graph
            .order()
            .iter()
            .filter(|task| !case.state.task(**task).live.is_empty())
            .map(|task| case.graph.declared(*task).name.to_string())
            .collect();
        assert!(!live.is_empty(), "nothing runs, and the run has not ended");
        let is_driven = case.state.live().any(|(_, submission)| {
            submission.record.is_driver() && submission.phase == Phase::Sent
        });
        assert!(is_driven, "nobody plans again");
        for name in live {
            let width = case.state.task(case.task(&name)).elements.len();
            case.succeed(&name, &vec![items; width]);
        }
        let drivers: Vec<_> = case
            .state
            .live()
            .filter(|(_, submission)| submission.record.is_driver())
            .map(|(_, submission)| submission.record.tag.clone())
            .collect();
        for tag in drivers {
            case.state.apply(&crate::journal::Record::Closed { tag });
        }
    }
    panic!("the run never ends");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn plans_are_linear_in_tasks_whatever_the_widths(
        choices in prop::collection::vec((0u8..8, 0usize..8), 1..9),
        items in 0u32..6,
    ) {
        let tasks = workflow(&choices);
        let mut case = Case::new(&tasks);
        // One array for every task, so that the number of elements cannot hide behind array limits.
        case.capabilities.array_limit = None;
        // For each task a width, a submission and a dispatch; and the end.
        let most = 3 * tasks.len() + 2;
        let actions = carry_through(&mut case, items);
        prop_assert!(actions <= most, "{actions} actions for {} tasks", tasks.len());
    }
}

#[test]
fn a_million_elements_in_a_thousand_parts_are_planned_in_the_order_of_their_number() {
    let mut case = Case::new(&[
        single("split", "list[int]", &[]),
        array("square", "int", &[takes("split", "int")]),
        array("half", "int", &[takes("square", "int")]),
    ]);
    case.actions();
    case.succeed("split", &[1_000_000]);
    let started = std::time::Instant::now();
    let actions = case.actions();
    let sends = actions
        .iter()
        .filter(|action| matches!(action, Action::Send(_)))
        .count();
    assert_eq!(sends, 2 * 1000);
    // Two seconds on a slow machine; with one look per element and part it would be minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
}
