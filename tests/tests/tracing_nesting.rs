//! One current context for `tracing`'s guards and our scopes.

use core::future::Future;
use std::sync::mpsc;

use throughline::exporters::Memory;
use throughline::tracing::context_of;
use throughline::{
    AlwaysOff, Context, CurrentSpan, DropReason, LiveState, SpanBudgets, StatusCode, Thread,
    builder, span,
};
use throughline_core::SURPLUS_COUNT_ATTRIBUTE;
use throughline_tests::conformance::{DEADLINE, current};
use throughline_tests::subscribed::{Stage, refused};
use tracing::{dispatcher, info_span};

#[test]
fn ids_are_fixed_when_a_span_is_created_and_equal_wherever_one_asks() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("span");
        let created = context_of(&span).expect("it is recorded").span_context();
        assert!(created.is_valid() && created.trace_flags().is_sampled());
        assert!(!current().is_valid());
        span.in_scope(|| assert_eq!(Context::current().span_context(), created));
        let clone = span.clone();
        drop(span);
        clone.in_scope(|| assert_eq!(Context::current().span_context(), created));
        assert_eq!(context_of(&clone).map(|context| context.span_context()), Some(created));
        assert!(context_of(&tracing::Span::none()).is_none());
    });
    stage.finish().assert_tree("span");
}

#[test]
fn parents_are_contextual_explicit_or_none() {
    let stage = Stage::new();
    stage.run(|| {
        let root = info_span!("root");
        root.in_scope(|| {
            info_span!("contextual");
            info_span!(parent: None, "a root");
            span!("ours").in_scope(|| {
                info_span!("below ours").in_scope(|| span!("leaf").end());
                info_span!(parent: &root, "explicit");
            });
        });
        info_span!(parent: root.id(), "explicit elsewhere");
    });
    stage.finish().assert_tree(
        "
        root
          contextual
          ours
            below ours
              leaf
          explicit
          explicit elsewhere
        a root
        ",
    );
}

#[test]
fn a_parent_from_elsewhere_is_the_scope_in_which_the_span_is_created() {
    let stage = Stage::new();
    let incoming = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    stage.run(|| {
        let context = throughline::extract(&incoming[..]).with_pipeline(stage.telemetry.pipeline());
        // What is entered later is another matter.
        context.scope(|| info_span!("request")).in_scope(|| info_span!("inside"));
    });
    let memory = stage.finish();
    let request = memory.span("request");
    assert_eq!(request.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert!(request.has_remote_parent);
    assert_eq!(memory.span("inside").parent_span_id, request.span_id);
}

#[test]
fn guards_may_be_dropped_in_any_order_and_never() {
    let stage = Stage::new();
    stage.run(|| {
        let (first, second) = (info_span!("first").entered(), info_span!("second").entered());
        drop(first);
        span!("below second").end();
        span!("scope").in_scope(|| {
            drop(second);
            span!("in the scope").end();
        });
        span!("after").end();
        // A guard that nobody drops ends with the scope in which it was made.
        span!("leaking").in_scope(|| core::mem::forget(info_span!("leaked").entered()));
        span!("after that").end();
        assert!(!current().is_valid());
    });
    // A span whose handle leaks is never closed.
    let receipt = stage.telemetry.shutdown_blocking(DEADLINE);
    assert_eq!(receipt.ledger().in_flight(), 1, "{receipt}");
    let tree = stage.memory.tree();
    assert!(tree.contains("first\n  second"), "{tree}");
    assert!(tree.contains("\n    below second\n    scope"), "{tree}");
    assert!(tree.contains("\nafter\n") && tree.contains("\nafter that"), "{tree}");
}

#[test]
fn a_guard_that_is_held_across_an_await_reaches_into_no_other_task() {
    let stage = Stage::new();
    stage.run(|| {
        let holding = async {
            let _held = info_span!("held").entered();
            futures::future::pending::<()>().await;
        };
        let other = async { span!("other work").end() };
        let mut holding = Box::pin(throughline::InSpanExt::in_span(holding, span!("holding")));
        let mut other = Box::pin(throughline::InSpanExt::in_span(other, span!("other")));
        let mut task = core::task::Context::from_waker(core::task::Waker::noop());
        assert!(holding.as_mut().poll(&mut task).is_pending());
        assert!(!current().is_valid());
        assert!(other.as_mut().poll(&mut task).is_ready());
        drop(holding);
        assert!(!current().is_valid());
    });
    stage.finish().assert_tree(
        "
        holding (cancelled)
          held
        other
          other work
        ",
    );
}

#[test]
fn a_span_may_be_entered_on_several_threads_at_once() {
    let stage = Stage::new();
    let span = stage.run(|| info_span!("shared"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                dispatcher::with_default(&stage.dispatch, || {
                    span.in_scope(|| (0..100).for_each(|_| span!("child").end()));
                    assert!(Context::current().is_empty());
                });
            });
        }
    });
    dispatcher::with_default(&stage.dispatch, || drop(span));
    let memory = stage.finish();
    let shared = memory.span("shared").span_id;
    let children = memory.spans().into_iter().filter(|span| span.parent_span_id == shared);
    assert_eq!(children.count(), 800);
}

