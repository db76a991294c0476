//! A finished span, owned.

use core::time::Duration;

use throughline_core::{
    AttributesView, END_ATTRIBUTE, Scope, SpanContext, SpanId, SpanKind, SpanView, StatusCode,
    TraceId, ValueView,
};

use crate::VirtualClock;

/// A finished span, to look at in a test. Values of attributes are shown as
/// text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CapturedSpan {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The id of the span.
    pub span_id: SpanId,
    /// The id of the parent, invalid for a root.
    pub parent_span_id: SpanId,
    /// Whether the parent is a span of another process.
    pub has_remote_parent: bool,
    /// The trace state.
    pub trace_state: String,
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: SpanKind,
    /// The name of the scope.
    pub scope: &'static str,
    /// The start in nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// The end in nanoseconds since the Unix epoch.
    pub end_unix_nanos: u64,
    /// Keys and values.
    pub attributes: Vec<(String, String)>,
    /// Names and attributes of events.
    pub events: Vec<(String, Vec<(String, String)>)>,
    /// The linked spans.
    pub links: Vec<SpanContext>,
    /// The status and its description.
    pub status: (StatusCode, String),
    /// The start on the real clock, which is never still.
    pub(crate) order: u64,
}

impl CapturedSpan {
    pub(crate) fn new(
        scope: &'static Scope,
        span: &SpanView<'_>,
        clock: Option<&VirtualClock>,
    ) -> Self {
        let shown = |real| clock.map_or(real, |clock| clock.at(real));
        let (code, description) = span.status();
        CapturedSpan {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            parent_span_id: span.parent_span_id(),
            has_remote_parent: span.has_remote_parent(),
            trace_state: span.trace_state().to_owned(),
            name: span.name().to_owned(),
            kind: span.kind(),
            scope: scope.name(),
            start_unix_nanos: shown(span.start_unix_nanos()),
            end_unix_nanos: shown(span.end_unix_nanos()),
            order: span.start_unix_nanos(),
            attributes: texts(span.attributes()),
            events: span
                .events()
                .map(|event| (event.name().to_owned(), texts(event.attributes())))
                .collect(),
            links: span.links().map(|link| link.span_context()).collect(),
            status: (code, description.to_owned()),
        }
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_unix_nanos.saturating_sub(self.start_unix_nanos))
    }

    /// The value of an attribute, as text.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// How the span ended, if not by completion: `cancelled`, `panicked` or
    /// `dropped`.
    pub fn ending(&self) -> Option<&str> {
        self.attribute(END_ATTRIBUTE)
    }
}

fn texts(attributes: AttributesView<'_>) -> Vec<(String, String)> {
    attributes.map(|(key, value)| (key.to_owned(), text(value))).collect()
}

fn text(value: ValueView<'_>) -> String {
    match value {
        ValueView::Str(text) => text.to_owned(),
        ValueView::Bool(value) => value.to_string(),
        ValueView::I64(value) => value.to_string(),
        ValueView::F64(value) => value.to_string(),
        ValueView::Bytes(bytes) => format!("{bytes:02x?}"),
        ValueView::Array(array) => {
            format!("[{}]", array.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        ValueView::Map(map) => {
            let entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        _ => String::new(),
    }
}
