//! Node sets: lists in order and without, expressions, operations, parts. What is read at two sizes shows how it grows.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hapsh::nodeset::{
    Autostep, GroupError, Groups, NoGroups, NodeSet, RangeSet, eval, parse, regroup,
};

/// A source of so many groups, each of three nodes out of ten.
struct Racks(usize);

impl Groups for Racks {
    fn map(&self, _: Option<&str>, group: &str) -> Result<String, GroupError> {
        let number: usize = group.trim_start_matches('g').parse().unwrap_or_default();
        Ok(format!("n[{}-{}]", number * 10, number * 10 + 2))
    }

    fn all(&self, _: Option<&str>) -> Result<Option<String>, GroupError> {
        Ok(None)
    }

    fn list(&self, _: Option<&str>) -> Result<Vec<String>, GroupError> {
        Ok((0..self.0).map(|number| format!("g{number}")).collect())
    }

    fn reverse(&self, _: Option<&str>, _: &str) -> Result<Option<Vec<String>>, GroupError> {
        Ok(None)
    }

    fn sources(&self) -> Result<Vec<String>, GroupError> {
        Ok(Vec::new())
    }
}

fn set(text: &str) -> NodeSet {
    parse(text)
        .ok()
        .and_then(|expr| eval(&expr, &NoGroups).ok())
        .unwrap_or_default()
}

/// So many names in an order in which none is near the one before: a step without a common divisor visits each.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |number| number * 618_033 % count)
}

fn lists(criterion: &mut Criterion) {
    for count in [100_000u64, 1_000_000] {
        let sorted: Vec<String> = (0..count).map(|number| format!("node{number}")).collect();
        let mixed: Vec<String> = shuffled(count)
            .map(|number| format!("node{number}"))
            .collect();
        criterion.bench_function(&format!("fold {count} sorted"), |bench| {
            bench.iter(|| sorted.iter().collect::<NodeSet>().to_string());
        });
        criterion.bench_function(&format!("fold {count} shuffled"), |bench| {
            bench.iter(|| mixed.iter().collect::<NodeSet>().to_string());
        });
    }
    let irregular: Vec<String> = (0..100_000u64)
        .map(|number| format!("rack{}n{}", number * 7919 % 1009, number * 104_729 % 4001))
        .collect();
    criterion.bench_function("fold 100000 irregular names in two dimensions", |bench| {
        bench.iter(|| irregular.iter().collect::<NodeSet>().to_string());
    });
}

/// An operand with the operator in front of it, by its place.
type Operand = fn(u64) -> String;

/// A list in one text, as a group or an option has it: reading, value and folded text.
fn expressions(criterion: &mut Criterion) {
    let joined = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(",");
    let mut group = criterion.benchmark_group("expression");
    for count in [4_000u64, 12_000, 40_000] {
        let names = joined(&mut shuffled(count).map(|number| format!("node{number}")));
        group.bench_function(BenchmarkId::new("names", count), |bench| {
            bench.iter(|| set(&names).to_string());
        });
        let words = joined(&mut shuffled(count).map(|number| {
            let letter = |place: u32| char::from(b'a' + (number / 26u64.pow(place) % 26) as u8);
            (0..4).map(letter).collect()
        }));
        group.bench_function(BenchmarkId::new("names without digits", count), |bench| {
            bench.iter(|| set(&words).to_string());
        });
    }
    for count in [20_000u64, 200_000] {
        for operator in [',', '&', '!', '^'] {
            let text = format!("n[0-{count}/2]{operator}n[0-{count}/3]");
            let name = format!("stepped ranges {operator}");
            group.bench_function(BenchmarkId::new(name, count), |bench| {
                bench.iter(|| set(&text).to_string());
            });
        }
    }
    for count in [100u64, 1_000] {
        let text = format!("a[0-{count}/2]b[0-{count}/2],a[0-{count}/3]b[0-{count}/3]");
        group.bench_function(BenchmarkId::new("stepped products", count), |bench| {
            bench.iter(|| set(&text).to_string());
        });
    }
    for count in [1_000, 10_000] {
        let chains: [(&str, Operand); 4] = [
            ("!", |number| format!("!n{}", 2 * number)),
            ("^", |number| format!("^n{}", 2 * number)),
            ("&", |number| format!("&n[{number}-99999]")),
            ("!,", |number| format!("!n{},m{number}", 2 * number)),
        ];
        for (operator, operand) in chains {
            let text = "n[0-99999]".to_owned() + &(0..count).map(operand).collect::<String>();
            let name = format!("chain of {operator}");
            group.bench_function(BenchmarkId::new(name, count), |bench| {
                bench.iter(|| set(&text).to_string());
            });
        }
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let (left, right) = (set("a[1-1000]b[1-100]"), set("a[501-1500]b[51-150]"));
    criterion.bench_function("unite two products of 100000 and fold", |bench| {
        bench.iter(|| (black_box(&left) | &right).to_string());
    });
    let mut group = criterion.benchmark_group("parts");
    for count in [10_000usize, 100_000] {
        let whole = set(&format!("n[0-{count}/2],a[0-{count}/3]b[1-2]"));
        group.bench_function(BenchmarkId::new("contiguous", count), |bench| {
            bench.iter(|| black_box(&whole).contiguous(Autostep::Off).count());
        });
        group.bench_function(BenchmarkId::new("split", count), |bench| {
            bench.iter(|| black_box(&whole).split(count / 10).count());
        });
        let places = RangeSet::parse(&format!("0-{count}/3")).unwrap_or_default();
        group.bench_function(BenchmarkId::new("slice", count), |bench| {
            bench.iter(|| black_box(&whole).slice(&places).len());
        });
    }
    for count in [1_000, 10_000] {
        let racks = Racks(count);
        let all = set(&format!("n[0-{}]", 10 * count));
        group.bench_function(BenchmarkId::new("regroup by groups", count), |bench| {
            bench.iter(|| regroup(&all, None, &racks).map(|told| told.groups.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, lists, expressions, parts);
criterion_main!(benches);
