//! Spans of `tracing` as ours.

use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use throughline::exporters::Memory;
use throughline::log::Lines;
use throughline::tracing::{LogFormat, TracingLayer, context_of};
use throughline::{
    Additions, AlwaysOff, Context, Decision, Ending, Sampler, SamplingParameters, SpanKind,
    StatusCode, Thread, builder,
};
use throughline_tests::conformance::{DEADLINE, current};
use throughline_tests::logs::Caught;
use throughline_tests::subscribed::{Stage, as_error, refused};
use tracing::dispatcher::{self, Dispatch};
use tracing::field::Empty;
use tracing::{info, info_span, trace_span};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

#[test]
fn fields_keep_their_types() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!(
            "load",
            small = 7u64,
            large = u64::MAX,
            negative = -1i64,
            wide = i128::MAX,
            unsigned = u128::MAX,
            part = 0.5,
            whole = true,
            text = "a",
            display = %"b",
            debug = ?Some(1),
            missing = Empty,
        );
    });
    let span = stage.finish().span("load");
    let expected = [
        ("small", "7"),
        ("large", "18446744073709551615"),
        ("negative", "-1"),
        ("wide", "170141183460469231731687303715884105727"),
        ("unsigned", "340282366920938463463374607431768211455"),
        ("part", "0.5"),
        ("whole", "true"),
        ("text", "a"),
        ("display", "b"),
        ("debug", "Some(1)"),
    ];
    let found: Vec<_> = span.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(span.scope, module_path!());
}

#[test]
fn an_error_is_recorded_with_the_errors_behind_it() {
    let stage = Stage::new();
    stage.run(|| {
        let error = refused();
        info_span!("store", error = as_error(&error));
    });
    let span = stage.finish().span("store");
    assert_eq!(span.attribute("error"), Some("the order is not stored"));
    assert_eq!(span.attribute("error.chain"), Some("[connection refused]"));
}

#[test]
fn the_fields_of_opentelemetry_are_not_attributes() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("request", otel.name = "GET /orders", otel.kind = "SERVER", otel.status_code = Empty, otel.status_message = Empty);
        span.record("otel.status_message", "refused");
        // The code alone does not take the description away.
        span.record("otel.status_code", "ERROR");
        drop(span);
        info_span!("call", otel.kind = ?SpanKind::Client, otel.status_code = "ok", otel.status_description = "ignored");
    });
    let memory = stage.finish();
    let request = memory.span("GET /orders");
    assert_eq!(request.kind, SpanKind::Server);
    assert_eq!(request.status, (StatusCode::Error, "refused".to_owned()));
    assert_eq!(request.attributes, []);
    let call = memory.span("call");
    assert_eq!((call.kind, call.status.0), (SpanKind::Client, StatusCode::Ok));
}

#[test]
fn name_kind_and_status_may_come_late_and_what_is_none_is_an_attribute() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!(
            "span",
            otel.name = Empty,
            otel.kind = Empty,
            otel.status_code = "fine",
            otel.status_description = Empty,
        );
        span.record("otel.kind", "client").record("otel.name", "named later");
        info_span!("again", otel.kind = "server").record("otel.kind", "sideways");
        info_span!("changed", otel.kind = "server").record("otel.kind", "Producer");
        // Nothing of it is ever said.
        info_span!("silent", otel.name = Empty, otel.kind = Empty, otel.status_code = Empty);
    });
    let memory = stage.finish();
    let span = memory.span("named later");
    assert_eq!((span.kind, span.status.0), (SpanKind::Client, StatusCode::Unset));
    assert_eq!(span.attributes, [("otel.status_code".to_owned(), "fine".to_owned())]);
    let again = memory.span("again");
    assert_eq!((again.kind, again.attribute("otel.kind")), (SpanKind::Server, Some("sideways")));
    assert_eq!(memory.span("changed").kind, SpanKind::Producer);
    let silent = memory.span("silent");
    assert_eq!((silent.kind, &silent.attributes[..]), (SpanKind::Internal, &[][..]));
}

/// Keeps what is called so, of that kind.
#[derive(Debug)]
struct ByName;