#[test]
fn enters_and_exits_of_two_threads_may_interleave_and_the_last_handle_end_the_span_elsewhere() {
    let stage = Stage::new();
    let span = stage.run(|| info_span!("shared"));
    let id = span.id();
    let (to_other, from_first) = mpsc::channel();
    let (to_first, from_other) = mpsc::channel();
    let is_current = || Context::current().span_context().is_valid();
    std::thread::scope(|scope| {
        let (dispatch, other) = (&stage.dispatch, span.clone());
        scope.spawn(move || {
            dispatcher::with_default(dispatch, || {
                from_first.recv().expect("the first has entered");
                let inside = other.enter();
                to_first.send(()).expect("the first waits");
                from_first.recv().expect("the first has left");
                // That the other left changes nothing here.
                assert!(is_current());
                span!("second").end();
                drop(inside);
                assert!(!is_current());
                drop(other);
                to_first.send(()).expect("the first waits");
            });
        });
        dispatcher::with_default(dispatch, || {
            let inside = span.enter();
            to_other.send(()).expect("the other waits");
            from_other.recv().expect("the other has entered");
            span!("first").end();
            drop(inside);
            assert!(!is_current());
            to_other.send(()).expect("the other waits");
            from_other.recv().expect("the other has left");
            // Left, and entered again, and closed while it is.
            let again = span.clone().entered();
            drop(span);
            assert!(is_current());
            info_span!("late").follows_from(id);
            drop(again);
            assert!(!is_current());
        });
    });
    let memory = stage.finish();
    let shared = memory.span("shared").span_id;
    for name in ["first", "second", "late"] {
        assert_eq!(memory.span(name).parent_span_id, shared, "{name}");
    }
}

#[test]
fn the_current_span_of_our_api_is_that_of_tracing_too() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!("tracing").in_scope(|| {
            assert!(CurrentSpan::is_recording());
            assert!(CurrentSpan::set_attribute("key", "value"));
            assert!(CurrentSpan::add_event("event", &[]));
            assert!(CurrentSpan::record_error(&refused()));
            // A context that was captured has no span.
            Context::current().scope(|| assert!(!CurrentSpan::is_recording()));
        });
        assert!(!CurrentSpan::is_recording());
    });
    let span = stage.finish().span("tracing");
    assert_eq!(span.attribute("key"), Some("value"));
    assert_eq!(span.events.len(), 2);
    assert_eq!(span.status.0, StatusCode::Error);
}

#[test]
fn the_current_span_is_ours_again_after_a_guard_that_was_dropped_out_of_order() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!("outer").in_scope(|| {
            let left_in = |number: i64| {
                let guard = info_span!("left").entered();
                span!("below").in_scope(|| drop(guard));
                assert!(CurrentSpan::set_attribute("number", number));
            };
            left_in(1);
            span!("ours").in_scope(|| left_in(2));
        });
    });
    let memory = stage.finish();
    for (name, number) in [("outer", "1"), ("ours", "2")] {
        assert_eq!(memory.span(name).attribute("number"), Some(number));
    }
}

