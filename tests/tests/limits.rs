//! Limits of spans, as the official messages show them. Each test names the rows of
//! the requirements that it shows, and where those come from:
//! [attribute limits](https://opentelemetry.io/docs/specs/otel/common/#attribute-limits)
//! and [span limits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits).

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use throughline::exporters::Discard;
use throughline::{Thread, builder};
use throughline_core::{Batch, SpanLimits, StatusCode, Value, ValueView};
use throughline_tests::wire::{Bench, CALLSITES, End, Plan, Step, span_context};

/// LIM-1: Configurable Parameters; Span Limits.
#[test]
fn limits_are_on_by_default_with_the_numbers_of_the_specification() {
    let SpanLimits {
        attribute_count,
        attribute_value_length,
        attribute_value_depth,
        event_count,
        link_count,
        attribute_per_event_count,
        attribute_per_link_count,
        ..
    } = SpanLimits::default();
    assert_eq!((attribute_count, event_count, link_count), (128, 128, 128));
    assert_eq!((attribute_per_event_count, attribute_per_link_count), (128, 128));
    assert_eq!((attribute_value_length, attribute_value_depth), (u32::MAX, 64));
    let span = make(SpanLimits::default(), many(130, 1));
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (128, 2));
    assert_eq!((span.events.len(), span.dropped_events_count), (128, 2));
    assert_eq!((span.links.len(), span.dropped_links_count), (128, 2));
    let span = make(SpanLimits::default(), many(1, 130));
    for (kept, dropped) in [
        (span.events[0].attributes.len(), span.events[0].dropped_attributes_count),
        (span.links[0].attributes.len(), span.links[0].dropped_attributes_count),
    ] {
        assert_eq!((kept, dropped), (128, 2));
    }
}

