//! How spans end: once, truly, and with their destructors inside.

use core::future::pending;
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use std::panic::catch_unwind;

use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::{Either, FutureExt, select};
use throughline::{InSpanExt, span};

use super::{DEADLINE, Lost, Stage, TestRuntime, Witness, current};

/// A branch that loses is dropped where it stands.
pub fn the_loser_of_a_select_ends_with_all_that_is_inside<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let task = span!("task");
        async {
            let outside = current();
            {
                let loser = async {
                    let _in_a = witness.on_drop();
                    async {
                        let _in_b = witness.on_drop();
                        pending::<()>().await;
                    }
                    .in_span(span!("b"))
                    .await;
                }
                .in_span(span!("a"));
                let unpolled = pending::<()>().in_span(span!("never polled"));
                let winner = R::yield_now();
                assert!(matches!(select(pin!(loser), pin!(winner)).await, Either::Right(_)));
                assert_eq!(current(), outside);
                drop(unpolled);
            }
            assert_eq!(current(), outside);
        }
        .in_span(task)
        .await;
    });
    stage.finish_with_tree(
        "
        task
          a (cancelled)
            b (cancelled)
          never polled (dropped)
        ",
    );
    let [a, b] = ["a", "b"].map(|name| stage.memory.span(name));
    assert_eq!(witness.seen(), [b.span_id, a.span_id]);
    assert!(b.end_unix_nanos <= a.end_unix_nanos);
}

/// Whoever cancels a task cancels its spans.
pub fn a_cancelled_task_ends_its_span_as_cancelled<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let (started, begins) = oneshot::channel();
        let on_drop = witness.on_drop();
        let task = R::spawn(
            async {
                let _on_drop = on_drop;
                let _ = started.send(());
                pending::<()>().await;
            }
            .in_span(span!("work")),
        );
        begins.await.expect("the task starts");
        R::cancel(task).await;
    });
    stage.finish_with_tree("work (cancelled)");
    assert_eq!(witness.seen(), [stage.memory.span("work").span_id]);
}

/// The panic passes through and is told by each span.
pub fn a_panic_ends_every_span_around_it<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let on_drop = witness.on_drop();
        let task = R::spawn(
            async {
                let _on_drop = on_drop;
                R::yield_now().await;
                span!("inner").in_scope(|| panic!("as the test wants"));
            }
            .in_span(span!("outer")),
        );
        assert_eq!(task.await, Err(Lost));
        assert!(!current().is_valid());
    });
    stage.finish_with_tree(
        "
        outer (panicked)
          inner (panicked)
        ",
    );
    assert_eq!(witness.seen(), [stage.memory.span("outer").span_id]);
}

/// Who catches a panic goes on in the span around it, and may keep the future.
pub fn a_panic_that_is_caught_leaves_the_context_as_it_was<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let root = span!("root");
        async {
            let outside = current();
            let scope = || span!("scope").in_scope(|| panic!("as the test wants"));
            assert!(catch_unwind(AssertUnwindSafe(scope)).is_err());
            assert_eq!(current(), outside);
            let mut future =
                Box::pin(async { panic!("as the test wants") }.in_span(span!("future")));
            assert!(AssertUnwindSafe(&mut future).catch_unwind().await.is_err());
            assert_eq!(current(), outside);
            drop(future);
            span!("after").in_scope(|| {});
        }
        .in_span(root)
        .await;
    });
    stage.finish_with_tree(
        "
        root
          scope (panicked)
          future (panicked)
          after
        ",
    );
}

/// Work that was prepared and not begun.
pub fn a_future_that_was_never_polled_ends_as_dropped<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let on_drop = witness.on_drop();
        let future = async move {
            let _on_drop = on_drop;
        };
        drop(future.in_span(span!("future")));
        drop(span!("handle"));
    });
    stage.finish_with_tree(
        "
        future (dropped)
        handle (dropped)
        ",
    );
    assert_eq!(witness.seen(), [stage.memory.span("future").span_id]);
}

/// The span ends with the work, not with the handle.
pub fn a_finished_task_is_exported_while_its_handle_is_kept<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (give, child) = oneshot::channel();
        let work = async {
            assert!(give.send(R::spawn(async {}.in_span(span!("child")))).is_ok());
        };
        let mut task = R::spawn(work.in_span(span!("work")));
        (&mut task).await.expect("no panic");
        let mut child = child.await.expect("sent above");
        (&mut child).await.expect("no panic");
        let receipt = stage.telemetry.flush(DEADLINE).await;
        assert_eq!(receipt.ledger().exported(), 2, "{receipt}");
        assert_eq!(stage.memory.span("work").ending(), None);
        drop((task, child));
    });
    stage.finish_with_tree(
        "
        work
          child
        ",
    );
}

/// A stream begins in one task and is dropped, half-read, in another.
pub fn a_stream_that_moves_between_tasks_is_one_span<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let witness = Witness::default();
    stage.run(async {
        let on_drop = witness.on_drop();
        let stream = futures::stream::iter(0..3).map(move |item| {
            let _ = &on_drop;
            span!("item").in_scope(|| item)
        });
        let mut stream = stream.in_span(span!("stream"));
        let a = R::spawn(
            async move {
                let mine = current();
                assert_eq!(stream.next().await, Some(0));
                assert_eq!(current(), mine);
                stream
            }
            .in_span(span!("a")),
        );
        let mut stream = a.await.expect("no panic");
        let b = R::spawn(
            async move {
                let mine = current();
                assert_eq!(stream.next().await, Some(1));
                drop(stream);
                assert_eq!(current(), mine);
            }
            .in_span(span!("b")),
        );
        b.await.expect("no panic");
    });
    stage.finish_with_tree(
        "
        stream (cancelled)
          item
          item
        a
        b
        ",
    );
    assert_eq!(witness.seen(), [stage.memory.span("stream").span_id]);
}

/// A stream that was read to its end.
pub fn an_exhausted_stream_is_completed<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let mut stream = futures::stream::iter(0..2).in_span(span!("stream"));
        while stream.next().await.is_some() {}
        let receipt = stage.telemetry.flush(DEADLINE).await;
        assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
        drop(stream);
    });
    stage.finish_with_tree("stream");
}
