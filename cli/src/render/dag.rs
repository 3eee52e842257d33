use std::fmt::Write;

use reflow_core::workflow::{Graph, Mode, TaskIndex};
use serde::Serialize;

use super::lanes;
use crate::output::{FAINT, STRONG, styled};

/// Most wires drawn side by side; a wider graph is listed instead.
const MOST_LANES: usize = 40;

/// A workflow as `dag --json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Dag<'a> {
    workflow: &'a str,
    tasks: Vec<DagTask<'a>>,
    wires: Vec<Wire<'a>>,
}

#[derive(Debug, Serialize)]
struct DagTask<'a> {
    name: &'a str,
    array: bool,
    returns: String,
}

/// One wire between two tasks.
#[derive(Debug, Serialize)]
struct Wire<'a> {
    from: &'a str,
    to: &'a str,
    /// None for a wire without data.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    mode: &'static str,
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Direct => "direct",
        Mode::FanOut => "fan-out",
        Mode::Gather => "gather",
        Mode::GatherFlattened => "gather, flattened",
        Mode::Chain => "chain",
        Mode::Flatten => "flatten",
        Mode::Broadcast => "broadcast",
        Mode::Concatenate => "concatenate",
    }
}

fn name(graph: &Graph, task: TaskIndex) -> &str {
    graph.declared(task).name.as_str()
}

/// Returns the wires that end at `task`.
fn wires(graph: &Graph, task: TaskIndex) -> Vec<Wire<'_>> {
    let declared = graph.task(task);
    let mut wires = Vec::new();
    for input in &declared.inputs {
        for (source, mode) in input.sources.iter().zip(input.modes(graph.is_array(task))) {
            wires.push(Wire {
                from: name(graph, source.task),
                to: name(graph, task),
                parameter: Some(input.parameter.as_str()),
                mode: mode_word(mode),
            });
        }
    }
    for before in &declared.after {
        wires.push(Wire {
            from: name(graph, *before),
            to: name(graph, task),
            parameter: None,
            mode: "after",
        });
    }
    wires
}

/// Returns the graph as `--json` prints it.
pub(crate) fn document(graph: &Graph) -> Dag<'_> {
    let order = graph.order();
    Dag {
        workflow: graph.description().name.as_str(),
        tasks: order
            .iter()
            .map(|task| DagTask {
                name: name(graph, *task),
                array: graph.is_array(*task),
                returns: graph.declared(*task).returns.to_string(),
            })
            .collect(),
        wires: order.iter().flat_map(|task| wires(graph, *task)).collect(),
    }
}

/// Draws the graph with lines, each task with what flows into it.
pub(crate) fn text(graph: &Graph) -> String {
    let order = graph.order();
    let mut position = vec![0; graph.len()];
    for (place, task) in order.iter().enumerate() {
        position[task.get()] = place;
    }
    let consumers: Vec<Vec<usize>> = order
        .iter()
        .map(|task| {
            let mut places: Vec<usize> = graph
                .task(*task)
                .consumers
                .iter()
                .map(|consumer| position[consumer.get()])
                .collect();
            places.sort_unstable();
            places.dedup();
            places
        })
        .collect();
    let mut rows = lanes::draw(&consumers);
    let mut width = rows
        .iter()
        .map(|row| lane_width(&row.lanes))
        .max()
        .unwrap_or(0);
    if width > 2 * MOST_LANES {
        rows.retain(|row| row.node.is_some());
        for row in &mut rows {
            "●".clone_into(&mut row.lanes);
        }
        width = 1;
    }
    let names: Vec<String> = order
        .iter()
        .map(|task| {
            let mark = if graph.is_array(*task) { "[]" } else { "" };
            format!("{}{mark}", name(graph, *task))
        })
        .collect();
    let longest = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let Some(node) = row.node else {
            let _ = writeln!(text, "{}", row.lanes);
            continue;
        };
        let inputs: Vec<String> = wires(graph, order[node])
            .iter()
            .map(|wire| match wire.parameter {
                Some(parameter) => format!("{parameter} ← {} ({})", wire.from, wire.mode),
                None => format!("after {}", wire.from),
            })
            .collect();
        let gap = " ".repeat(width - lane_width(&row.lanes) + 2);
        let padding = " ".repeat(longest - names[node].len() + 2);
        let line = format!(
            "{}{gap}{}{padding}{}",
            row.lanes,
            styled(STRONG, &names[node]),
            styled(FAINT, inputs.join(", "))
        );
        let end = if inputs.is_empty() {
            format!("{}{gap}{}", row.lanes, styled(STRONG, &names[node]))
        } else {
            line
        };
        let _ = writeln!(text, "{end}");
    }
    text
}

fn lane_width(lanes: &str) -> usize {
    lanes.chars().count()
}

/// Returns the graph in the language of Mermaid.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for task in graph.order() {
        // Task names are letters, digits and `_`, but some, such as `end`, are words of the language.
        let (open, close) = if graph.is_array(*task) {
            ("[[", "]]")
        } else {
            ("[", "]")
        };
        let label = name(graph, *task);
        let _ = writeln!(text, "  t_{label}{open}\"{label}\"{close}");
    }
    for wire in graph.order().iter().flat_map(|task| wires(graph, *task)) {
        let arrow = match wire.parameter {
            Some(parameter) => format!("-- \"{parameter}: {}\" -->", wire.mode),
            None => "-.->".to_owned(),
        };
        let _ = writeln!(text, "  t_{} {arrow} t_{}", wire.from, wire.to);
    }
    text
}

/// Returns the graph in the language of Graphviz.
pub(crate) fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph \"{}\" {{\n  node [shape=box];\n",
        graph.description().name
    );
    for task in graph.order() {
        let shape = if graph.is_array(*task) {
            " [peripheries=2]"
        } else {
            ""
        };
        let _ = writeln!(text, "  \"{}\"{shape};", name(graph, *task));
    }
    for wire in graph.order().iter().flat_map(|task| wires(graph, *task)) {
        let attributes = match wire.parameter {
            Some(parameter) => format!("label=\"{parameter}: {}\"", wire.mode),
            None => "style=dashed".to_owned(),
        };
        let _ = writeln!(
            text,
            "  \"{}\" -> \"{}\" [{attributes}];",
            wire.from, wire.to
        );
    }
    text.push_str("}\n");
    text
}