/// LIM-2: Attribute Limits, value length. OPEN-7: a character is a Unicode scalar value.
#[test]
fn texts_are_cut_to_characters_and_bytes_to_bytes_wherever_they_are_and_nothing_else() {
    const INNER: &[(&str, Value<'static>)] =
        &[("text", Value::Str("äöüß")), ("number", Value::I64(123_456))];
    const VALUES: &[Value<'static>] =
        &[Value::Str("漢字仮名"), Value::Bytes(b"12345"), Value::Map(INNER)];
    let to = span_context(1, 2, 1, false);
    let long = [("key that is long", Value::Str("äöüß"))];
    let steps = vec![
        Step::Attribute("long key", Value::Str("äöüß")),
        Step::Attribute("bytes", Value::Bytes(&[1, 2, 3, 4])),
        Step::Attribute("array", Value::Array(VALUES)),
        Step::Attribute("bool", Value::Bool(true)),
        Step::Attribute("float", Value::F64(1.5)),
        Step::Event("a long event", None, long.to_vec()),
        Step::Link(to, "", long.to_vec()),
        Step::Status(StatusCode::Error, "a long description"),
        Step::Name("a long name"),
    ];
    let span = make(limits(|limits| limits.attribute_value_length = 3), steps);
    assert_eq!(value(&span.attributes, "long key"), Some(Any::StringValue("äöü".to_owned())));
    assert_eq!(value(&span.attributes, "bytes"), Some(Any::BytesValue(vec![1, 2, 3])));
    let Some(Any::ArrayValue(array)) = value(&span.attributes, "array") else { panic!() };
    let [text, bytes, map] = &array.values[..] else { panic!("{array:?}") };
    assert_eq!(text.value, Some(Any::StringValue("漢字仮".to_owned())));
    assert_eq!(bytes.value, Some(Any::BytesValue(b"123".to_vec())));
    let Some(Any::KvlistValue(map)) = &map.value else { panic!("{map:?}") };
    assert_eq!(value(&map.values, "text"), Some(Any::StringValue("äöü".to_owned())));
    assert_eq!(value(&map.values, "number"), Some(Any::IntValue(123_456)));
    assert_eq!(value(&span.attributes, "bool"), Some(Any::BoolValue(true)));
    assert_eq!(value(&span.attributes, "float"), Some(Any::DoubleValue(1.5)));
    for attributes in [&span.events[0].attributes, &span.links[0].attributes] {
        let text = Some(Any::StringValue("äöü".to_owned()));
        assert_eq!(value(attributes, "key that is long"), text);
    }
    assert_eq!((&*span.events[0].name, &*span.name), ("a long event", "a long name"));
    assert_eq!(span.status.map(|status| status.message).as_deref(), Some("a long description"));
    assert_eq!(span.dropped_attributes_count, 0, "what is cut is there");
}

/// LIM-3: Attribute Limits, count.
#[test]
fn the_attribute_that_would_pass_the_limit_is_discarded_and_setting_again_is_none() {
    const NESTED: &[(&str, Value<'static>)] =
        &[("a", Value::I64(1)), ("b", Value::I64(2)), ("c", Value::I64(3))];
    let steps = vec![
        Step::Attribute("first", Value::I64(1)),
        Step::Attribute("map", Value::Map(NESTED)),
        Step::Attribute("third", Value::I64(3)),
        Step::Attribute("first", Value::I64(10)),
        Step::Attribute("fourth", Value::I64(4)),
    ];
    let span = make(limits(|limits| limits.attribute_count = 2), steps);
    let mut keys: Vec<_> = span.attributes.iter().map(|each| each.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!((keys, span.dropped_attributes_count), (vec!["first", "map"], 2));
    assert_eq!(value(&span.attributes, "first"), Some(Any::IntValue(10)));
    let Some(Any::KvlistValue(map)) = value(&span.attributes, "map") else { panic!() };
    assert_eq!(map.values.len(), 3, "keys inside do not count");
}

/// LIM-3: the limits of events and links, and of attributes on them, each with its count.
#[test]
fn each_limit_has_its_count_on_the_wire() {
    let limits = limits(|limits| {
        (limits.attribute_count, limits.event_count, limits.link_count) = (1, 2, 3);
        (limits.attribute_per_event_count, limits.attribute_per_link_count) = (4, 5);
    });
    let span = make(limits, many(10, 10));
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (1, 9));
    assert_eq!((span.events.len(), span.dropped_events_count), (2, 8));
    assert_eq!((span.links.len(), span.dropped_links_count), (3, 7));
    for event in &span.events {
        assert_eq!((event.attributes.len(), event.dropped_attributes_count), (4, 6));
    }
    for link in &span.links {
        assert_eq!((link.attributes.len(), link.dropped_attributes_count), (5, 5));
    }
}

/// LIM-4: Attribute Limits, depth.
#[test]
fn an_array_or_map_that_is_deeper_than_the_limit_is_empty() {
    const ONE: &[Value<'static>] = &[Value::I64(7)];
    const TWO: &[Value<'static>] = &[Value::Array(ONE), Value::I64(8)];
    const MAP: &[(&str, Value<'static>)] =
        &[("deep", Value::Array(ONE)), ("flat", Value::Str("text"))];
    let steps = |value| vec![Step::Attribute("key", value)];
    let kept = |depth, value_of: Value<'static>| {
        let span = make(limits(|limits| limits.attribute_value_depth = depth), steps(value_of));
        assert_eq!(span.dropped_attributes_count, 0);
        value(&span.attributes, "key")
    };
    let array = |values: Vec<Option<Any>>| {
        let values = values.into_iter().map(|value| AnyValue { value }).collect();
        Some(Any::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue { values }))
    };
    let (seven, eight) = (Some(Any::IntValue(7)), Some(Any::IntValue(8)));
    // The value itself is the first level: an array of numbers fits into one.
    assert_eq!(kept(1, Value::I64(7)), seven);
    assert_eq!(kept(1, Value::Array(ONE)), array(vec![seven.clone()]));
    assert_eq!(kept(1, Value::Array(TWO)), array(vec![None, eight.clone()]));
    assert_eq!(kept(2, Value::Array(TWO)), array(vec![array(vec![seven]), eight]));
    let Some(Any::KvlistValue(map)) = kept(1, Value::Map(MAP)) else { panic!() };
    assert_eq!(value(&map.values, "deep"), None);
    assert_eq!(value(&map.values, "flat"), Some(Any::StringValue("text".to_owned())));
}

/// LIM-4: 64 levels are kept by default, however deep a value is.
#[test]
fn sixty_four_levels_are_kept_by_default() {
    let mut deep = Value::I64(7);
    for _ in 0..69 {
        deep = Value::Array(vec![deep].leak());
    }
    // Not by the official reader: as most of protobuf, it refuses more than a hundred
    // messages in each other, and each level is two.
    let steps = vec![Step::Attribute("key", deep)];
    let levels = with_batch(SpanLimits::default(), steps, |batch| {
        let (_, span) = batch.spans().next().expect("a span");
        let (mut levels, mut at) = (0, span.attribute("key").expect("it is there"));
        while let ValueView::Array(array) = at {
            levels += 1;
            at = array.iter().next().expect("one element");
        }
        assert!(matches!(at, ValueView::Empty), "{at:?}");
        levels
    });
    assert_eq!(levels, 64);
}

/// ATT-3: Attribute Collections; map.
#[test]
fn keys_are_unique_in_nested_maps_too() {
    const MAP: &[(&str, Value<'static>)] =
        &[("a", Value::I64(1)), ("b", Value::I64(2)), ("a", Value::I64(3))];
    let span = make(SpanLimits::default(), vec![Step::Attribute("map", Value::Map(MAP))]);
    let Some(Any::KvlistValue(map)) = value(&span.attributes, "map") else { panic!() };
    let keys: Vec<_> = map.values.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((keys, value(&map.values, "a")), (vec!["b", "a"], Some(Any::IntValue(3))));
}

/// LIM-3: what no limit leaves out is counted too, if there is no memory for it and it cannot
/// be cut.
#[test]
fn numbers_that_fit_no_memory_are_counted_and_texts_are_cut() {
    const NUMBERS: &[i64] = &[i64::MIN; 30_000];
    let text = || ("text", Value::Str("ä".repeat(150_000).leak()));
    let numbers = || ("numbers", Value::I64s(NUMBERS));
    let to = span_context(1, 2, 1, false);
    let steps = vec![
        Step::Attribute("numbers", numbers().1),
        Step::Event("event", None, vec![numbers()]),
        Step::Link(to, "", vec![numbers()]),
        Step::Event("event", None, vec![text()]),
        Step::Link(to, "", vec![text()]),
        Step::Attribute("text", text().1),
    ];
    let span = make(SpanLimits::default(), steps);
    let counts = (span.dropped_attributes_count, span.dropped_events_count);
    assert_eq!((counts, span.dropped_links_count), ((1, 1), 1));
    let kept = [&span.events[0].attributes, &span.links[0].attributes, &span.attributes];
    for (attributes, more_than) in kept.into_iter().zip([150_000, 30_000, 9_000]) {
        let Some(Any::StringValue(text)) = value(attributes, "text") else { panic!() };
        assert!(text.len() > more_than && text.chars().all(|each| each == 'ä'));
    }
}

/// LIM-6: Attribute Limits; Span Limits. (LIM-5 is shown beside the code that looks them
/// up, in `src/config.rs`.)
#[test]
fn limits_are_set_in_code() {
    let limits = limits(|limits| limits.link_count = 3);
    let thread = Thread::start().expect("a thread");
    let telemetry = builder().limits(limits).max_live_spans(1).start(thread, Discard);
    assert_eq!(*telemetry.pipeline().limits(), limits);
}

/// LIM-8: Exempt Entities.
#[test]
fn attributes_of_the_resource_are_exempt() {
    let limits = limits(|limits| (limits.attribute_count, limits.attribute_value_length) = (0, 0));
    let request = request(limits, vec![]);
    let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
    let name = value(&resource.attributes, "service.name");
    assert_eq!(name, Some(Any::StringValue("simulated".to_owned())));
}

fn make(limits: SpanLimits, steps: Vec<Step>) -> Span {
    let mut request = request(limits, steps);
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

fn request(limits: SpanLimits, steps: Vec<Step>) -> ExportTraceServiceRequest {
    with_batch(limits, steps, |batch| {
        let mut bytes = Vec::new();
        batch.encode(|piece| bytes.extend_from_slice(piece));
        ExportTraceServiceRequest::decode(&*bytes).expect("a well-formed request")
    })
}

fn with_batch<T>(limits: SpanLimits, steps: Vec<Step>, look: impl FnOnce(&Batch<'_>) -> T) -> T {
    let plan = Plan {
        callsite: &CALLSITES[0],
        kind: None,
        parent: None,
        start: 0,
        own_start: None,
        steps,
        end: End::Now,
    };
    Bench::new(limits).make(&[plan], |_, batch| look(batch))
}

/// So many attributes, events and links, and so many attributes on each of these.
fn many(count: usize, on_each: usize) -> Vec<Step> {
    let keys = |count: usize| (0..count).map(|i| &*format!("key{i}").leak());
    let attributes: Vec<_> = keys(on_each).map(|key| (key, Value::I64(1))).collect();
    let to = span_context(1, 2, 1, false);
    let mut steps: Vec<_> = keys(count).map(|key| Step::Attribute(key, Value::I64(1))).collect();
    steps.extend((0..count).map(|_| Step::Event("event", None, attributes.clone())));
    steps.extend((0..count).map(|_| Step::Link(to, "", attributes.clone())));
    steps
}

fn limits(change: impl FnOnce(&mut SpanLimits)) -> SpanLimits {
    let mut limits = SpanLimits::new();
    change(&mut limits);
    limits
}

fn value(attributes: &[KeyValue], key: &str) -> Option<Any> {
    attributes.iter().find(|entry| entry.key == key)?.value.clone()?.value
}
