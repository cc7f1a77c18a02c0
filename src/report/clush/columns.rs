//! Lines of many nodes side by side: a row is whole when every node that is still at work has said as many lines.

use std::collections::{HashMap, VecDeque};

use crate::event::NodeId;

/// How many bytes are held back for slower nodes; beyond that, rows are shown incomplete.
const BUDGET: usize = 64 * 1024 * 1024;

/// What a line costs beside its bytes.
const OVERHEAD: usize = 24;

/// Lines at the same place, each with the nodes that said it, lowest first.
pub(super) type Row = Vec<(Vec<NodeId>, Box<[u8]>)>;

/// Lines that are held back.
#[derive(Debug)]
pub(super) struct Columns {
    nodes: Vec<Column>,
    /// How many nodes are at work and have no line here.
    awaited: usize,
    /// How many nodes have a line here.
    ahead: usize,
    held: usize,
}

#[derive(Debug, Default)]
struct Column {
    lines: VecDeque<Box<[u8]>>,
    finished: bool,
}

impl Columns {
    /// For this many nodes, all of them at work.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: (0..nodes).map(|_| Column::default()).collect(),
            awaited: nodes,
            ahead: 0,
            held: 0,
        }
    }

    pub(super) fn push(&mut self, node: NodeId, line: &[u8]) {
        let column = &mut self.nodes[node.index()];
        if column.lines.is_empty() {
            self.ahead += 1;
            self.awaited -= usize::from(!column.finished);
        }
        self.held += line.len() + OVERHEAD;
        column.lines.push_back(line.into());
    }

    /// The node says no more.
    pub(super) fn finish(&mut self, node: NodeId) {
        let column = &mut self.nodes[node.index()];
        if !column.finished && column.lines.is_empty() {
            self.awaited -= 1;
        }
        column.finished = true;
    }

    /// The next row that is whole, or has to go because too much is held back.
    pub(super) fn next_row(&mut self) -> Option<Row> {
        if self.awaited == 0 || self.held > BUDGET {
            self.any_row()
        } else {
            None
        }
    }

    /// The next row, whole or not.
    pub(super) fn any_row(&mut self) -> Option<Row> {
        if self.ahead == 0 {
            return None;
        }
        let mut index: HashMap<Box<[u8]>, Vec<NodeId>> = HashMap::new();
        for (node, column) in (0u32..).map(NodeId).zip(&mut self.nodes) {
            let Some(line) = column.lines.pop_front() else {
                continue;
            };
            self.held -= line.len() + OVERHEAD;
            if column.lines.is_empty() {
                self.ahead -= 1;
                self.awaited += usize::from(!column.finished);
            }
            index.entry(line).or_default().push(node);
        }
        Some(
            index
                .into_iter()
                .map(|(line, nodes)| (nodes, line))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: Option<Row>) -> Option<Vec<(Vec<u32>, String)>> {
        row.map(|row| {
            let mut row: Vec<_> = row
                .into_iter()
                .map(|(nodes, line)| {
                    let nodes = nodes.into_iter().map(|node| node.0).collect();
                    (nodes, String::from_utf8(line.into()).unwrap())
                })
                .collect();
            row.sort();
            row
        })
    }

    fn group(nodes: &[u32], line: &str) -> (Vec<u32>, String) {
        (nodes.to_vec(), line.to_owned())
    }

    #[test]
    fn a_row_waits_for_everybody_at_work() {
        let mut columns = Columns::new(3);
        columns.push(NodeId(0), b"a");
        columns.push(NodeId(0), b"b");
        columns.push(NodeId(2), b"a");
        assert_eq!(columns.next_row(), None);
        columns.push(NodeId(1), b"x");
        let first = [group(&[0, 2], "a"), group(&[1], "x")];
        assert_eq!(row(columns.next_row()), Some(first.into()));
        assert_eq!(columns.next_row(), None);
        columns.finish(NodeId(1));
        columns.finish(NodeId(2));
        assert_eq!(row(columns.next_row()), Some(vec![group(&[0], "b")]));
        assert_eq!(columns.next_row(), None);
        columns.finish(NodeId(0));
        assert_eq!(columns.next_row(), None);
        assert_eq!(columns.held, 0);
    }

    #[test]
    fn a_silent_node_does_not_fill_memory() {
        let mut columns = Columns::new(2);
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..200 {
            columns.push(NodeId(0), &line);
            while columns.next_row().is_some() {}
            assert!(columns.held <= BUDGET);
        }
    }
}