impl Sampler for ByName {
    fn should_sample(&self, known: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        match (known.name, known.kind) {
            ("GET /orders", SpanKind::Server) => Decision::RecordAndSample,
            _ => Decision::Drop,
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByName")
    }
}

#[test]
fn a_sampler_sees_the_name_and_the_kind_that_fields_give() {
    let memory = Memory::new();
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().sampler(ByName).start(thread, memory.clone());
    let dispatch = Dispatch::new(registry().with(TracingLayer::new()));
    dispatcher::with_default(&dispatch, || {
        telemetry.context().scope(|| {
            info_span!("request", otel.name = "GET /orders", otel.kind = "server");
            info_span!("request", otel.kind = ?SpanKind::Server, otel.name = %"GET /orders");
            info_span!("request", otel.name = "GET /orders");
            // It comes too late for the sampler.
            info_span!("request", otel.name = Empty, otel.kind = "server")
                .record("otel.name", "GET /orders");
        });
    });
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert_eq!((receipt.ledger().started(), receipt.ledger().unsampled()), (2, 2));
    let names: Vec<_> = memory.spans().into_iter().map(|span| (span.name, span.kind)).collect();
    assert_eq!(names, vec![("GET /orders".to_owned(), SpanKind::Server); 2]);
}

#[test]
fn what_is_recorded_later_replaces_what_was_there() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("load", id = 1, rows = Empty, otel.name = Empty);
        span.record("id", 2).record("rows", 3u64).record("otel.name", "better");
        let clone = span.clone();
        std::thread::scope(|scope| drop(scope.spawn(move || clone.record("rows", 4u64).id())));
    });
    let span = stage.finish().span("better");
    assert_eq!(span.attribute("id"), Some("2"));
    assert_eq!(span.attribute("rows"), Some("4"));
    assert_eq!(span.attributes.len(), 2);
}

#[test]
fn what_a_span_follows_from_is_a_link() {
    let stage = Stage::new();
    let (followed, closed) = stage.run(|| {
        let (followed, closed) = (info_span!("followed"), info_span!("closed"));
        let (followed_id, closed_id) = (followed.id(), closed.id());
        let context = context_of(&followed).expect("it is open").span_context();
        drop(closed);
        let span = info_span!("follows");
        span.follows_from(&followed);
        span.follows_from(closed_id);
        span.follows_from(None);
        drop(span);
        // Nobody follows a closed span, and a closed one follows nobody.
        info_span!("late").follows_from(followed_id);
        (context, followed)
    });
    dispatcher::with_default(&stage.dispatch, || drop(closed));
    let follows = stage.finish().span("follows");
    assert_eq!(follows.links, [followed]);
}

#[test]
fn a_span_ends_at_its_close_and_not_at_its_last_exit() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("span", done = Empty);
        span.in_scope(|| ());
        let child = info_span!(parent: &span, "child");
        span.record("done", true);
        drop(span);
        // A child keeps its parent open.
        assert_eq!(stage.telemetry.ledger().in_flight(), 2);
        drop(child);
    });
    let memory = stage.finish();
    let (span, child) = (memory.span("span"), memory.span("child"));
    assert_eq!(span.attribute("done"), Some("true"));
    assert!(span.end_unix_nanos >= child.end_unix_nanos);
}

#[test]
fn spans_that_a_filter_keeps_from_the_layer_are_passed_over() {
    let filter = filter_fn(|metadata| !metadata.name().starts_with("hidden"));
    // Another layer wants them all.
    let logs = LogFormat::new(Lines::json().to(Caught::default().output())).layer();
    let layer = TracingLayer::new().with_filter(filter);
    let stage = Stage::on(Dispatch::new(registry().with(layer).with(logs)));
    stage.run(|| {
        info_span!("outer").in_scope(|| {
            let hidden = info_span!("hidden", field = Empty);
            assert!(!hidden.is_disabled());
            hidden.record("field", 1);
            let seen = hidden.in_scope(|| info_span!("contextual"));
            let explicit = info_span!(parent: &hidden, "explicit");
            seen.follows_from(&hidden);
            hidden.follows_from(&seen);
            hidden.in_scope(|| info!("goes to the outer one"));
            info!(parent: &hidden, "goes nowhere");
            assert!(context_of(&hidden).is_none());
            drop((hidden, seen, explicit));
        });
    });
    let memory = stage.finish();
    memory.assert_tree(
        "
        outer
          contextual
          explicit
        ",
    );
    assert_eq!(memory.span("outer").events.len(), 1);
}

#[test]
fn what_a_level_filter_refuses_never_reaches_the_layer() {
    let filtered = TracingLayer::new().with_filter(LevelFilter::INFO);
    let subscriber = registry().with(filtered);
    assert_eq!(tracing::Subscriber::max_level_hint(&subscriber), Some(LevelFilter::INFO));
    let stage = Stage::on(Dispatch::new(subscriber));
    stage.run(|| {
        trace_span!("not recorded").in_scope(|| ());
        info_span!("recorded").in_scope(|| tracing::debug!("neither"));
    });
    let memory = stage.finish();
    memory.assert_tree("recorded");
    assert_eq!(memory.span("recorded").events, []);
}

