//! Spans and events of `tracing` as ours.

use core::fmt;
use core::panic::AssertUnwindSafe;
use std::io;
use std::panic::catch_unwind;

use throughline::exporters::Memory;
use throughline::log::Lines;
use throughline::tracing::{LogFormat, TracingLayer, context_of};
use throughline::{
    AlwaysOff, Context, CurrentSpan, Ending, SpanKind, StatusCode, Telemetry, Thread, builder, span,
};
use throughline_tests::conformance::{DEADLINE, current};
use throughline_tests::logs::Caught;
use tracing::dispatcher::{self, Dispatch};
use tracing::field::Empty;
use tracing::{Level, error, event, info, info_span, trace_span, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

/// A pipeline, and a subscriber that is there for one test.
struct Stage {
    telemetry: Telemetry,
    memory: Memory,
    dispatch: Dispatch,
}

impl Stage {
    fn new() -> Self {
        Self::with(TracingLayer::new())
    }

    fn with(layer: TracingLayer) -> Self {
        Self::on(Dispatch::new(registry().with(layer)))
    }

    fn on(dispatch: Dispatch) -> Self {
        let memory = Memory::new();
        let thread = Thread::start().expect("the system gives a thread");
        let telemetry = builder().long_poll(None).start(thread, memory.clone());
        Stage { telemetry, memory, dispatch }
    }

    fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let work = || self.telemetry.context().scope(work);
        dispatcher::with_default(&self.dispatch, work)
    }

    fn finish(&self) -> &Memory {
        let receipt = self.telemetry.shutdown_blocking(DEADLINE);
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
        &self.memory
    }
}

#[derive(Debug)]
struct Refused(io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order is not stored")
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn refused() -> Refused {
    Refused(io::Error::other("connection refused"))
}

fn as_error(error: &Refused) -> &(dyn std::error::Error + 'static) {
    error
}

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
fn a_kind_or_status_that_is_none_or_comes_late_is_an_attribute() {
    let stage = Stage::new();
    stage.run(|| {
        let span = info_span!("span", otel.kind = Empty, otel.status_code = "fine");
        span.record("otel.kind", "client");
    });
    let span = stage.finish().span("span");
    assert_eq!((span.kind, span.status.0), (SpanKind::Internal, StatusCode::Unset));
    assert_eq!(span.attribute("otel.kind"), Some("client"));
    assert_eq!(span.attribute("otel.status_code"), Some("fine"));
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
    let stage = Stage::on(Dispatch::new(registry().with(filtered)));
    stage.run(|| {
        assert!(LevelFilter::current() <= LevelFilter::INFO);
        let span = trace_span!("not recorded");
        assert!(span.is_disabled());
        info_span!("recorded").in_scope(|| tracing::debug!("neither"));
    });
    assert_eq!(stage.finish().span("recorded").events, []);
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
fn events_are_events_of_the_span_that_is_current() {
    let stage = Stage::new();
    stage.run(|| {
        info!("outside of any span");
        let explicit = info_span!("explicit");
        info_span!("current").in_scope(|| {
            info!(target: "shop::stock", count = 3u64, whole = true, "counted");
            event!(name: "stock.counted", Level::WARN, "with a name");
            info!(count = 1);
            info!(parent: &explicit, "elsewhere");
            info!(parent: None, "nowhere");
            span!("ours").in_scope(|| info!("in ours"));
            Context::empty().scope(|| info!("nowhere either"));
        });
    });
    let memory = stage.finish();
    let current = memory.span("current").events;
    let names: Vec<_> = current.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["counted", "stock.counted"]);
    assert!(names[2].starts_with("event "), "{names:?}");
    assert_eq!(names.len(), 3);
    let pairs = |event: &(String, Vec<(String, String)>)| event.1.clone();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        pairs(&current[0]),
        [
            pair("count", "3"),
            pair("whole", "true"),
            pair("level", "INFO"),
            pair("target", "shop::stock")
        ]
    );
    assert!(pairs(&current[1]).contains(&pair("message", "with a name")));
    assert_eq!(memory.span("explicit").events[0].0, "elsewhere");
    assert_eq!(memory.span("ours").events[0].0, "in ours");
}

