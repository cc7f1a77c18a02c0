//! What services cost before anything is run: reading, resolving, and walking large graphs.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should stop"
)]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hapsh::config::services;
use hapsh::plan::NodeName;
use hapsh::service::expand::{Lookups, NodeFilter};
use hapsh::service::resolve::Purpose;
use hapsh::service::{Direction, Graph, Ran, Request, Step, Walk, resolve};

/// A world without groups and shells.
struct Nowhere;

impl Lookups for Nowhere {
    fn nodes(&mut self, text: &str) -> Result<Vec<NodeName>, String> {
        Ok(vec![text.into()])
    }

    fn fold(&mut self, nodes: &[NodeName]) -> String {
        nodes.join(",")
    }

    fn shell(&mut self, _command: &str) -> Option<String> {
        None
    }
}

/// `count` services, each requiring the `before` ones in front of it.
fn yaml(count: usize, before: usize) -> String {
    let mut text = "services:\n".to_owned();
    for at in 0..count {
        let required: Vec<String> = (at.saturating_sub(before)..at)
            .map(|at| format!("s{at}"))
            .collect();
        let _ = writeln!(
            text,
            "  s{at}:\n    require: [{}]\n    actions: {{start: {{cmd: \"echo %NAME\"}}}}",
            required.join(", ")
        );
    }
    text
}

fn load(text: &str) -> Graph {
    let mut names = |name: &str| Ok(vec![name.to_owned()]);
    let definitions = services::parse("bench.yaml", text, &mut names)
        .unwrap()
        .definitions;
    let filter = NodeFilter::default();
    resolve(&definitions, Purpose::Run, &[], &filter, &mut Nowhere).unwrap()
}

fn walk(graph: &Graph) -> usize {
    let mut walk = Walk::new(graph, &Request::all("start", Direction::Forward)).unwrap();
    let mut settled = 0;
    while !walk.is_over() {
        for step in walk.ready() {
            match step {
                Step::Run { action, .. } => {
                    walk.settle(action, &Ran::default());
                }
                Step::Settled { .. } => settled += 1,
                Step::Spared { .. } => {}
            }
        }
    }
    settled
}

fn services(criterion: &mut Criterion) {
    let (chain, dense) = (yaml(10_000, 1), yaml(10_000, 10));
    let mut group = criterion.benchmark_group("services");
    group.sample_size(10);
    group.bench_function("load/chain-10000", |bench| {
        bench.iter(|| black_box(load(&chain)))
    });
    group.bench_function("load/100000-arrows", |bench| {
        bench.iter(|| black_box(load(&dense)))
    });
    let (chain, dense) = (load(&chain), load(&dense));
    group.bench_function("walk/chain-10000", |bench| {
        bench.iter(|| black_box(walk(&chain)))
    });
    group.bench_function("walk/100000-arrows", |bench| {
        bench.iter(|| black_box(walk(&dense)))
    });
    group.finish();
}

criterion_group!(benches, services);
criterion_main!(benches);
