//! How fast output is gathered: many nodes that say the same, or nearly.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hapsh::gather::Gather;

/// Pushes `lines` lines for each of `nodes` nodes, interleaved; every `odd`th node says something of its own.
fn gathered(nodes: u32, lines: u32, odd: u32) -> Gather {
    let mut gather = Gather::default();
    let same: Vec<String> = (0..lines)
        .map(|n| format!(" a line of output, number {n}\n"))
        .collect();
    for (n, text) in same.iter().enumerate() {
        for node in 0..nodes {
            let pushed = if node % odd == 1 && n == 7 {
                gather.push(node, format!("{node}\n").as_bytes())
            } else {
                gather.push(node, text.as_bytes())
            };
            assert!(pushed.is_ok());
        }
    }
    (0..nodes).for_each(|node| gather.finish(node, 0));
    gather
}

fn gather(c: &mut Criterion) {
    let mut group = c.benchmark_group("gather");
    group.sample_size(20);
    for (nodes, lines, odd) in [
        (1_000, 200, 1_001),
        (1_000, 200, 10),
        (1_000, 200, 2),
        (10_000, 200, 10_001),
    ] {
        group.throughput(Throughput::Elements(u64::from(nodes) * u64::from(lines)));
        let name = format!("{nodes} nodes, {lines} lines, one in {odd} differs");
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| black_box(gathered(nodes, lines, odd).groups().len()));
        });
    }
    group.finish();
}

criterion_group!(benches, gather);
criterion_main!(benches);
