//! What holds of all graphs.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A random graph: a tree of groups, links from later to earlier things that close no circle.
#[derive(Debug, Clone)]
struct Shape {
    /// Per entry: its parent among the groups before it (or none), and whether it is a group.
    entries: Vec<(Option<usize>, bool)>,
    links: Vec<(usize, usize, Word)>,
    lacking: Vec<bool>,
    failing: Vec<bool>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let word = prop_oneof![
        Just(Word::Require),
        Just(Word::Weak),
        Just(Word::Check),
        Just(Word::Filter)
    ];
    (1usize..25)
        .prop_flat_map(move |count| {
            (
                proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..4), count),
                proptest::collection::vec((0..count, 0..count, word.clone()), 0..count * 2),
                proptest::collection::vec(proptest::bool::weighted(0.15), count),
                proptest::collection::vec(proptest::bool::weighted(0.2), count),
            )
        })
        .prop_map(|(kinds, links, lacking, failing)| {
            let mut entries: Vec<(Option<usize>, bool)> = Vec::new();
            for (index, kind) in kinds {
                let groups: Vec<usize> = (0..entries.len()).filter(|at| entries[*at].1).collect();
                let parent = (!groups.is_empty() && kind % 2 == 0)
                    .then(|| groups[index.index(groups.len())]);
                entries.push((parent, kind >= 2));
            }
            Shape {
                entries,
                links,
                lacking,
                failing,
            }
        })
}

impl Shape {
    /// Builds the graph; links that would close a circle, or double one, are left out.
    fn build(&self, reversed: bool) -> Builder {
        let mut builder = Builder::default();
        builder.nodes(self.entries.len() as u32);
        for (at, (parent, is_group)) in self.entries.iter().enumerate() {
            let parent = parent.map(|at| ServiceId(at as u32));
            let name = format!("e{at}");
            if *is_group {
                builder.group(parent, &name);
            } else if self.lacking[at] {
                builder.service(parent, &name, &[]);
            } else {
                let mut nodes = vec![at as u32, (at as u32 + 1) % self.entries.len() as u32];
                nodes.dedup();
                builder.service(parent, &name, &[("go", on(&nodes))]);
            }
        }
        let mut seen = HashSet::new();
        for (from, to, word) in &self.links {
            let (one, other) = (ServiceId(*from as u32), ServiceId(*to as u32));
            if !seen.insert((from, to)) {
                continue;
            }
            let mut trial = builder.clone();
            trial.link(one, *word, other);
            if trial.graph().check().is_ok() {
                builder = trial;
            }
        }
        if reversed {
            let links: Vec<_> = builder
                .services
                .iter_mut()
                .enumerate()
                .flat_map(|(at, service)| {
                    std::mem::take(&mut service.links)
                        .into_iter()
                        .map(move |link| (link.to, link.word, ServiceId(at as u32)))
                })
                .collect();
            for (from, word, to) in links {
                builder.link(from, word, to);
            }
        }
        builder
    }

    fn fails(&self, action: &str) -> Option<Vec<u32>> {
        let name = action.strip_suffix(".go")?;
        let at: usize = name.rsplit('e').next()?.parse().ok()?;
        self.failing[at].then(|| vec![at as u32])
    }
}

/// The services that must have ended before one may run: a slow, plain reading of the rules.
fn must_wait(graph: &Graph, direction: Direction, id: ServiceId) -> HashSet<ServiceId> {
    let mut before = HashSet::new();
    let mut todo: Vec<ServiceId> = Vec::new();
    let mut level = Some(id);
    while let Some(at) = level {
        todo.extend(graph.dependencies(at, direction).iter().map(|link| link.to));
        level = graph.service(at).parent;
    }
    while let Some(at) = todo.pop() {
        if before.insert(at) {
            todo.extend(graph.members(at));
        }
    }
    before
}

proptest! {
    #[test]
    fn every_service_settles_once_and_none_runs_before_what_it_waits_for(
        shape in shape(), reverse in any::<bool>(), order in proptest::collection::vec(0usize..100, 40),
    ) {
        let graph = shape.build(false).graph();
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let mut walk = Walk::new(&graph, &Request::all("go", direction)).unwrap();
        let participants: HashSet<_> = walk.participants().collect();
        let mut settled = HashSet::new();
        let mut running: Vec<ActionId> = Vec::new();
        let mut order = order.into_iter().cycle();
        while !walk.is_over() {
            for step in walk.ready() {
                match step {
                    Step::Run { action, .. } => {
                        let service = graph.action(action).service;
                        for before in must_wait(&graph, direction, service) {
                            prop_assert!(!participants.contains(&before) || settled.contains(&before));
                        }
                        running.push(action);
                    }
                    Step::Settled { service, .. } => prop_assert!(settled.insert(service)),
                    Step::Spared { .. } => prop_assert!(false, "there are no checks"),
                }
            }
            if !running.is_empty() {
                let at = order.next().unwrap_or(0) % running.len();
                walk.settle(running.swap_remove(at), &Ran::default());
            }
        }
        prop_assert_eq!(settled, participants);
    }

    #[test]
    fn the_result_does_not_depend_on_the_order_of_answers(
        shape in shape(), one in proptest::collection::vec(0usize..100, 40),
        other in proptest::collection::vec(0usize..100, 40),
    ) {
        let graph = shape.build(false).graph();
        let result = |order: Vec<usize>| {
            let mut order = order.into_iter().cycle();
            let mut walk = Walk::new(&graph, &forward("go")).unwrap();
            let mut told = drive(&mut walk, &graph, |name| shape.fails(name), |_| order.next().unwrap_or(0));
            told.ran.sort_by(|a, b| a.0.cmp(&b.0));
            told.lines.sort();
            (told, walk.verdict())
        };
        prop_assert_eq!(result(one), result(other));
    }

    #[test]
    fn a_reversed_walk_is_the_mirror(shape in shape()) {
        // `check` means `status` in forward direction only, so the mirror of it is `require`.
        let mut mirror = shape.build(true);
        for service in &mut mirror.services {
            for link in &mut service.links {
                if link.word == Word::Check {
                    link.word = Word::Require;
                }
            }
        }
        let (graph, mirror) = (shape.build(false).graph(), mirror.graph());
        let result = |graph: &Graph, direction| {
            let mut walk = Walk::new(graph, &Request::all("go", direction)).unwrap();
            let mut told = drive(&mut walk, graph, |name| shape.fails(name), |_| 0);
            told.ran.sort_by(|a, b| a.0.cmp(&b.0));
            told.lines.sort();
            (told, walk.verdict())
        };
        prop_assert_eq!(result(&graph, Direction::Reverse), result(&mirror, Direction::Forward));
    }
}
