//! The model, out of the bytes of a finished span.

use std::sync::Arc;

use throughline_core::{AttributesView, SpanView, StatusCode, ValueView};

use crate::{DroppedCounts, Event, FinishedSpan, Link, Status, Value};

impl FinishedSpan {
    /// Copies a finished span out of its OTLP bytes.
    #[must_use]
    pub fn from_view(span: &SpanView<'_>, scope: Arc<str>, service: Arc<str>) -> Self {
        let parent = span.parent_span_id();
        FinishedSpan {
            trace_id: span.trace_id().to_bytes(),
            span_id: span.span_id().to_bytes(),
            parent_span_id: parent.is_valid().then(|| parent.to_bytes()),
            parent_is_remote: span.has_remote_parent(),
            trace_state: span.trace_state().to_owned(),
            name: span.name().to_owned(),
            kind: span.kind(),
            start_unix_nanos: span.start_unix_nanos(),
            end_unix_nanos: span.end_unix_nanos(),
            attributes: attributes(span.attributes()),
            events: span
                .events()
                .map(|event| Event {
                    unix_nanos: event.unix_nanos(),
                    name: event.name().to_owned(),
                    attributes: attributes(event.attributes()),
                    dropped_attributes: event.dropped_attributes(),
                })
                .collect(),
            links: span
                .links()
                .map(|link| Link {
                    trace_id: link.span_context().trace_id().to_bytes(),
                    span_id: link.span_context().span_id().to_bytes(),
                    trace_state: link.trace_state().to_owned(),
                    attributes: attributes(link.attributes()),
                    dropped_attributes: link.dropped_attributes(),
                })
                .collect(),
            status: match span.status() {
                (StatusCode::Unset, _) => Status::Unset,
                (StatusCode::Ok, _) => Status::Ok,
                (StatusCode::Error, description) => Status::Error(description.to_owned()),
            },
            scope,
            service,
            dropped: DroppedCounts {
                attributes: span.dropped_attributes(),
                events: span.dropped_events(),
                links: span.dropped_links(),
            },
        }
    }
}

fn attributes(attributes: AttributesView<'_>) -> Vec<(String, Value)> {
    attributes.map(|(key, value_view)| (key.to_owned(), value(value_view))).collect()
}

fn value(view: ValueView<'_>) -> Value {
    match view {
        ValueView::Bool(value) => Value::Bool(value),
        ValueView::I64(value) => Value::Int(value),
        ValueView::F64(value) => Value::Double(value),
        ValueView::Str(text) => Value::String(text.to_owned()),
        ValueView::Bytes(bytes) => Value::Bytes(bytes.to_owned()),
        ValueView::Array(array) => Value::Array(array.iter().map(value).collect()),
        ValueView::Map(map) => Value::Map(attributes(map.iter())),
        _ => Value::Empty,
    }
}
