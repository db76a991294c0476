//! The kit for users' own tests: what can be set for a capture, and all that it shows.

use core::time::Duration;

use throughline::tail::{AnyTrace, Failed, SlowerThan};
use throughline::testing::{Capture, CapturedValue, VirtualClock, capture};
use throughline::{
    ComposableRateLimiting, CompositeSampler, Context, DropReason, HEARTBEAT_ATTRIBUTE, InSpanExt,
    SpanBudgets, SpanLimits, StatusCode, TailSampling, Value, extract, inject, span,
};
use throughline_tests::places::watched;

#[test]
fn what_the_tail_drops_is_in_no_capture_and_no_loss() {
    let tail = TailSampling::new().keep(Failed).sample(AnyTrace, 0.0).build().expect("two rules");
    let ((), captured) = Capture::new().tail(&tail).run(|| {
        for id in 0..10 {
            let mut span = span!("order", id);
            span.enter_for(|| span!("price").end());
            if id % 5 == 3 {
                span.set_status(StatusCode::Error, "refused");
            }
            span.end();
        }
    });
    captured.assert_tree_with(
        &["id"],
        "
        order {id=3} (error)
          price
        order {id=8} (error)
          price
        ",
    );
    assert_eq!(captured.ledger().dropped(DropReason::TailSampledOut), 16);
    let stats = tail.stats();
    assert_eq!((stats.error_traces, stats.traces_kept, stats.traces_dropped), (2, 2, 8));
}

#[test]
fn a_duration_at_the_tail_is_that_which_the_program_gave() {
    let slow = SlowerThan(Duration::from_millis(250));
    let tail = TailSampling::new().keep(slow).build().expect("one rule");
    let ((), captured) = Capture::new().tail(&tail).run(|| {
        for millis in [249, 251] {
            let options = throughline::SpanOptions::new().start_unix_nanos(1_000_000);
            let mut span = throughline::Span::start_with(&GIVEN, options, |_| ());
            span.set_attribute("millis", millis);
            span.end_at((1 + millis as u64) * 1_000_000);
        }
    });
    captured.assert_tree_with(&["millis", "duration"], "given {millis=251, duration=251ms}");
}

#[test]
fn records_of_spans_under_way_are_apart_from_the_spans_of_a_capture() {
    watched("a record of a live span", || {
        let ((), captured) = Capture::new().heartbeat(Duration::from_millis(1)).run(|| {
            let held = span!("held", id = 7);
            let pipeline = held.pipeline().expect("that of the capture");
            while pipeline.ledger().heartbeats() == 0 {
                std::thread::yield_now();
            }
            held.end();
        });
        captured.assert_tree_with(&["id"], "held {id=7}");
        let [beat, ..] = captured.heartbeats() else { panic!("none: {captured:?}") };
        assert_eq!((&*beat.name, beat.span_id), ("held", captured.span("held").span_id));
        assert_eq!(beat.attribute(HEARTBEAT_ATTRIBUTE), Some("true"));
        assert_eq!(beat.attribute("id"), None);
    });
    let ((), captured) = capture(|| span!("alone").end());
    assert!(captured.heartbeats().is_empty());
}

#[test]
fn a_flood_in_a_capture_is_told_by_its_parent() {
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = 2;
    let ((), captured) = Capture::new().budgets(budgets).run(|| {
        span!("all").in_scope(|| (0..5).for_each(|i| span!("step", i).end()));
    });
    captured.assert_tree_with(
        &["throughline.surplus.count", "i"],
        "
        all {throughline.surplus.count=3}
          step {i=0}
          step {i=1}
        ",
    );
    assert_eq!(captured.ledger().dropped(DropReason::Surplus), 3);
}

#[test]
fn a_limit_on_rates_counts_the_time_of_the_virtual_clock() {
    let clock = VirtualClock::new();
    let limit = CompositeSampler::new(ComposableRateLimiting::new(16, Duration::from_secs(1)));
    let ((), captured) = Capture::new().seed(1).clock(&clock).sampler(limit).run(|| {
        // However long this takes, no token comes back.
        (0..100_000).for_each(|_| span!("before").end());
        clock.advance(Duration::from_secs(1));
        (0..100_000).for_each(|_| span!("after").end());
    });
    let count = |name| captured.spans().iter().filter(|span| span.name == name).count();
    let (before, after) = (count("before"), count("after"));
    // Of 16 tokens the last few may be left by the threshold, which is low by then.
    assert!((8..=16).contains(&before) && (8..=16).contains(&after), "{before}, {after}");
    assert_eq!(captured.ledger().unsampled(), 200_000 - (before + after) as u64);
}

#[test]
fn polls_are_timed_if_that_is_asked_for() {
    let work = || futures::executor::block_on(async {}.in_span(span!("work")));
    let ((), captured) = Capture::new().long_poll(Duration::ZERO).run(work);
    let span = captured.span("work");
    assert_eq!(span.value("throughline.poll.count"), Some(&CapturedValue::I64(1)));
    assert_eq!(span.event_details[0].name, "throughline.poll.long");
    assert_eq!(capture(work).1.span("work").attributes, []);
}

