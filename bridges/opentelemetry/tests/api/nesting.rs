//! Whose child a span is.

use opentelemetry::Context as Theirs;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    get_active_span, mark_span_as_active,
};
use throughline::{Context, CurrentSpan, Span, span};
use throughline_bridge_opentelemetry::{from_opentelemetry, to_opentelemetry};

use crate::Stage;

/// The ids of both worlds' current spans, which are to be the same.
#[track_caller]
fn current_ids() -> (String, String) {
    let (ours, theirs) = (Context::current().span_context(), Theirs::current());
    let theirs = theirs.span().span_context().clone();
    assert_eq!(ours.trace_id().to_string(), theirs.trace_id().to_string());
    assert_eq!(ours.span_id().to_string(), theirs.span_id().to_string());
    assert_eq!(ours.is_sampled(), theirs.is_sampled());
    (ours.trace_id().to_string(), ours.span_id().to_string())
}

/// CTX-4, CTX-5 and CTX-7 of [Context](https://opentelemetry.io/docs/specs/otel/context/),
/// SPN-2 and SPN-5 of [span creation](https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation).
#[test]
fn spans_of_both_apis_nest_in_any_order_and_both_see_the_same_ids() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        let none = current_ids();
        span!("ours 1").in_scope(|| {
            let first = current_ids();
            tracer.in_span("theirs 2", |_| {
                let second = current_ids();
                assert_eq!(first.0, second.0);
                span!("ours 3").in_scope(|| {
                    let third = current_ids();
                    tracer.in_span("theirs 4", |_| {
                        span!("ours 5").end();
                        tracer.start("theirs 6").end();
                    });
                    assert_eq!(current_ids(), third);
                    tracer.start("theirs 7").end();
                    span!("ours 8").end();
                });
                assert_eq!(current_ids(), second);
                tracer.start("theirs 9").end();
                span!("ours 10").end();
            });
            assert_eq!(current_ids(), first);
            span!("ours 11").end();
            tracer.start("theirs 12").end();
        });
        assert_eq!(current_ids(), none);
    });
    stage.finish_with_tree(
        "
        ours 1
          theirs 2
            ours 3
              theirs 4
                ours 5
                theirs 6
              theirs 7
              ours 8
            theirs 9
            ours 10
          ours 11
          theirs 12
        ",
    );
}

#[test]
fn without_anything_entered_a_guard_of_theirs_is_enough() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    {
        let _guard = mark_span_as_active(tracer.start("theirs"));
        current_ids();
        span!("ours").in_scope(|| tracer.start("inner").end());
    }
    assert!(!Context::current().span_context().is_valid());
    stage.finish_with_tree(
        "
        theirs
          ours
            inner
        ",
    );
}

/// CTX-6 of [Detach context](https://opentelemetry.io/docs/specs/otel/context/#detach-context).
#[test]
fn guards_that_are_dropped_out_of_order_leave_what_is_entered_as_it_is() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        let outer = mark_span_as_active(tracer.start("outer"));
        let leaked = span!("scope").in_scope(|| {
            // Theirs ends inside of ours ...
            drop(outer);
            span!("in the scope").end();
            // ... and another outlives it.
            mark_span_as_active(tracer.start("leaked"))
        });
        span!("below leaked").end();
        drop(leaked);
        assert!(!Context::current().span_context().is_valid());
        span!("alone").end();
    });
    stage.finish_with_tree(
        "
        outer
          scope
            in the scope
            leaked
              below leaked
        alone
        ",
    );
}

/// SPN-3, SPN-4 and SPN-8 of [determining the parent](https://opentelemetry.io/docs/specs/otel/trace/api/#determining-the-parent-span-from-a-context).
#[test]
fn an_explicit_context_is_the_parent_whatever_is_current() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let remote = SpanContext::new(
        TraceId::from(0x1234_u128),
        SpanId::from(0x56_u64),
        TraceFlags::SAMPLED,
        true,
        "rojo=1".parse::<TraceState>().expect("valid"),
    );
    stage.run(|| {
        span!("here").in_scope(|| {
            let here = Theirs::current();
            tracer.in_span("deeper", |_| tracer.start_with_context("beside", &here).end());
            tracer.start_with_context("root", &Theirs::new()).end();
            let invalid = Theirs::new().with_remote_span_context(SpanContext::NONE);
            tracer.start_with_context("root of nothing", &invalid).end();
            let from_afar = Theirs::new().with_remote_span_context(remote.clone());
            let mut span = tracer.start_with_context("served", &from_afar);
            assert_eq!(span.span_context().trace_id(), remote.trace_id());
            assert_eq!(span.span_context().trace_state().header(), "rojo=1");
            assert!(!span.span_context().is_remote());
            span.end();
        });
    });
    let memory = stage.finish();
    memory.assert_tree(
        "
        here
          deeper
          beside
        root
        root of nothing
        served (remote parent)
        ",
    );
    let served = memory.span("served");
    assert_eq!(served.parent_span_id.to_string(), "0000000000000056");
    assert!(served.has_remote_parent);
    assert_eq!(served.trace_state, "rojo=1");
}

