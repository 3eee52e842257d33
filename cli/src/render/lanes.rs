//! Draws a graph from top to bottom, one lane for each wire that is under way.

/// One row of the drawing: the lanes, and the node that stands in it, if any.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The lanes, drawn.
    pub(crate) lanes: String,
    /// The node.
    pub(crate) node: Option<usize>,
}

/// Draws nodes 0, 1, ... that are in order: `consumers[n]` are later than `n`, each named once.
pub(crate) fn draw(consumers: &[Vec<usize>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    // What each lane leads to.
    let mut lanes: Vec<Option<usize>> = Vec::new();
    for (node, targets) in consumers.iter().enumerate() {
        let arriving: Vec<usize> = (0..lanes.len())
            .filter(|lane| lanes[*lane] == Some(node))
            .collect();
        let column = arriving
            .first()
            .copied()
            .unwrap_or_else(|| free(&mut lanes, 0));
        if arriving.len() > 1 {
            // Lanes that only go on say nothing above lanes that meet.
            rows.pop_if(|row| row.node.is_none() && !row.lanes.contains('├'));
            rows.push(Row {
                lanes: branch(&lanes, column, &arriving[1..], ['┴', '╯']),
                node: None,
            });
        }
        for lane in arriving {
            lanes[lane] = None;
        }
        lanes[column] = Some(node);
        rows.push(Row {
            lanes: draw_row(&lanes, |lane| if lane == column { '●' } else { '│' }),
            node: Some(node),
        });
        lanes[column] = targets.first().copied();
        let mut leaving = Vec::new();
        for target in targets.iter().skip(1) {
            let lane = free(&mut lanes, column + 1);
            lanes[lane] = Some(*target);
            leaving.push(lane);
        }
        if !targets.is_empty() {
            let row = if leaving.is_empty() {
                draw_row(&lanes, |_| '│')
            } else {
                branch(&lanes, column, &leaving, ['┬', '╮'])
            };
            rows.push(Row {
                lanes: row,
                node: None,
            });
        }
        while lanes.last() == Some(&None) {
            lanes.pop();
        }
    }
    rows
}

/// Returns a lane that leads nowhere, at `from` or right of it.
fn free(lanes: &mut Vec<Option<usize>>, from: usize) -> usize {
    let found = (from..lanes.len()).find(|lane| lanes[*lane].is_none());
    found.unwrap_or_else(|| {
        lanes.resize(lanes.len().max(from) + 1, None);
        lanes.len() - 1
    })
}

fn draw_row(lanes: &[Option<usize>], glyph: impl Fn(usize) -> char) -> String {
    let mut row = String::new();
    for (lane, target) in lanes.iter().enumerate() {
        row.push(if target.is_some() { glyph(lane) } else { ' ' });
        row.push(' ');
    }
    row.trim_end().to_owned()
}

/// Draws the row in which the lanes `ends`, all right of `column`, leave it or join it.
fn branch(
    lanes: &[Option<usize>],
    column: usize,
    ends: &[usize],
    [between, last]: [char; 2],
) -> String {
    let rightmost = ends.iter().copied().max().unwrap_or(column);
    let mut row = String::new();
    for (lane, target) in lanes.iter().enumerate() {
        let inside = lane > column && lane < rightmost;
        row.push(if lane == column {
            '├'
        } else if lane == rightmost {
            last
        } else if ends.contains(&lane) {
            between
        } else {
            match (inside, target.is_some()) {
                (true, true) => '┼',
                (true, false) => '─',
                (false, true) => '│',
                (false, false) => ' ',
            }
        });
        let line = lane >= column && lane < rightmost;
        row.push(if line { '─' } else { ' ' });
    }
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(consumers: &[&[usize]]) -> String {
        let consumers: Vec<Vec<usize>> = consumers.iter().map(|list| list.to_vec()).collect();
        let lines: Vec<String> = draw(&consumers)
            .into_iter()
            .map(|row| match row.node {
                Some(node) => format!("{} {node}", row.lanes),
                None => row.lanes,
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_chain_is_a_line() {
        insta::assert_snapshot!(drawn(&[&[1], &[2], &[]]), @r"
        ● 0
        │
        ● 1
        │
        ● 2
        ");
    }

    #[test]
    fn a_diamond_opens_and_closes() {
        insta::assert_snapshot!(drawn(&[&[1, 2], &[3], &[3], &[]]), @r"
        ● 0
        ├─╮
        ● │ 1
        │ │
        │ ● 2
        ├─╯
        ● 3
        ");
    }

    #[test]
    fn lanes_cross_and_separate_parts_do_not_touch() {
        insta::assert_snapshot!(drawn(&[&[2, 3, 4], &[4], &[5], &[], &[5], &[], &[]]), @r"
        ● 0
        ├─┬─╮
        │ │ │ ● 1
        │ │ │ │
        ● │ │ │ 2
        │ │ │ │
        │ ● │ │ 3
        │   ├─╯
        │   ● 4
        ├───╯
        ● 5
        ● 6
        ");
    }
}