#[test]
fn a_request_in_a_capture_has_headers() {
    let (sent, captured) = Capture::new().seed(1).run(|| {
        span!("call").in_scope(|| {
            let mut headers = Vec::new();
            inject(&Context::current(), &mut Headers(&mut headers));
            let received = extract(&Received(&headers)).span_context();
            assert_eq!(received.span_id(), Context::current().span_context().span_id());
            headers
        })
    });
    let (trace, span) = (captured.span("call").trace_id, captured.span("call").span_id);
    assert_eq!(sent, [("traceparent".to_owned(), format!("00-{trace}-{span}-03"))]);
}

#[test]
fn attributes_are_there_as_they_were_sent() {
    let ((), captured) = capture(|| {
        let mut span = span!("work", yes = true, one = 1, half = 0.5, text = "1");
        span.set_attribute("list", Value::I64s(&[1, 2]));
        span.end();
    });
    let span = captured.span("work");
    let values = [
        ("yes", CapturedValue::Bool(true)),
        ("one", CapturedValue::I64(1)),
        ("half", CapturedValue::F64(0.5)),
        ("text", CapturedValue::Str("1".to_owned())),
        ("list", CapturedValue::Array(vec![CapturedValue::I64(1), CapturedValue::I64(2)])),
    ];
    for (key, value) in values {
        assert_eq!(span.value(key), Some(&value), "{key}");
        assert_eq!(span.attribute(key), Some(&*value.to_string()), "{key}");
    }
    assert_eq!((span.value("no"), span.values.len()), (None, 5));
}

#[test]
fn events_and_links_are_there_with_times_attributes_and_what_was_dropped() {
    let clock = VirtualClock::new();
    let mut limits = SpanLimits::new();
    limits.attribute_count = 1;
    limits.event_count = 2;
    limits.link_count = 1;
    limits.attribute_per_event_count = 1;
    limits.attribute_per_link_count = 1;
    let two: [(&str, Value<'_>); 2] = [("first", 1.into()), ("second", 2.into())];
    let ((), captured) = Capture::new().clock(&clock).limits(limits).run(|| {
        let other = span!(root, "other").context();
        let mut span = span!("work", kept = 1, dropped = 2);
        span.add_event("at once", &[]);
        clock.advance(Duration::from_millis(40));
        span.add_event("later", &two);
        span.add_event("too many", &[]);
        span.add_link(&other, &two);
        span.add_link(&other, &[]);
        span.end();
    });
    let span = captured.span("work");
    let dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links);
    assert_eq!(dropped, (1, 1, 1));
    let [at_once, later] = &span.event_details[..] else { panic!("two: {span:?}") };
    assert_eq!((&*at_once.name, at_once.unix_nanos), ("at once", span.start_unix_nanos));
    assert_eq!((&*later.name, later.unix_nanos), ("later", span.start_unix_nanos + 40_000_000));
    let first = [("first".to_owned(), CapturedValue::I64(1))];
    assert_eq!((&later.values[..], later.dropped_attributes), (&first[..], 1));
    let [link] = &span.link_details[..] else { panic!("one: {span:?}") };
    assert_eq!(link.span_context.trace_id(), captured.span("other").trace_id);
    assert_eq!((link.span_context, link.dropped_attributes), (span.links[0], 1));
    assert_eq!((link.values.as_slice(), &*link.trace_state), (&first[..], ""));
}

#[test]
fn siblings_in_any_order_are_compared_with_their_attributes() {
    let ((), captured) = capture(|| {
        span!("all").in_scope(|| {
            span!("one", id = 2).in_scope(|| span!("below", id = 3).end());
            span!("one", id = 1).end();
        });
    });
    captured.assert_tree_unordered_with(
        &["id"],
        "
        all
          one {id=1}
          one {id=2}
            below {id=3}
        ",
    );
    let exchanged = "all\n  one {id=1}\n    below {id=3}\n  one {id=2}";
    let compare = || captured.assert_tree_unordered_with(&["id"], exchanged);
    let panic = std::panic::catch_unwind(core::panic::AssertUnwindSafe(compare));
    let panic = panic.expect_err("`below` is below the other one");
    let message = panic.downcast_ref::<String>().expect("a text");
    assert!(message.contains("-     below {id=3}\n"), "{message}");
}

struct Headers<'a>(&'a mut Vec<(String, String)>);

impl throughline::w3c::Setter for Headers<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

struct Received<'a>(&'a [(String, String)]);

impl throughline::w3c::Getter for Received<'_> {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_bytes())
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

static SCOPE: throughline_core::Scope = throughline_core::Scope::new("tests", "");
static GIVEN: throughline_core::Callsite = throughline_core::Callsite::new("given", &SCOPE);
