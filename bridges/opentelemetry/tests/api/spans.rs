//! What a span records.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::time::UNIX_EPOCH;

use opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
    Tracer,
};
use opentelemetry::{Array, KeyValue, Value};
use throughline::{StatusCode, span};

use crate::Stage;

fn linked(span: u64, state: &str) -> SpanContext {
    let state = state.parse::<TraceState>().expect("valid");
    SpanContext::new(TraceId::from(3), SpanId::from(span), TraceFlags::SAMPLED, true, state)
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// SPN-3 of [span creation](https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation),
/// OP-12 of [End](https://opentelemetry.io/docs/specs/otel/trace/api/#end).
#[test]
fn a_builder_says_how_a_span_begins_and_a_timestamp_how_it_ends() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let at = |nanos| UNIX_EPOCH + Duration::from_nanos(nanos);
    let mut span = tracer
        .span_builder("begun")
        .with_kind(SpanKind::Producer)
        .with_start_time(at(1_000))
        .with_attributes([KeyValue::new("a", 1), KeyValue::new("a", 2)])
        .with_links(vec![Link::new(linked(5, "rojo=1"), vec![KeyValue::new("l", true)], 0)])
        .with_events(vec![Event::new("first", at(2_000), vec![KeyValue::new("e", 0.5)], 0)])
        .start(&tracer);
    span.end_with_timestamp(at(9_000));
    // OP-12: later calls do nothing.
    span.end_with_timestamp(at(10_000));
    span.set_attribute(KeyValue::new("late", true));
    assert!(!span.is_recording());
    let span = stage.finish().span("begun");
    assert_eq!((span.start_unix_nanos, span.end_unix_nanos), (1_000, 9_000));
    assert_eq!(span.kind, throughline::SpanKind::Producer);
    assert_eq!(span.attributes, owned(&[("a", "2")]));
    assert_eq!(span.events, [("first".to_owned(), owned(&[("e", "0.5")]))]);
    let [link] = span.links.as_slice() else { panic!("one link") };
    assert_eq!(link.span_id().to_string(), "0000000000000005");
    assert!(link.is_remote());
}

/// OP-3, OP-4, OP-5, OP-11 of [span operations](https://opentelemetry.io/docs/specs/otel/trace/api/#span-operations).
#[test]
fn what_is_added_later_is_kept_in_its_order() {
    let stage = Stage::new();
    let mut span = stage.tracer().start("first name");
    assert!(span.is_recording());
    let texts = Value::Array(Array::String(vec!["x".into(), "y".into()]));
    span.set_attribute(KeyValue::new("texts", texts));
    span.set_attributes([KeyValue::new("n", 1), KeyValue::new("n", 2)]);
    span.add_event("one", vec![]);
    span.add_event("two", vec![KeyValue::new("k", "v")]);
    span.record_error(&core::fmt::Error);
    span.add_link(linked(5, ""), vec![]);
    span.add_link(linked(6, ""), vec![]);
    span.update_name("last name");
    let before = span.span_context().clone();
    span.end();
    // OP-1: the ids stay.
    assert_eq!(*span.span_context(), before);
    let span = stage.finish().span("last name");
    assert_eq!(span.attributes, owned(&[("texts", "[x, y]"), ("n", "2")]));
    let names: Vec<&str> = span.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["one", "two", "exception"]);
    let (_, exception) = &span.events[2];
    assert_eq!(exception[0].0, "exception.message");
    assert_eq!(span.links.len(), 2);
    assert!(span.end_unix_nanos >= span.start_unix_nanos);
}

/// OP-7, OP-8 and OP-9 of [Set status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status).
#[test]
fn statuses_have_their_order() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let cases: [(&'static str, &[Status], (StatusCode, &str)); 4] = [
        ("unset", &[Status::Unset], (StatusCode::Unset, "")),
        (
            "error",
            &[Status::error("a"), Status::error("b"), Status::Unset],
            (StatusCode::Error, "b"),
        ),
        ("ok", &[Status::error("a"), Status::Ok, Status::error("c")], (StatusCode::Ok, "")),
        ("plain", &[Status::error("")], (StatusCode::Error, "")),
    ];
    for (name, statuses, _) in &cases {
        let mut span = tracer.start(*name);
        statuses.iter().for_each(|status| span.set_status(status.clone()));
    }
    let memory = stage.finish();
    for (name, _, (code, description)) in cases {
        assert_eq!(memory.span(name).status, (code, description.to_owned()), "{name}");
    }
}

/// OP-13 of [End](https://opentelemetry.io/docs/specs/otel/trace/api/#end).
#[test]
fn a_span_that_has_ended_is_still_a_parent() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    let mut span = tracer.start("parent");
    span.end();
    let _guard = opentelemetry::trace::mark_span_as_active(span);
    tracer.start("theirs").end();
    span!("ours").end();
    stage.finish_with_tree(
        "
        parent
          theirs
          ours
        ",
    );
}

/// OP-15 of [End](https://opentelemetry.io/docs/specs/otel/trace/api/#end).
#[test]
fn a_span_that_is_dropped_is_complete_and_one_that_unwinds_has_panicked() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    drop(tracer.start("dropped"));
    let unwound =
        catch_unwind(AssertUnwindSafe(|| tracer.in_span("unwound", |_| panic!("as asked"))));
    assert!(unwound.is_err());
    let memory = stage.finish();
    assert_eq!(memory.span("dropped").ending(), None);
    assert_eq!(memory.span("unwound").ending(), Some("panicked"));
}

/// SPN-6: [what comes later](https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation)
/// a name has room even where a span is full.
#[test]
fn long_names_are_kept() {
    let stage = Stage::new();
    let name = "n".repeat(3_000);
    stage.tracer().start(name.clone()).end();
    assert_eq!(stage.finish().spans()[0].name, name);
}