#[test]
fn events_can_be_left_out() {
    let stage = Stage::with(TracingLayer::new().events(false));
    stage.run(|| {
        info_span!("span").in_scope(|| {
            info!("left out");
            error!("left out, but not without effect");
        });
    });
    let span = stage.finish().span("span");
    assert_eq!(span.events, []);
    let why = "left out, but not without effect".to_owned();
    assert_eq!(span.status, (StatusCode::Error, why));
}

/// EXC-2: the event is named `exception`, with its message and the errors behind it as one
/// text. ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
#[test]
fn an_event_with_an_error_is_an_exception() {
    let stage = Stage::new();
    stage.run(|| {
        let error = refused();
        info_span!("store").in_scope(|| error!(cause = as_error(&error), order = 7, "not stored"));
    });
    let span = stage.finish().span("store");
    let (name, attributes) = &span.events[0];
    assert_eq!(name, "exception");
    let of = |key: &str| attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!(of("exception.message"), Some("the order is not stored"));
    let stack = "the order is not stored\nCaused by: connection refused";
    assert_eq!(of("exception.stacktrace"), Some(stack));
    assert_eq!(of("message"), Some("not stored"));
    assert_eq!((of("order"), of("cause")), (Some("7"), Some("the order is not stored")));
    assert_eq!(span.status, (StatusCode::Error, "the order is not stored".to_owned()));
}

/// EXC-1: what the program says itself wins over what is made from the error.
/// ([Record exception](https://opentelemetry.io/docs/specs/otel/trace/api/#record-exception))
#[test]
fn an_attribute_of_the_program_wins_over_one_that_is_made() {
    let stage = Stage::new();
    stage.run(|| {
        let error = refused();
        info_span!("store").in_scope(|| {
            error!(cause = as_error(&error), exception.message = "mine", exception.r#type = "T");
        });
    });
    let (_, attributes) = &stage.finish().span("store").events[0];
    let all = |key: &str| -> Vec<_> {
        attributes.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
    };
    assert_eq!(all("exception.message"), ["mine"]);
}

/// EXC-3: only what the program calls an error fails the span; `#[instrument(err)]` does.
/// ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
#[test]
fn an_error_that_is_handled_does_not_fail_its_span() {
    #[tracing::instrument(err)]
    fn fails() -> Result<(), Refused> {
        Err(refused())
    }

    let stage = Stage::new();
    stage.run(|| {
        info_span!("handled").in_scope(|| {
            let error = fails().expect_err("it fails");
            warn!(error = as_error(&error), "tried again");
        });
    });
    let memory = stage.finish();
    assert_eq!(memory.span("handled").status.0, StatusCode::Unset);
    assert_eq!(memory.span("handled").events[0].0, "exception");
    let fails = memory.span("fails");
    assert_eq!(fails.status, (StatusCode::Error, "the order is not stored".to_owned()));
    assert_eq!(fails.events.len(), 1);
    assert_eq!(fails.events[0].0, "exception");
}

#[test]
fn failing_can_be_left_to_the_program() {
    let stage = Stage::with(TracingLayer::new().failing(false));
    stage.run(|| info_span!("span").in_scope(|| error!("nothing serious")));
    let span = stage.finish().span("span");
    assert_eq!((span.status.0, span.events.len()), (StatusCode::Unset, 1));
}

#[test]
fn an_event_may_have_many_fields() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!("span").in_scope(|| {
            info!(
                a = 1,
                b = 2,
                c = 3,
                d = 4,
                e = 5,
                f = 6,
                g = 7,
                h = 8,
                i = 9,
                j = 10,
                k = 11,
                l = 12,
                m = 13,
                n = 14,
                o = 15,
                p = 16,
                q = 17,
                r = 18,
                s = 19,
                t = 20,
                "many"
            );
        });
    });
    let (_, attributes) = &stage.finish().span("span").events[0];
    assert_eq!(attributes.len(), 22);
    assert_eq!(attributes[19], ("t".to_owned(), "20".to_owned()));
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
