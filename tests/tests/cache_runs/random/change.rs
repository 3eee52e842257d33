//! One thing that a user changes between two runs.

use reflow_tests::Random;

use super::model::{Source, Workflow};

/// Changes exactly one thing, and returns what.
pub(crate) fn change(workflow: &mut Workflow, random: &mut Random) -> String {
    loop {
        let place = random.below(workflow.tasks.len() as u64) as usize;
        let what = if random.happens(500) {
            parameter(workflow, place, random)
        } else {
            Some(task(workflow, place, random))
        };
        if let Some(what) = what {
            return format!("{what} of `t{place}`");
        }
    }
}

/// Changes something about a task's code.
fn task(workflow: &mut Workflow, place: usize, random: &mut Random) -> &'static str {
    let task = &mut workflow.tasks[place];
    match random.below(5) {
        0 => {
            task.version = Some(task.version.map_or(1, |version| version + 1));
            "the version"
        }
        1 => {
            task.salt += 1;
            "the command, and what it gives"
        }
        2 => {
            task.remark += 1;
            "a remark in the command"
        }
        3 => {
            task.batch = 4 - task.batch;
            "how many elements share a job"
        }
        _ => {
            task.modulus += 1;
            "how many results there are"
        }
    }
}

/// Changes one of a task's parameters, if there is one that a user gives.
fn parameter(workflow: &mut Workflow, place: usize, random: &mut Random) -> Option<&'static str> {
    let mut given: Vec<&mut Source> = workflow.tasks[place]
        .parameters
        .iter_mut()
        .map(|parameter| &mut parameter.source)
        .filter(|source| !matches!(source, Source::Tasks { .. }))
        .collect();
    let chosen = random.below(given.len() as u64) as usize;
    match given.get_mut(chosen)? {
        Source::Number(number) | Source::Text(number) => {
            *number += 1;
            Some("a parameter")
        }
        Source::File(_, number) => {
            *number += 1;
            Some("the bytes of a file")
        }
        Source::List(numbers) if numbers.is_empty() => {
            numbers.push(random.below(9) as i64);
            Some("the only entry of a list")
        }
        Source::List(numbers) => {
            let one = random.below(numbers.len() as u64) as usize;
            match random.below(4) {
                0 => {
                    numbers[one] += 1;
                    Some("one entry of a list")
                }
                1 => {
                    numbers.reverse();
                    Some("the order of a list")
                }
                2 => {
                    numbers.insert(one, 100);
                    Some("a new entry of a list")
                }
                _ => {
                    numbers.remove(one);
                    Some("an entry left out of a list")
                }
            }
        }
        Source::Tasks { .. } => None,
    }
}