#[test]
fn a_context_without_span_that_is_attached_in_ours_makes_roots() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        span!("outer").in_scope(|| {
            let _clean = Theirs::new().attach();
            span!("ours").end();
            tracer.start("theirs").end();
        });
    });
    stage.finish_with_tree(
        "
        outer
        ours
        theirs
        ",
    );
}

/// CTX-7 of [Context interaction](https://opentelemetry.io/docs/specs/otel/trace/api/#context-interaction).
#[test]
fn what_is_added_to_the_active_span_is_added_to_the_span_of_our_scope() {
    let stage = Stage::new();
    stage.run(|| {
        span!("ours").in_scope(|| {
            get_active_span(|span| {
                assert!(span.is_recording());
                span.set_attribute(opentelemetry::KeyValue::new("colour", "blue"));
                span.add_event("seen", vec![opentelemetry::KeyValue::new("n", 1)]);
                span.update_name("renamed");
                // The owner ends it.
                span.end();
            });
            let captured = Theirs::current();
            std::thread::spawn(move || assert!(!captured.span().is_recording()))
                .join()
                .expect("no panic");
            assert!(CurrentSpan::set_attribute("open", true));
        });
    });
    let span = stage.finish().span("renamed");
    assert_eq!(span.attribute("colour"), Some("blue"));
    assert_eq!(span.attribute("open"), Some("true"));
    assert_eq!(span.events, [("seen".to_owned(), vec![("n".to_owned(), "1".to_owned())])]);
    assert_eq!(span.ending(), None);
}

#[test]
fn a_scope_inside_of_their_borrow_is_entered_all_the_same() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        tracer.in_span("outer", |_| {
            get_active_span(|_| {
                span!("scope").in_scope(|| {
                    span!("ours").end();
                    tracer.start("theirs").end();
                });
            });
            span!("after").end();
        });
    });
    stage.finish_with_tree(
        "
        outer
          scope
            ours
            theirs
          after
        ",
    );
}

/// SPN-10 of [wrapping a SpanContext](https://opentelemetry.io/docs/specs/otel/trace/api/#wrapping-a-spancontext-in-a-span).
#[test]
fn a_context_of_ours_that_is_entered_again_keeps_their_span_within_reach() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        tracer.in_span("theirs", |_| {
            Context::current().scope(|| {
                get_active_span(|span| span.set_attribute(opentelemetry::KeyValue::new("n", 1)));
                let wrapped = Span::from(Context::current());
                assert!(!wrapped.is_recording());
                assert_eq!(wrapped.span_context(), Context::current().span_context());
            });
        });
    });
    assert_eq!(stage.finish().span("theirs").attribute("n"), Some("1"));
}

#[test]
fn contexts_are_converted_by_hand_too() {
    let stage = Stage::new();
    let context = stage.run(|| span!("a").in_scope(Context::current));
    let theirs = to_opentelemetry(&context);
    let back = from_opentelemetry(&theirs);
    assert_eq!(back.span_context(), context.span_context());
    assert!(
        back.pipeline()
            .is_some_and(|pipeline| { core::ptr::eq(pipeline, stage.telemetry.pipeline()) })
    );
    drop(theirs);
    assert!(from_opentelemetry(&to_opentelemetry(&Context::empty())).is_empty());
}

#[test]
fn below_a_context_that_links_their_spans_link_too() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let cause = stage.run(|| {
        span!("cause").in_scope(|| {
            let cause = Context::current();
            cause.clone().linked().scope(|| tracer.start("effect").end());
            cause.clone().detached().scope(|| tracer.start("apart").end());
            cause
        })
    });
    let memory = stage.finish();
    let (effect, apart) = (memory.span("effect"), memory.span("apart"));
    assert_eq!(effect.links, [cause.span_context()]);
    assert!(apart.links.is_empty());
    for span in [effect, apart] {
        assert_ne!(span.trace_id, cause.span_context().trace_id());
        assert!(!span.parent_span_id.is_valid());
    }
}
