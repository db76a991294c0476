//! Programs that do what they should not, and traces that stay right.

use core::cell::RefCell;
use core::fmt;
use core::future::pending;
use std::collections::HashSet;

use futures::future::poll_immediate;
use throughline::{Context, CurrentSpan, DropReason, InSpanExt, Span, builder, span};

use super::{Stage, TestRuntime, current};

/// A value whose text is made inside of a span.
struct Noisy;

impl fmt::Display for Noisy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        span!("formatting").in_scope(|| f.write_str("noise"))
    }
}

/// Formatting runs the program's code, which may trace.
pub fn attributes_may_start_spans_when_they_are_formatted<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let root = span!("root");
        async {
            span!("noisy", value = %Noisy).in_scope(|| {
                CurrentSpan::set_attribute("again", Noisy.to_string().as_str());
            });
        }
        .in_span(root)
        .await;
    });
    assert_eq!(stage.finish().exported(), 4);
    let noisy = stage.memory.span("noisy");
    assert_eq!(noisy.attribute("value"), Some("noise"));
    assert_eq!(noisy.attribute("again"), Some("noise"));
}

/// Starts spans, adds to the current one, and looks around when it is dropped.
struct Talkative;

impl Drop for Talkative {
    fn drop(&mut self) {
        let before = current();
        CurrentSpan::add_event("dropped", &[]);
        span!("last words").in_scope(|| assert_ne!(current(), before));
        assert_eq!(current(), before);
    }
}

/// Destructors of a cancelled future trace into its span.
pub fn destructors_may_start_spans_in_a_cancelled_future<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let future = async {
            let _talkative = Talkative;
            pending::<()>().await;
        };
        let polled = poll_immediate(future.in_span(span!("cancelled"))).await;
        assert!(polled.is_none());
    });
    stage.finish_with_tree(
        "
        cancelled (cancelled)
          last words
        ",
    );
    assert_eq!(stage.memory.span("cancelled").events.len(), 1);
}

/// Threads end, and their thread-local values with them, in any order.
pub fn spans_may_live_and_begin_in_thread_local_destructors<R: TestRuntime>(runtime: R) {
    struct AtExit(Context, Option<Span>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            // The library's own thread-local state may be gone by now.
            let _ = current();
            CurrentSpan::add_event("too late", &[]);
            self.0.scope(|| span!("in a destructor").in_scope(|| {}));
            drop(self.1.take());
        }
    }
    thread_local! {
        static FIRST: RefCell<Option<AtExit>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    }
    let stage = Stage::new(runtime);
    let context = stage.telemetry.context();
    let thread = std::thread::spawn(move || {
        let held = || span!(parent: &context, "held");
        // One before the library's state is made on this thread, one after.
        FIRST.set(Some(AtExit(context.clone(), None)));
        let span = held();
        FIRST.with_borrow_mut(|first| first.as_mut().expect("set above").1 = Some(span));
        LAST.set(Some(AtExit(context.clone(), Some(held()))));
    });
    thread.join().expect("no panic");
    stage.finish();
    let held = stage.memory.spans().into_iter().filter(|span| span.name == "held").count();
    assert_eq!(held, 2, "a span that has begun ends on the books");
}

/// A small queue and many children: some are lost, and all are counted.
pub fn a_parent_of_a_hundred_thousand_loses_nothing_unaccounted<R: TestRuntime>(runtime: R) {
    const CHILDREN: u64 = 100_000;
    let stage = Stage::with(builder().max_queue_size(64), runtime);
    stage.run(async {
        let root = span!("root");
        async {
            for i in 0..CHILDREN {
                span!("child").end();
                if i % 10_000 == 0 {
                    R::yield_now().await;
                }
            }
            // The root shall find room.
            stage.telemetry.flush(super::DEADLINE).await;
        }
        .in_span(root)
        .await;
    });
    let ledger = stage.finish();
    assert_eq!(ledger.started(), CHILDREN + 1);
    // Most are beyond the parent's budget.
    let surplus = ledger.dropped(DropReason::Surplus);
    assert!((CHILDREN - 10_000..CHILDREN).contains(&surplus), "{ledger}");
    assert_eq!(ledger.dropped_total(), surplus + ledger.dropped(DropReason::QueueFull));
    let root = stage.memory.span("root").span_id;
    let spans = stage.memory.spans();
    let distinct: HashSet<_> = spans.iter().map(|span| span.span_id).collect();
    assert_eq!(distinct.len(), spans.len(), "a span is exported twice");
    assert!(spans.iter().all(|span| span.span_id == root || span.parent_span_id == root));
}

/// Links are values: what they point at may have ended, be elsewhere, or never
/// have been recorded.
pub fn links_may_point_at_anything<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let targets = stage.run(async {
        let ended = span!("ended");
        let ended_context = ended.context();
        ended.end();
        let suppressed = Context::current().suppressed();
        let unrecorded = suppressed.scope(|| span!("unrecorded").context());
        let elsewhere = std::thread::spawn({
            let context = Context::current();
            move || context.scope(|| span!(root, "elsewhere").context())
        });
        let elsewhere = elsewhere.join().expect("no panic");
        let mut linking = span!("linking");
        for target in [&ended_context, &unrecorded, &elsewhere] {
            linking.add_link(target, &[]);
        }
        let itself = linking.context();
        linking.add_link(&itself, &[]);
        linking.end();
        [ended_context, elsewhere, itself].map(|context| context.span_context())
    });
    stage.finish();
    // There is nothing to link to where nothing was recorded.
    assert_eq!(stage.memory.span("linking").links, targets);
}

/// A parent ends before its children, and a child before it is left.
pub fn handles_may_end_in_any_order<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let outer = span!("outer");
        let context = outer.context();
        let middle = span!(parent: &context, "middle");
        let below = middle.context();
        let inner = span!(parent: &below, "inner");
        outer.end();
        middle.end();
        assert!(!current().is_valid());
        inner.in_scope(|| span!("leaf").end());
        assert!(!current().is_valid());
        span!(parent: &context, "late").end();
    });
    stage.finish_with_tree(
        "
        outer
          middle
            inner
              leaf
          late
        ",
    );
}

/// Ownership moves with the span.
pub fn spans_end_on_other_threads_than_they_began<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let root = span!("root");
        let context = root.context();
        let children: Vec<Span> = (0..100).map(|_| span!(parent: &context, "child")).collect();
        std::thread::scope(|scope| {
            for mut child in children {
                scope.spawn(move || {
                    child.set_attribute("moved", true);
                    child.end();
                });
            }
        });
        R::spawn_blocking(move || root.end()).await.expect("no panic");
    });
    assert_eq!(stage.finish().exported(), 101);
    let spans = stage.memory.spans();
    assert_eq!(spans.iter().filter(|s| s.attribute("moved") == Some("true")).count(), 100);
}
