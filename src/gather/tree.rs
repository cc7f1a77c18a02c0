//! The lines of many keys as a tree: what begins alike is one branch until it parts.
//!
//! Other than [`Gather`](super::Gather), which tells whole outputs apart, this shows where they part.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

/// Collects lines of keys. All of it stays in memory, equal beginnings once.
#[derive(Debug)]
pub struct LineTree {
    /// The first one is the root, which has no line.
    nodes: Vec<Node>,
    /// Nodes by parent and line.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// At which node each key stands.
    keys: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    parent: u32,
    line: Box<[u8]>,
    /// In the order they came.
    children: Vec<u32>,
}

impl Default for LineTree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            keys: Vec::new(),
        }
    }
}

impl LineTree {
    /// Adds a line to what a key said; keys are small dense numbers.
    pub fn push(&mut self, key: u32, line: &[u8]) {
        let at = key as usize;
        if at >= self.keys.len() {
            self.keys.resize(at + 1, 0);
        }
        let parent = self.keys[at];
        let nodes = &mut self.nodes;
        let hash = self.hasher.hash_one((parent, line));
        let is_it = |node: &u32| {
            let node = &nodes[*node as usize];
            node.parent == parent && *node.line == *line
        };
        self.keys[at] = match self.index.find(hash, is_it) {
            Some(known) => *known,
            None => {
                let node = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                nodes.push(Node {
                    parent,
                    line: line.into(),
                    children: Vec::new(),
                });
                nodes[parent as usize].children.push(node);
                let hasher = &self.hasher;
                self.index.insert_unique(hash, node, |node| {
                    let node = &nodes[*node as usize];
                    hasher.hash_one((node.parent, &*node.line))
                });
                node
            }
        };
    }

    /// The number of lines of the key that said most.
    #[must_use]
    pub fn depth(&self) -> usize {
        let depths = self.keys.iter().map(|&node| {
            std::iter::successors(Some(node), |&node| Some(self.nodes[node as usize].parent))
                .take_while(|&node| node != 0)
                .count()
        });
        depths.max().unwrap_or(0)
    }

    /// The lines from the root to the leaves, one branch after the other, the one that came last first.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        let mut ends: HashMap<u32, Vec<u32>> = HashMap::new();
        for (key, node) in (0..).zip(&self.keys) {
            ends.entry(*node).or_default().push(key);
        }
        let mut walk = Walk {
            tree: self,
            ends,
            todo: Vec::new(),
            levels: HashMap::new(),
            level: 0,
        };
        walk.add_children(0, 1, true);
        walk
    }
}

/// A line of a [`Walk`].
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The line.
    pub line: &'a [u8],
    /// How deep it is shown. A branch that parts from others is one level deeper than what it parts from,
    /// unless one that parted as many lines from the root was already seen: then it is as deep as that.
    pub level: usize,
    /// The keys that said it, lowest first, where they are others than those of the line before.
    pub keys: Option<Vec<u32>>,
}

/// The lines of a [`LineTree`].
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a LineTree,
    /// The keys whose last line a node is.
    ends: HashMap<u32, Vec<u32>>,
    todo: Vec<Todo>,
    /// The levels of branches by the number of lines from the root, and that of the branch at hand.
    levels: HashMap<usize, usize>,
    level: usize,
}

#[derive(Debug)]
struct Todo {
    node: u32,
    /// Its number of lines from the root.
    depth: usize,
    /// It is the first line of a branch.
    parts: bool,
}

impl Walk<'_> {
    fn add_children(&mut self, node: u32, depth: usize, parts: bool) {
        let children = &self.tree.nodes[node as usize].children;
        self.todo
            .extend(children.iter().map(|&node| Todo { node, depth, parts }));
    }

    fn keys_below(&self, node: u32) -> Vec<u32> {
        let (mut keys, mut todo) = (Vec::new(), vec![node]);
        while let Some(node) = todo.pop() {
            keys.extend(self.ends.get(&node).into_iter().flatten());
            todo.extend(&self.tree.nodes[node as usize].children);
        }
        keys.sort_unstable();
        keys
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let Todo { node, depth, parts } = self.todo.pop()?;
        let here = &self.tree.nodes[node as usize];
        let children_part = here.children.len() > 1 || self.ends.contains_key(&node);
        self.add_children(node, depth + 1, children_part);
        if parts {
            let deeper = if self.levels.is_empty() {
                0
            } else {
                self.level + 1
            };
            self.level = *self.levels.entry(depth).or_insert(deeper);
        }
        Some(Step {
            line: &here.line,
            level: self.level,
            keys: parts.then(|| self.keys_below(node)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(said: &[(u32, &str)]) -> Vec<String> {
        let mut tree = LineTree::default();
        for (key, line) in said {
            tree.push(*key, line.as_bytes());
        }
        tree.walk()
            .map(|step| {
                let line = String::from_utf8_lossy(step.line);
                match step.keys {
                    Some(keys) => format!("{} {line} {keys:?}", step.level),
                    None => format!("{} {line}", step.level),
                }
            })
            .collect()
    }

    #[test]
    fn branches_part_and_the_last_comes_first() {
        let said = [(1, "x"), (1, "y"), (2, "x"), (2, "z"), (3, "x"), (3, "y")];
        assert_eq!(shown(&said), ["0 x [1, 2, 3]", "1 z [2]", "1 y [1, 3]"]);
        let said = [
            (2, "b"),
            (1, "a"),
            (3, "a"),
            (2, "c"),
            (3, "b"),
            (4, "b"),
            (4, "c"),
        ];
        assert_eq!(shown(&said), ["0 a [1, 3]", "1 b [3]", "0 b [2, 4]", "0 c"]);
    }

    #[test]
    fn branches_that_part_equally_far_from_the_root_are_equally_deep() {
        let deep = [(1, "a"), (2, "a"), (1, "b"), (2, "b"), (1, "c"), (2, "d")];
        assert_eq!(shown(&deep), ["0 a [1, 2]", "0 b", "1 d [2]", "1 c [1]"]);
        let mut both = deep.to_vec();
        both.extend([
            (3, "z"),
            (4, "z"),
            (5, "z"),
            (3, "p"),
            (4, "q"),
            (5, "q"),
            (4, "r"),
            (5, "s"),
        ]);
        assert_eq!(
            shown(&both),
            [
                "0 z [3, 4, 5]",
                "1 q [4, 5]",
                "2 s [5]",
                "2 r [4]",
                "1 p [3]",
                "0 a [1, 2]",
                "0 b",
                "2 d [2]",
                "2 c [1]"
            ]
        );
    }

    #[test]
    fn who_said_no_more_is_not_among_those_who_went_on() {
        let said = [(1, "a"), (2, "a"), (2, "b"), (2, "c"), (3, "a"), (3, "b")];
        assert_eq!(shown(&said), ["0 a [1, 2, 3]", "1 b [2, 3]", "2 c [2]"]);
    }

    #[test]
    fn depth_is_that_of_the_longest() {
        let mut tree = LineTree::default();
        assert_eq!(tree.depth(), 0);
        for (key, line) in [(0, "a"), (1, "a"), (1, "b")] {
            tree.push(key, line.as_bytes());
        }
        assert_eq!(tree.depth(), 2);
    }
}
