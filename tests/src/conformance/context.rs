//! Which span is current, and where that goes.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::join_all;
use throughline::exporters::Memory;
use throughline::{
    Additions, AlwaysOff, Context, Decision, InSpanExt, ParentBased, Sampler, SamplingParameters,
    builder, inject, span,
};

use super::{DEADLINE, Stage, TestRuntime, current};

/// Futures that are polled in turn by one task.
pub fn joined_futures_are_siblings_and_do_not_mix<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let child = |name: u8| async move {
        let span = if name == 0 { span!("first") } else { span!("second") };
        async move {
            let mine = current();
            R::yield_now().await;
            assert_eq!(current(), mine);
            span!("inner").in_scope(|| assert_ne!(current(), mine));
            R::yield_now().await;
            assert_eq!(current(), mine);
        }
        .in_span(span)
        .await;
    };
    stage.run(join_all([child(0), child(1)]).in_span_of("root"));
    stage.finish_with_tree(
        "
        root
          first
            inner
          second
            inner
        ",
    );
}

/// Tasks start tasks, and outlive those that started them.
pub fn tasks_of_tasks_are_below_the_span_that_started_them<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (go, gate) = oneshot::channel::<()>();
        let (give, grandchild) = oneshot::channel();
        let child = async {
            let late = async {
                gate.await.expect("the gate opens");
                span!("late").in_scope(|| {});
            };
            assert!(give.send(R::spawn(late)).is_ok());
        };
        async { R::spawn(child.in_span(span!("child"))).await.expect("no panic") }
            .in_span(span!("root"))
            .await;
        let grandchild = grandchild.await.expect("sent above");
        // Both spans have ended, and still are the parents of what comes.
        assert!(go.send(()).is_ok());
        grandchild.await.expect("no panic");
    });
    stage.finish_with_tree(
        "
        root
          child
            late
        ",
    );
}

/// A hundred tasks with spans, and a hundred without, on the same threads.
pub fn tasks_that_take_turns_see_their_own_span_only<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let outside = current();
        let tasks = (0..200).map(|i| {
            R::spawn(async move {
                let mine = current();
                assert_eq!(mine, outside);
                for _ in 0..10 {
                    if i % 2 == 0 {
                        async {
                            let mine = current();
                            R::yield_now().await;
                            assert_eq!(current(), mine);
                        }
                        .in_span(span!("turn"))
                        .await;
                    } else {
                        R::yield_now().await;
                    }
                    assert_eq!(current(), mine);
                }
            })
        });
        for task in join_all(tasks).await {
            task.expect("no panic");
        }
    });
    assert_eq!(stage.finish().exported(), 1_000);
    // Not one is below another.
    assert!(stage.memory.spans().iter().all(|span| !span.parent_span_id.is_valid()));
}

/// Work on a pool of threads.
pub fn blocking_work_is_below_the_span_that_started_it<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(
        async {
            let before = current();
            R::spawn_blocking(|| span!("blocking").in_scope(|| {})).await.expect("no panic");
            assert_eq!(current(), before);
        }
        .in_span_of("root"),
    );
    stage.finish_with_tree(
        "
        root
          blocking
        ",
    );
}

/// A snapshot goes where no adapter carries it.
pub fn a_context_is_handed_over_explicitly<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(
        async {
            let context = Context::current();
            let thread = std::thread::spawn(move || {
                assert!(!current().is_valid(), "a new thread has no span");
                context.scope(|| span!("on a thread").in_scope(|| {}));
                assert!(!current().is_valid());
                span!("nowhere").in_scope(|| {});
            });
            thread.join().expect("no panic");
        }
        .in_span_of("root"),
    );
    stage.finish_with_tree(
        "
        root
          on a thread
        ",
    );
}

/// An exporter and all it starts are not traced.
pub fn suppression_travels_with_tasks<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(
        async {
            async {
                assert!(Context::current().is_suppressed());
                let task = R::spawn(async {
                    assert!(Context::current().is_suppressed());
                    async { R::yield_now().await }.in_span(span!("in a task")).await;
                    R::spawn_blocking(|| span!("blocking").in_scope(|| {})).await
                });
                task.await.expect("no panic").expect("no panic");
                // Also below a context from a message.
                let remote = Context::empty();
                span!(parent: &remote, "below a message").in_scope(|| {});
            }
            .with_context(Context::current().suppressed())
            .await;
            assert!(!Context::current().is_suppressed());
            span!("after").in_scope(|| {});
        }
        .in_span_of("root"),
    );
    stage.finish_with_tree(
        "
        root
          after
        ",
    );
}

