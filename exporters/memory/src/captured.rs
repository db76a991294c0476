//! A finished span, owned.

use core::time::Duration;

use throughline_core::{
    AttributesView, END_ATTRIBUTE, EventView, LinkView, Scope, SpanContext, SpanId, SpanKind,
    SpanView, StatusCode, TraceId,
};

use crate::{CapturedValue, VirtualClock};

/// A finished span, to look at in a test. Values of attributes are shown as
/// text; [`value`](Self::value) has them as they were sent.
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
    /// Keys and values of the same attributes, in the same order, as they were sent.
    pub values: Vec<(String, CapturedValue)>,
    /// Attributes that a [limit](throughline_core::SpanLimits) left out.
    pub dropped_attributes: u32,
    /// Names and attributes of events.
    pub events: Vec<(String, Vec<(String, String)>)>,
    /// The same events with all they have.
    pub event_details: Vec<CapturedEvent>,
    /// Events that a limit left out.
    pub dropped_events: u32,
    /// The linked spans.
    pub links: Vec<SpanContext>,
    /// The same links with all they have.
    pub link_details: Vec<CapturedLink>,
    /// Links that a limit left out.
    pub dropped_links: u32,
    /// The status and its description.
    pub status: (StatusCode, String),
    /// The start on the real clock, which is never still.
    pub(crate) order: u64,
}

/// An event of a captured span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CapturedEvent {
    /// The name.
    pub name: String,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
    /// Keys and values as they were sent.
    pub values: Vec<(String, CapturedValue)>,
    /// Attributes that a limit left out.
    pub dropped_attributes: u32,
}

/// A link of a captured span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CapturedLink {
    /// The linked span.
    pub span_context: SpanContext,
    /// The trace state of the linked span.
    pub trace_state: String,
    /// Keys and values as they were sent.
    pub values: Vec<(String, CapturedValue)>,
    /// Attributes that a limit left out.
    pub dropped_attributes: u32,
}

impl CapturedSpan {
    pub(crate) fn new(
        scope: &'static Scope,
        span: &SpanView<'_>,
        clock: Option<&VirtualClock>,
    ) -> Self {
        let shown = |real| clock.map_or(real, |clock| clock.at(real));
        let (code, description) = span.status();
        let values = values(span.attributes());
        let event_details: Vec<_> = span
            .events()
            .map(|event| CapturedEvent::new(&event, shown(event.unix_nanos())))
            .collect();
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
            attributes: texts(&values),
            values,
            dropped_attributes: span.dropped_attributes(),
            events: event_details
                .iter()
                .map(|event| (event.name.clone(), texts(&event.values)))
                .collect(),
            event_details,
            dropped_events: span.dropped_events(),
            links: span.links().map(|link| link.span_context()).collect(),
            link_details: span.links().map(|link| CapturedLink::new(&link)).collect(),
            dropped_links: span.dropped_links(),
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

    /// The value of an attribute, as it was sent.
    pub fn value(&self, key: &str) -> Option<&CapturedValue> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// How the span ended, if not by completion: `cancelled`, `panicked` or
    /// `dropped`.
    pub fn ending(&self) -> Option<&str> {
        self.attribute(END_ATTRIBUTE)
    }
}

impl CapturedEvent {
    fn new(event: &EventView<'_>, unix_nanos: u64) -> Self {
        CapturedEvent {
            name: event.name().to_owned(),
            unix_nanos,
            values: values(event.attributes()),
            dropped_attributes: event.dropped_attributes(),
        }
    }
}

impl CapturedLink {
    fn new(link: &LinkView<'_>) -> Self {
        CapturedLink {
            span_context: link.span_context(),
            trace_state: link.trace_state().to_owned(),
            values: values(link.attributes()),
            dropped_attributes: link.dropped_attributes(),
        }
    }
}

fn values(attributes: AttributesView<'_>) -> Vec<(String, CapturedValue)> {
    attributes.map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn texts(values: &[(String, CapturedValue)]) -> Vec<(String, String)> {
    values.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}
