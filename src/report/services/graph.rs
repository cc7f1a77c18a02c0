//! The dependency graph: for Graphviz, as a picture, and for reading in a terminal.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::service::{Graph, Link, ServiceId, Word};

/// A graph with some of its services left out.
#[derive(Debug)]
pub struct GraphView<'g> {
    graph: &'g Graph,
    tops: Vec<ServiceId>,
    hidden: HashSet<ServiceId>,
}

impl<'g> GraphView<'g> {
    /// These top-level services and their members, without `left_out` and all that depends on it.
    #[must_use]
    pub fn new(graph: &'g Graph, tops: Vec<ServiceId>, left_out: &[ServiceId]) -> Self {
        let mut hidden = HashSet::new();
        let mut todo = left_out.to_vec();
        while let Some(id) = todo.pop() {
            if hidden.insert(id) {
                todo.extend(graph.service(id).dependents.iter().map(|link| link.to));
                todo.extend(graph.members(id));
            }
        }
        Self {
            graph,
            tops,
            hidden,
        }
    }

    fn is_group(&self, id: ServiceId) -> bool {
        matches!(
            self.graph.service(id).body,
            crate::service::Body::Members(_)
        )
    }

    fn name(&self, id: ServiceId) -> &'g str {
        &self.graph.service(id).full_name
    }

    /// What is shown of these services, groups and members in order, with the depth of each.
    fn rows(&self) -> Vec<(ServiceId, usize)> {
        let mut rows = Vec::new();
        let mut todo: Vec<_> = self.tops.iter().rev().map(|id| (*id, 0)).collect();
        while let Some((id, depth)) = todo.pop() {
            if self.hidden.contains(&id) {
                continue;
            }
            rows.push((id, depth));
            let members = self.graph.members(id).iter().rev();
            todo.extend(members.map(|member| (*member, depth + 1)));
        }
        rows
    }

    /// The graph in Graphviz' language, as MilkCheck has it.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = "digraph dependency {\ncompound=true;\nnode [style=filled];\n".to_owned();
        let mut open: Vec<ServiceId> = Vec::new();
        for (id, depth) in self.rows() {
            while open.len() > depth {
                self.close_group(&mut text, &mut open);
            }
            if self.is_group(id) {
                let name = quoted(self.name(id));
                let cluster = quoted(&format!("cluster_{}", self.name(id)));
                let hook = self.node(id);
                let _ = writeln!(
                    text,
                    "subgraph {cluster} {{\nlabel={name};\nstyle=rounded;\nnode [style=filled];\n{hook} [style=invis];"
                );
                open.push(id);
            } else if self.graph.service(id).links.is_empty() {
                let _ = writeln!(text, "{};", quoted(self.name(id)));
            } else {
                self.arrows(&mut text, id);
            }
        }
        while !open.is_empty() {
            self.close_group(&mut text, &mut open);
        }
        text.push_str("}\n");
        text
    }

    fn close_group(&self, text: &mut String, open: &mut Vec<ServiceId>) {
        if let Some(group) = open.pop() {
            text.push_str("}\n");
            self.arrows(text, group);
        }
    }

    fn arrows(&self, text: &mut String, from: ServiceId) {
        for link in &self.graph.service(from).links {
            let mut options = Vec::new();
            if !link.word.is_strong() {
                options.push("style=dashed".to_owned());
            }
            for (key, end) in [("ltail", from), ("lhead", link.to)] {
                if self.is_group(end) {
                    options.push(format!(
                        "{key}={}",
                        quoted(&format!("cluster_{}", self.name(end)))
                    ));
                }
            }
            let options = match options.as_slice() {
                [] => String::new(),
                some => format!(" [{}]", some.join(",")),
            };
            let _ = writeln!(
                text,
                "{} -> {}{options};",
                self.node(from),
                self.node(link.to)
            );
        }
    }

    /// The name of a node; a group is represented by an invisible one.
    fn node(&self, id: ServiceId) -> String {
        if self.is_group(id) {
            quoted(&format!("{}.__hook", self.name(id)))
        } else {
            quoted(self.name(id))
        }
    }

    /// The graph as a tree of groups and members, each with what it waits for.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.rows();
        let mut text = String::new();
        // Per depth: whether a sibling follows below.
        let mut more: Vec<bool> = Vec::new();
        for (at, (id, depth)) in rows.iter().enumerate() {
            let follows = rows[at + 1..]
                .iter()
                .take_while(|(_, other)| other >= depth)
                .any(|(_, other)| other == depth);
            more.truncate(*depth);
            for has_more in more.iter().skip(1) {
                text.push_str(if *has_more { "│  " } else { "   " });
            }
            if *depth > 0 {
                text.push_str(if follows { "├─ " } else { "└─ " });
            }
            more.push(follows);
            text.push_str(&self.graph.service(*id).name);
            for (words, shown) in [
                (&[Word::Require][..], "needs"),
                (&[Word::Check], "checks"),
                (&[Word::Filter], "filtered by"),
                (&[Word::Weak], "after"),
            ] {
                let names: Vec<_> = self
                    .graph
                    .service(*id)
                    .links
                    .iter()
                    .filter(|link| words.contains(&link.word))
                    .map(|link| self.short_name(*id, link))
                    .collect();
                if !names.is_empty() {
                    let _ = write!(text, "  ({shown} {})", names.join(", "));
                }
            }
            text.push('\n');
        }
        text
    }

    /// How a service names another: a sibling by its own name.
    fn short_name(&self, from: ServiceId, link: &Link) -> &'g str {
        let other = self.graph.service(link.to);
        if other.parent == self.graph.service(from).parent {
            &other.name
        } else {
            &other.full_name
        }
    }

    /// The graph as a picture: a row for each service, and an arrow at its side for each dependency.
    #[must_use]
    pub fn svg(&self) -> String {
        const ROW: usize = 28;
        const INDENT: usize = 18;
        let rows = self.rows();
        let places: HashMap<ServiceId, usize> = rows
            .iter()
            .enumerate()
            .map(|(at, (id, _))| (*id, at))
            .collect();
        let widest = rows
            .iter()
            .map(|(id, depth)| depth * INDENT + self.graph.service(*id).name.chars().count() * 8)
            .max()
            .unwrap_or(0);
        let edge = widest + 60;
        let height = rows.len() * ROW + 20;
        let reach = (rows.len() * ROW / 3).clamp(40, 400);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
             <path d=\"M0 0 L8 4 L0 8 z\" fill=\"#555\"/></marker></defs>\n",
            edge + reach + 20
        );
        for (at, (id, depth)) in rows.iter().enumerate() {
            let (x, y) = (10 + depth * INDENT, 10 + at * ROW);
            let fill = if self.is_group(*id) {
                "#e8eef8"
            } else {
                "#f5f5f5"
            };
            let name = escaped(&self.graph.service(*id).name);
            let title = escaped(self.name(*id));
            let width = edge.saturating_sub(x);
            let _ = writeln!(
                text,
                "<g><title>{title}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" rx=\"5\" fill=\"{fill}\" stroke=\"#999\"/>\
                 <text x=\"{}\" y=\"{}\">{name}</text></g>",
                ROW - 6,
                x + 8,
                y + 15
            );
        }
        for (at, (id, _)) in rows.iter().enumerate() {
            for link in &self.graph.service(*id).links {
                let Some(to) = places.get(&link.to) else {
                    continue;
                };
                let middle = |row: usize| 10 + row * ROW + (ROW - 6) / 2;
                let bow = edge + (at.abs_diff(*to) * ROW / 3).clamp(25, reach);
                let dash = if link.word.is_strong() {
                    ""
                } else {
                    " stroke-dasharray=\"4 3\""
                };
                let (from, to) = (middle(at), middle(*to));
                let _ = writeln!(
                    text,
                    "<path d=\"M{edge} {from} C{bow} {from} {bow} {to} {edge} {to}\" fill=\"none\" stroke=\"#555\"{dash} marker-end=\"url(#arrow)\"/>"
                );
            }
        }
        text.push_str("</svg>\n");
        text
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn escaped(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
