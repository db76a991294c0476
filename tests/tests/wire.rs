//! What is written is what the official messages say: spans go through the
//! pipeline and are read back by `opentelemetry-proto`, field by field.

use core::cell::RefCell;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use prost::Message;
use throughline_core::{Batch, SpanLimits, Value};
use throughline_tests::wire::{
    Bench, CALLSITES, End, Plan, Step, expected_request, plans, span_context, viewed,
};

thread_local! {
    /// Pipelines live for ever, so the cases share them.
    static BENCHES: RefCell<Vec<Bench>> =
        RefCell::new(LIMITS.iter().map(|limits| Bench::new(limits())).collect());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// PAY-2 ([trace.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto)).
    #[test]
    fn arbitrary_spans_are_read_back_field_by_field(plans in plans(), limits in 0..LIMITS.len()) {
        BENCHES.with_borrow_mut(|benches| {
            let bench = &mut benches[limits];
            let limits = *bench.limits();
            bench.make(&plans, |made, batch| {
                let expected = expected_request(&plans, made, &limits);
                let (request, len) = decode(batch);
                prop_assert_eq!(batch.encoded_len(), len);
                // Bytes, since not every number equals itself.
                if request.encode_to_vec() != expected.encode_to_vec() {
                    prop_assert_eq!(format!("{request:#?}"), format!("{expected:#?}"));
                }
                Ok(())
            })
        })?;
    }

    #[test]
    fn a_view_says_what_the_official_reader_says(plans in plans(), limits in 0..LIMITS.len()) {
        BENCHES.with_borrow_mut(|benches| {
            benches[limits].make(&plans, |_, batch| {
                let scopes = decode(batch).0.resource_spans.remove(0).scope_spans;
                let mut read: Vec<Span> = scopes.into_iter().flat_map(|scope| scope.spans).collect();
                for (_, view) in batch.spans() {
                    let is_same = |span: &Span| span.span_id == view.span_id().to_bytes();
                    let span = read.remove(read.iter().position(is_same).expect("in both"));
                    let viewed = viewed(&view);
                    if span.encode_to_vec() != viewed.encode_to_vec() {
                        prop_assert_eq!(format!("{span:#?}"), format!("{viewed:#?}"));
                    }
                    prop_assert_eq!(Span::decode(view.as_bytes()).is_ok(), true);
                }
                prop_assert!(read.is_empty());
                Ok(())
            })
        })?;
    }
}

#[test]
fn text_is_cut_between_characters_at_every_length() {
    let text = "aé🦀\u{10FFFF}e\u{301}z";
    for length in 0..=8 {
        let mut limits = SpanLimits::new();
        limits.attribute_value_length = length;
        let nested: &'static [Value<'static>] = Box::leak(Box::new([Value::Str(text)]));
        let steps = vec![
            Step::Attribute("text", Value::Str(text)),
            Step::Attribute("nested", Value::Array(nested)),
        ];
        let span = make_one(&mut Bench::new(limits), &Plan { steps, ..plan() });
        let cut: String = text.chars().take(length as usize).collect();
        let strings: Vec<String> = span.attributes.into_iter().filter_map(first_string).collect();
        assert_eq!(strings, [cut.clone(), cut]);
    }
}

#[test]
fn a_span_with_its_own_start_ends_when_it_ends() {
    let mut bench = Bench::new(SpanLimits::new());
    let span = make_one(&mut bench, &Plan { own_start: Some(1_000), start: 5, ..plan() });
    assert_eq!(span.start_time_unix_nano, 1_000);
    assert_eq!(span.end_time_unix_nano, throughline_tests::simulation::Virtual::unix_nanos(6));
}

#[test]
fn a_span_with_its_own_end_never_ends_before_it_starts() {
    let mut bench = Bench::new(SpanLimits::new());
    let span = make_one(&mut bench, &Plan { end: End::At(1_000), start: 5, ..plan() });
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "it took less than nothing");
}

#[test]
fn what_does_not_fit_the_memory_of_a_span_is_counted_on_it() {
    let mut bench = Bench::new(SpanLimits::new());
    // Texts would be cut.
    let huge = Value::I64s(vec![i64::MAX; 300 * 1_024].leak());
    let to = span_context(1, 2, 1, false);
    let steps = vec![
        Step::Attribute("kept", Value::I64(1)),
        Step::Attribute("huge", huge),
        Step::Event("event", None, vec![("huge", huge)]),
        Step::Link(to, "", vec![("huge", huge)]),
        Step::Attribute("kept too", Value::I64(2)),
    ];
    let span = make_one(&mut bench, &Plan { steps, ..plan() });
    let keys: Vec<&str> = span.attributes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["kept", "kept too"]);
    assert_eq!(span.dropped_attributes_count, 1);
    assert_eq!(span.dropped_events_count, 1);
    assert_eq!(span.dropped_links_count, 1);
}

#[test]
fn an_attribute_that_cannot_be_replaced_keeps_its_value() {
    let mut bench = Bench::new(SpanLimits::new());
    let huge = Value::I64s(vec![i64::MAX; 300 * 1_024].leak());
    let steps = vec![Step::Attribute("key", Value::Str("first")), Step::Attribute("key", huge)];
    let span = make_one(&mut bench, &Plan { steps, ..plan() });
    assert_eq!(span.dropped_attributes_count, 1);
    assert_eq!(span.attributes.into_iter().find_map(first_string).as_deref(), Some("first"));
}

fn make_one(bench: &mut Bench, plan: &Plan) -> Span {
    bench.make(core::slice::from_ref(plan), |_, batch| {
        let mut request = decode(batch).0;
        request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
    })
}

/// The request, and the bytes that it took.
fn decode(batch: &Batch<'_>) -> (ExportTraceServiceRequest, usize) {
    let mut bytes = Vec::new();
    batch.encode(|piece| bytes.extend_from_slice(piece));
    let request = ExportTraceServiceRequest::decode(&*bytes).expect("a well-formed request");
    (request, bytes.len())
}

fn first_string(attribute: opentelemetry_proto::tonic::common::v1::KeyValue) -> Option<String> {
    match attribute.value?.value? {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::ArrayValue(mut array) => match array.values.remove(0).value? {
            any_value::Value::StringValue(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn plan() -> Plan {
    Plan {
        callsite: &CALLSITES[0],
        kind: None,
        parent: None,
        start: 0,
        own_start: None,
        steps: vec![],
        end: End::Now,
    }
}

/// None, tight, and none at all.
const LIMITS: [fn() -> SpanLimits; 3] =
    [SpanLimits::new, || limits(3, 7, 3, 2), || limits(0, 0, 0, 0)];

fn limits(attributes: u32, length: u32, depth: u32, others: u32) -> SpanLimits {
    let mut limits = SpanLimits::new();
    limits.attribute_count = attributes;
    limits.attribute_value_length = length;
    limits.attribute_value_depth = depth;
    limits.event_count = others;
    limits.link_count = others;
    limits.attribute_per_event_count = others;
    limits.attribute_per_link_count = others;
    limits
}
