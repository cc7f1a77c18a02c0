//! Node sets: folding lists in order and shuffled, and operations on products.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hapsh::nodeset::{NoGroups, NodeSet, eval, parse};

fn set(text: &str) -> NodeSet {
    parse(text)
        .ok()
        .and_then(|expr| eval(&expr, &NoGroups).ok())
        .unwrap_or_default()
}

fn nodesets(criterion: &mut Criterion) {
    for count in [100_000u64, 1_000_000] {
        let sorted: Vec<String> = (0..count).map(|number| format!("node{number}")).collect();
        // A step without a common divisor visits every name, far from the one before.
        let shuffled: Vec<&String> = (0..count)
            .filter_map(|number| sorted.get(usize::try_from(number * 618_033 % count).ok()?))
            .collect();
        criterion.bench_function(&format!("fold {count} sorted"), |bench| {
            bench.iter(|| sorted.iter().collect::<NodeSet>().to_string());
        });
        criterion.bench_function(&format!("fold {count} shuffled"), |bench| {
            bench.iter(|| shuffled.iter().collect::<NodeSet>().to_string());
        });
    }
    let irregular: Vec<String> = (0..100_000u64)
        .map(|number| format!("rack{}n{}", number * 7919 % 1009, number * 104_729 % 4001))
        .collect();
    criterion.bench_function("fold 100000 irregular names in two dimensions", |bench| {
        bench.iter(|| irregular.iter().collect::<NodeSet>().to_string());
    });
    let (left, right) = (set("a[1-1000]b[1-100]"), set("a[501-1500]b[51-150]"));
    criterion.bench_function("unite two products of 100000 and fold", |bench| {
        bench.iter(|| {
            let mut union = black_box(&left).clone();
            union.union(&right);
            union.to_string()
        });
    });
}

criterion_group!(benches, nodesets);
criterion_main!(benches);
