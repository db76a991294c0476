//! What a [`SpanView`] says, as the official message.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
use throughline_core::{AttributesView, SpanId, SpanView, StatusCode, ValueView};

/// The span as its view shows it.
pub fn viewed(view: &SpanView<'_>) -> Span {
    let (code, message) = view.status();
    let parent = view.parent_span_id();
    let status = Status { message: message.to_owned(), code: code.to_wire().into() };
    let remote = |is_remote| if is_remote { 0x200 } else { 0 };
    let flags = |bits: u8, is_remote| u32::from(bits) | 0x100 | remote(is_remote);
    Span {
        trace_id: view.trace_id().to_bytes().to_vec(),
        span_id: view.span_id().to_bytes().to_vec(),
        parent_span_id: if parent == SpanId::INVALID { vec![] } else { parent.to_bytes().to_vec() },
        trace_state: view.trace_state().to_owned(),
        flags: flags(view.trace_flags().to_bits(), view.has_remote_parent()),
        name: view.name().to_owned(),
        kind: view.kind() as i32,
        start_time_unix_nano: view.start_unix_nanos(),
        end_time_unix_nano: view.end_unix_nanos(),
        attributes: viewed_pairs(view.attributes()),
        dropped_attributes_count: view.dropped_attributes(),
        events: view
            .events()
            .map(|event| span::Event {
                time_unix_nano: event.unix_nanos(),
                name: event.name().to_owned(),
                attributes: viewed_pairs(event.attributes()),
                dropped_attributes_count: event.dropped_attributes(),
            })
            .collect(),
        dropped_events_count: view.dropped_events(),
        links: view
            .links()
            .map(|link| {
                let to = link.span_context();
                span::Link {
                    trace_id: to.trace_id().to_bytes().to_vec(),
                    span_id: to.span_id().to_bytes().to_vec(),
                    trace_state: link.trace_state().to_owned(),
                    attributes: viewed_pairs(link.attributes()),
                    dropped_attributes_count: link.dropped_attributes(),
                    flags: flags(to.trace_flags().to_bits(), to.is_remote()),
                }
            })
            .collect(),
        dropped_links_count: view.dropped_links(),
        status: (code != StatusCode::Unset).then_some(status),
    }
}

/// The attributes as their view shows them.
pub fn viewed_pairs(attributes: AttributesView<'_>) -> Vec<KeyValue> {
    let pair = |(key, value): (&str, ValueView<'_>)| KeyValue {
        key: key.to_owned(),
        value: Some(any_value(value)),
        ..KeyValue::default()
    };
    attributes.map(pair).collect()
}

fn any_value(value: ValueView<'_>) -> AnyValue {
    use any_value::Value as Any;
    let value = match value {
        ValueView::Bool(value) => Some(Any::BoolValue(value)),
        ValueView::I64(value) => Some(Any::IntValue(value)),
        ValueView::F64(value) => Some(Any::DoubleValue(value)),
        ValueView::Str(text) => Some(Any::StringValue(text.to_owned())),
        ValueView::Bytes(bytes) => Some(Any::BytesValue(bytes.to_vec())),
        ValueView::Array(array) => {
            Some(Any::ArrayValue(ArrayValue { values: array.iter().map(any_value).collect() }))
        }
        ValueView::Map(map) => {
            Some(Any::KvlistValue(KeyValueList { values: viewed_pairs(map.iter()) }))
        }
        _ => None,
    };
    AnyValue { value }
}
