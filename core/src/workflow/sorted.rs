//! The order of tasks, and the circles that leave them without one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::{Task, TaskIndex};

/// The tasks that a task waits for, in the order of its parameters; some more than once.
pub(super) fn needs(task: &Task) -> Vec<TaskIndex> {
    let sources = task.inputs.iter().flat_map(|input| &input.sources);
    let sources = sources.map(|source| source.task);
    sources.chain(task.after.iter().copied()).collect()
}

/// Every task after what it needs, ties in the order of definition; nothing where there is a circle.
pub(super) fn order(tasks: &[Task]) -> Option<Vec<TaskIndex>> {
    let mut missing = vec![0usize; tasks.len()];
    for task in tasks {
        for consumer in &task.consumers {
            missing[consumer.get()] += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<u32>> = (0u32..)
        .zip(&missing)
        .filter(|(_, missing)| **missing == 0)
        .map(|(index, _)| Reverse(index))
        .collect();
    let mut order = Vec::with_capacity(tasks.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(TaskIndex(index));
        for consumer in &tasks[index as usize].consumers {
            missing[consumer.get()] -= 1;
            if missing[consumer.get()] == 0 {
                ready.push(Reverse(consumer.0));
            }
        }
    }
    (order.len() == tasks.len()).then_some(order)
}

/// One shortest circle in each group of tasks that need each other, along the data, from the task that
/// is defined first.
pub(super) fn circles(tasks: &[Task]) -> Vec<Vec<TaskIndex>> {
    let edges = tasks.iter().enumerate().flat_map(|(index, task)| {
        let from = index as u32;
        task.consumers
            .iter()
            .map(move |consumer| (from, consumer.0))
    });
    let graph = DiGraph::<(), ()>::from_edges(edges);
    let mut circles: Vec<Vec<TaskIndex>> = kosaraju_scc(&graph)
        .into_iter()
        .filter_map(|group| {
            let first = group.iter().map(|node| node.index() as u32).min()?;
            let group = group
                .iter()
                .map(|node| TaskIndex(node.index() as u32))
                .collect();
            shortest_circle(tasks, TaskIndex(first), &group)
        })
        .collect();
    circles.sort_by_key(|circle| circle[0]);
    circles
}

fn shortest_circle(
    tasks: &[Task],
    first: TaskIndex,
    group: &std::collections::HashSet<TaskIndex>,
) -> Option<Vec<TaskIndex>> {
    let mut before: HashMap<TaskIndex, TaskIndex> = HashMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(task) = queue.pop_front() {
        for consumer in &tasks[task.get()].consumers {
            if *consumer == first {
                let mut circle = vec![task];
                while let Some(previous) = before.get(&circle[circle.len() - 1]) {
                    circle.push(*previous);
                }
                circle.reverse();
                return Some(circle);
            }
            if group.contains(consumer) && !before.contains_key(consumer) {
                before.insert(*consumer, task);
                queue.push_back(*consumer);
            }
        }
    }
    None
}
