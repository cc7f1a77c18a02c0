//! What the engine costs per node: `exec::dispatch` over scripted nodes that answer at once.
//!
//! `fold` shows the engine alone, `gathered` and `jsonl` with what is usually in front of it.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should stop"
)]

use std::hint::black_box;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hapsh::event::{Event, Summary};
use hapsh::exec::{Executor, dispatch};
use hapsh::plan::{Limits, NodeName, Plan};
use hapsh::report::{self, Format, Look, Reporter, Scratch};
use hapsh::transport::Command;
use hapsh::transport::sim::{Script, Sim};
use hapsh::work::run::Run;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Shows nothing.
struct Silent;

impl Reporter for Silent {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        black_box(event);
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

fn reporter(format: Option<&'static Format>, names: &Arc<[NodeName]>) -> Box<dyn Reporter> {
    let Some(format) = format else {
        return Box::new(Silent);
    };
    let look = Look::plain("hash", format);
    report::new(
        &look,
        Arc::clone(names),
        io::sink(),
        io::sink(),
        &Scratch::new(std::env::temp_dir(), u64::MAX),
    )
}

/// One run over all nodes of the plan.
fn run(runtime: &Runtime, plan: &Plan, sim: &Sim, format: Option<&'static Format>) {
    let work = Run {
        command: Command::default(),
    };
    let executor = Executor::new(sim, &work);
    let (_stop, mut stops) = mpsc::channel(1);
    let mut reporter = reporter(format, &plan.nodes);
    let summary = runtime.block_on(dispatch(plan, executor, &mut stops, &mut *reporter));
    assert_eq!(summary.outcomes.len(), plan.nodes.len());
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sim = Sim::new().every(Script::output("the same line on every node\n"));
    let mut group = criterion.benchmark_group("dispatch");
    group.sample_size(20);
    for nodes in [100, 10_000] {
        let names: Arc<[NodeName]> = (1..=nodes)
            .map(|number| NodeName::from(format!("n{number}")))
            .collect();
        let fanout = NonZeroUsize::new(64).unwrap();
        let plan = Plan::all(names, fanout, Limits::default());
        group.throughput(Throughput::Elements(nodes));
        for (name, format) in [
            ("fold", None),
            ("gathered", report::by_name("text")),
            ("jsonl", report::by_name("jsonl")),
        ] {
            group.bench_function(BenchmarkId::new(name, nodes), |bencher| {
                bencher.iter(|| run(&runtime, &plan, &sim, format));
            });
        }
    }
    group.finish();
}

criterion_group!(dispatching, benches);
criterion_main!(dispatching);