/// Nothing is recorded, and the next service learns so.
pub fn an_unsampled_trace_still_propagates<R: TestRuntime>(runtime: R) {
    let stage = Stage::with(builder().sampler(ParentBased::new(AlwaysOff)), runtime);
    stage.run(
        async {
            let root = Context::current().span_context();
            assert!(root.is_valid() && !root.is_sampled());
            let task = R::spawn(
                async {
                    let mut headers = Headers::default();
                    inject(&Context::current(), &mut headers);
                    (Context::current().span_context(), headers.0)
                }
                .in_span(span!("child")),
            );
            let (child, headers) = task.await.expect("no panic");
            assert_eq!(child.trace_id(), root.trace_id());
            assert_ne!(child.span_id(), root.span_id());
            let flags = child.trace_flags();
            let expected = format!("00-{}-{}-{flags}", child.trace_id(), child.span_id());
            assert_eq!(headers, [("traceparent".to_owned(), expected)]);
            assert!(!flags.is_sampled());
        }
        .in_span_of("root"),
    );
    let ledger = stage.finish();
    assert_eq!((ledger.started(), ledger.unsampled()), (0, 2));
}

/// A sampler that changes its mind does so for new traces only.
pub fn children_keep_the_decision_of_their_trace<R: TestRuntime>(runtime: R) {
    let flip = Flip::default();
    let stage = Stage::with(builder().sampler(ParentBased::new(flip.clone())), runtime);
    stage.run(async {
        async {
            flip.drop_from_now_on(true);
            R::spawn(async {}.in_span(span!("child of a kept trace"))).await.expect("no panic");
        }
        .in_span(span!("kept"))
        .await;
        async {
            flip.drop_from_now_on(false);
            R::spawn(async {}.in_span(span!("child of a dropped trace"))).await.expect("no panic");
        }
        .in_span(span!("dropped"))
        .await;
    });
    stage.finish_with_tree(
        "
        kept
          child of a kept trace
        ",
    );
}

/// Tests that run at the same time do not see each other.
pub fn pipelines_side_by_side_never_mix<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let others: Vec<_> = (0..4)
        .map(|_| {
            let memory = Memory::new();
            (builder().start(stage.runtime.runtime(), memory.clone()), memory)
        })
        .collect();
    stage.run(async {
        let work = others.iter().map(|(telemetry, _)| {
            let context = telemetry.context();
            async {
                for _ in 0..10 {
                    R::spawn(async { R::yield_now().await }.in_span(span!("task")))
                        .await
                        .expect("no panic");
                }
            }
            .in_span(span!(parent: &context, "root"))
            .with_context(context)
        });
        join_all(work).await;
        span!("own").in_scope(|| {});
    });
    for (telemetry, memory) in &others {
        let receipt = stage.runtime.block_on(telemetry.shutdown(DEADLINE));
        assert_eq!(receipt.ledger().exported(), 11, "{receipt}");
        assert_eq!(memory.tree().lines().filter(|line| *line == "  task").count(), 10);
    }
    stage.finish_with_tree("own");
}

/// Keeps new traces, or drops them.
#[derive(Clone, Debug, Default)]
struct Flip(Arc<AtomicBool>);

impl Flip {
    fn drop_from_now_on(&self, drops: bool) {
        // Ordering: Relaxed, no value is read through it.
        self.0.store(drops, Ordering::Relaxed);
    }
}

impl Sampler for Flip {
    fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        // Ordering: Relaxed, no value is read through it.
        if self.0.load(Ordering::Relaxed) { Decision::Drop } else { Decision::RecordAndSample }
    }

    fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Flip")
    }
}

#[derive(Debug, Default)]
struct Headers(Vec<(String, String)>);

impl throughline::w3c::Setter for Headers {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// A span that begins when the future is polled, in the context of then.
trait InSpanOf: Future + Sized {
    async fn in_span_of(self, name: &'static str) -> Self::Output {
        let mut span = span!("unnamed");
        span.update_name(name);
        self.in_span(span).await
    }
}

impl<F: Future> InSpanOf for F {}