#[test]
fn spans_say_where_they_are_if_one_wishes() {
    let stage = Stage::with(TracingLayer::new().location(true));
    let line = line!() + 1;
    stage.run(|| info_span!("span").in_scope(|| info!("event")));
    let span = stage.finish().span("span");
    assert_eq!(span.attribute("code.file.path"), Some(file!()));
    assert_eq!(span.attribute("code.line.number"), Some(line.to_string().as_str()));
    assert!(span.events[0].1.contains(&("code.file.path".to_owned(), file!().to_owned())));
}

#[test]
fn spans_say_how_they_were_entered_if_one_wishes() {
    let stage = Stage::with(TracingLayer::new().poll_profile(true));
    stage.run(|| {
        let span = info_span!("span");
        span.in_scope(|| span.in_scope(|| ()));
        span.in_scope(|| ());
    });
    let span = stage.finish().span("span");
    assert_eq!(span.attribute("throughline.poll.count"), Some("2"));
    let number =
        |key: &str| -> u64 { span.attribute(key).expect("it is there").parse().expect("a number") };
    assert!(number("throughline.poll.longest_ns") <= number("throughline.busy_ns"));
    let lasted = number("throughline.busy_ns") + number("throughline.idle_ns");
    // Both clocks round.
    assert!(lasted <= span.end_unix_nanos - span.start_unix_nanos + 1_000);
}

#[test]
fn a_field_that_panics_takes_nothing_else_down() {
    struct Panicking;

    impl fmt::Debug for Panicking {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::resume_unwind(Box::new("as the test wants"));
        }
    }

    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("span", field = Empty);
        span.in_scope(|| {
            let caught = |work: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
            caught(&|| {
                span.record("field", tracing::field::debug(Panicking));
            });
            caught(&|| info!(field = ?Panicking));
            info!("still there");
        });
        span.record("field", 1);
        let never = || drop(info_span!("never", field = ?Panicking));
        assert!(catch_unwind(AssertUnwindSafe(never)).is_err());
    });
    let memory = stage.finish();
    let span = memory.span("span");
    assert_eq!(span.attribute("field"), Some("1"));
    assert_eq!(span.events[0].0, "still there");
    assert_eq!(memory.span("never").ending(), Some("panicked"));
}

#[test]
fn a_span_that_is_closed_by_a_panic_says_so() {
    let stage = Stage::new();
    stage.run(|| {
        let work = || info_span!("span").in_scope(|| std::panic::resume_unwind(Box::new(())));
        assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
        assert!(!current().is_valid());
    });
    assert_eq!(stage.finish().span("span").ending(), Ending::Panicked.as_str());
}

#[test]
fn an_unsampled_trace_has_valid_contexts_and_takes_no_events() {
    let memory = Memory::new();
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().sampler(AlwaysOff).start(thread, memory.clone());
    let dispatch = Dispatch::new(registry().with(TracingLayer::new()));
    dispatcher::with_default(&dispatch, || {
        telemetry.context().scope(|| {
            info_span!("root").in_scope(|| {
                let root = Context::current().span_context();
                assert!(root.is_valid() && !root.trace_flags().is_sampled());
                info_span!("child", field = Empty).record("field", 1).in_scope(|| {
                    let child = Context::current().span_context();
                    assert_eq!(child.trace_id(), root.trace_id());
                    assert_ne!(child.span_id(), root.span_id());
                    info!(not_formatted = ?NeverFormatted, "nobody takes it");
                });
            });
        });
    });
    let receipt = telemetry.shutdown_blocking(DEADLINE);
    assert_eq!((receipt.ledger().started(), receipt.ledger().unsampled()), (0, 2));
}

/// What no span takes is not formatted.
struct NeverFormatted;

impl fmt::Debug for NeverFormatted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unreachable!("nobody takes it")
    }
}

#[test]
fn without_a_pipeline_nothing_is_kept() {
    let dispatch = Dispatch::new(registry().with(TracingLayer::new()));
    dispatcher::with_default(&dispatch, || {
        let span = info_span!("span", field = ?NeverFormatted);
        assert!(context_of(&span).is_none());
        span.in_scope(|| {
            assert!(Context::current().is_empty());
            info!(field = ?NeverFormatted);
        });
    });
}