#[test]
fn children_below_a_guard_count_against_the_budget_of_its_span() {
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = 3;
    let (memory, dispatch) = (Memory::new(), Stage::new().dispatch);
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().budgets(budgets).start(thread, memory.clone());
    let stage = Stage { telemetry, memory, dispatch };
    stage.run(|| {
        info_span!("parent").in_scope(|| {
            info_span!("bare");
            span!("ours").end();
            info_span!("with a field", number = 1);
            // In another thread, too, and told by the parent.
            let context = Context::current();
            std::thread::spawn(move || context.scope(|| span!("surplus").end()))
                .join()
                .expect("no panic");
            info_span!("surplus").in_scope(|| assert!(!CurrentSpan::is_recording()));
        });
    });
    let receipt = stage.telemetry.shutdown_blocking(DEADLINE);
    assert_eq!(receipt.ledger().dropped(DropReason::Surplus), 2, "{receipt}");
    let tree = stage.memory.tree();
    assert!(!tree.contains("surplus\n") && tree.contains("  with a field"), "{tree}");
    let parent = stage.memory.span("parent");
    assert_eq!(parent.attribute(SURPLUS_COUNT_ATTRIBUTE), Some("2"));
}

#[test]
fn spans_below_the_guard_of_an_unsampled_span_are_unsampled_with_its_trace() {
    let (memory, dispatch) = (Memory::new(), Stage::new().dispatch);
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().sampler(AlwaysOff).start(thread, memory.clone());
    let stage = Stage { telemetry, memory, dispatch };
    let current_span = || Context::current().span_context();
    stage.run(|| {
        info_span!("root").in_scope(|| {
            let root = current_span();
            assert!(root.is_valid() && !root.trace_flags().is_sampled());
            info_span!("child").in_scope(|| {
                assert_eq!(current_span().trace_id(), root.trace_id());
                assert_ne!(current_span().span_id(), root.span_id());
                assert!(!CurrentSpan::is_recording());
            });
        });
    });
    assert!(stage.finish().spans().is_empty());
}

#[test]
fn a_live_span_runs_while_a_guard_is_inside_on_any_thread() {
    let stage = Stage::new();
    let (outer, span) = stage.run(|| (info_span!("outer"), info_span!("entered")));
    let state = || {
        let spans = stage.telemetry.live_spans();
        spans.iter().find(|live| live.name == "entered").expect("it lives").state
    };
    assert_eq!(state(), LiveState::Unpolled);
    let on_another_thread = |work: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| dispatcher::with_default(&stage.dispatch, work));
            // Until it has ended, not only its work.
            thread.join().expect("no panic");
        });
    };
    dispatcher::with_default(&stage.dispatch, || {
        // Dropped out of order, and in one of them the last.
        let (first, around, second) = (span.enter(), outer.enter(), span.enter());
        assert_eq!(state(), LiveState::Running);
        drop(first);
        drop(around);
        assert_eq!(state(), LiveState::Running);
        on_another_thread(&|| span.in_scope(|| ()));
        assert_eq!(state(), LiveState::Running);
        drop(second);
        assert_eq!(state(), LiveState::Unpolled);
        on_another_thread(&|| span.in_scope(|| assert_eq!(state(), LiveState::Running)));
        assert_eq!(state(), LiveState::Unpolled);
        // A guard that nobody drops is inside as long as its thread.
        on_another_thread(&|| {
            core::mem::forget(span.enter());
            assert_eq!(state(), LiveState::Running);
        });
        assert_eq!(state(), LiveState::Unpolled);
    });
}

#[test]
fn what_is_suppressed_stays_so_in_spans_of_tracing() {
    let stage = Stage::new();
    stage.run(|| {
        let span = Context::current().suppressed().scope(|| info_span!("span"));
        span.in_scope(|| {
            assert!(Context::current().is_suppressed());
            span!("ours").end();
        });
    });
    assert!(stage.finish().spans().is_empty());
}
