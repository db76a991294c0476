//! Contexts on rayon, whose threads steal work while they wait.

use core::time::Duration;

use rayon::prelude::*;
use throughline::exporters::Memory;
use throughline::{Context, Telemetry, Thread, builder, span};
use throughline_tests::conformance::current;

/// A pool of so many threads and a pipeline.
fn stage(threads: usize) -> (rayon::ThreadPool, Telemetry, Memory) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let memory = Memory::new();
    let telemetry = builder().start(Thread::start().expect("a thread"), memory.clone());
    (pool, telemetry, memory)
}

fn finish(telemetry: &Telemetry) {
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
    assert!(receipt.is_complete(), "{receipt}");
}

#[test]
fn a_thread_that_waits_in_a_span_runs_stolen_work_in_the_works_own_context() {
    // One thread: while it waits for the scope in A, it has to run what is queued.
    let (pool, telemetry, memory) = stage(1);
    let context = telemetry.context();
    let [a, b] = ["a", "b"].map(|name| {
        let mut span = span!(parent: &context, "unnamed");
        span.update_name(name);
        span
    });
    let in_b = b.context().wrap(|| span!("stolen, of b").in_scope(current));
    let in_none = context.clone().wrap(|| span!("stolen, of none").in_scope(current));
    pool.install(|| {
        a.in_scope(|| {
            let mine = current();
            rayon::scope(|scope| {
                scope.spawn(|_| assert_ne!(in_b(), mine));
                scope.spawn(|_| assert_ne!(in_none(), mine));
            });
            assert_eq!(current(), mine);
            span!("afterwards, of a").end();
        });
        assert!(!current().is_valid());
    });
    b.end();
    finish(&telemetry);
    memory.assert_tree(
        "
        a
          afterwards, of a
        b
          stolen, of b
        stolen, of none
        ",
    );
}

#[test]
fn work_of_a_parallel_iterator_is_below_the_span_that_started_it() {
    let (pool, telemetry, memory) = stage(4);
    telemetry.context().scope(|| {
        span!("sum").in_scope(|| {
            let context = Context::current();
            let sum = pool.install(|| {
                let one = |n: u32| context.scope(|| span!("one").in_scope(|| n));
                (0..100).into_par_iter().map(one).sum::<u32>()
            });
            assert_eq!(sum, 4_950);
            let (left, right) = pool.install(|| {
                rayon::join(
                    || context.scope(|| span!("left").in_scope(|| 1)),
                    Context::current().wrap(|| span!("right, of none").in_scope(|| 2)),
                )
            });
            assert_eq!((left, right), (1, 2));
        });
    });
    finish(&telemetry);
    let (sum, spans) = (memory.span("sum").span_id, memory.spans());
    assert_eq!(spans.iter().filter(|span| span.parent_span_id == sum).count(), 101);
    // A thread of the pool has no context, not even the one with the pipeline.
    assert_eq!(spans.len(), 102);
}
