//! A span as it is held: what every query needs in place, the rest as received.

use std::collections::HashSet;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::{Event as WireEvent, Link as WireLink};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags};
use throughline_console::{
    DroppedCounts, END_ATTRIBUTE, Ending, Event, FinishedSpan, Link, SpanKind, Status, Value,
};

/// One held span. The trace it is held under knows the trace id.
///
/// The wire form of the rest is kept as it was decoded and converted only when
/// somebody looks: most traces of a load are never looked at.
#[derive(Debug)]
pub(crate) struct StoredSpan {
    pub(crate) span_id: [u8; 8],
    /// Zero for a root.
    pub(crate) parent_span_id: [u8; 8],
    pub(crate) start_unix_nanos: u64,
    pub(crate) end_unix_nanos: u64,
    pub(crate) name: Arc<str>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) kind: SpanKind,
    pub(crate) outcome: Outcome,
    pub(crate) ending: Ending,
    parent_is_remote: bool,
    detail: Option<Box<Span>>,
}

/// Who made a span; one for all spans of a scope in a request.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) service: Arc<str>,
    pub(crate) scope: Arc<str>,
}

/// A status without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unset,
    Ok,
    Error,
}

/// The ids of a received span, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: [u8; 16],
    span: [u8; 8],
    parent: [u8; 8],
}

impl Ids {
    /// `None` unless the trace and span ids have their lengths and are not all
    /// zero, and the parent's is empty or has its length.
    pub(crate) fn of(span: &Span) -> Option<Self> {
        let trace: [u8; 16] = span.trace_id.as_slice().try_into().ok()?;
        let id: [u8; 8] = span.span_id.as_slice().try_into().ok()?;
        let parent: [u8; 8] = match span.parent_span_id.as_slice() {
            [] => [0; 8],
            parent => parent.try_into().ok()?,
        };
        (trace != [0; 16] && id != [0; 8]).then_some(Self { trace, span: id, parent })
    }
}

impl StoredSpan {
    /// Takes a received span apart. Without detail, attributes, events, links
    /// and texts are let go.
    pub(crate) fn new(
        ids: Ids,
        span: Span,
        name: Arc<str>,
        origin: Arc<Origin>,
        detailed: bool,
    ) -> Self {
        let known = SpanFlags::ContextHasIsRemoteMask as u32;
        let remote = SpanFlags::ContextIsRemoteMask as u32;
        Self {
            span_id: ids.span,
            parent_span_id: ids.parent,
            start_unix_nanos: span.start_time_unix_nano,
            end_unix_nanos: span.end_time_unix_nano,
            name,
            origin,
            kind: kind(span.kind),
            outcome: outcome(&span),
            ending: ending(&span.attributes),
            parent_is_remote: span.flags & known != 0 && span.flags & remote != 0,
            detail: detailed.then(|| Box::new(span)),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.parent_span_id == [0; 8]
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let detail = self.detail.as_deref().map_or(0, |span| {
            size_of::<Span>()
                + attributes_bytes(&span.attributes)
                + span.trace_state.len()
                + span.status.as_ref().map_or(0, |status| status.message.len())
                + span.events.iter().map(event_bytes).sum::<usize>()
                + span.links.iter().map(link_bytes).sum::<usize>()
        });
        size_of::<Self>() + self.name.len() + detail
    }

    /// The span as the queries give it out.
    pub(crate) fn finished(&self, trace_id: [u8; 16]) -> FinishedSpan {
        let bare = FinishedSpan {
            trace_id,
            span_id: self.span_id,
            parent_span_id: (!self.is_root()).then_some(self.parent_span_id),
            parent_is_remote: self.parent_is_remote,
            name: (*self.name).to_owned(),
            kind: self.kind,
            start_unix_nanos: self.start_unix_nanos,
            end_unix_nanos: self.end_unix_nanos,
            status: match self.outcome {
                Outcome::Unset => Status::Unset,
                Outcome::Ok => Status::Ok,
                Outcome::Error => Status::Error(String::new()),
            },
            scope: Arc::clone(&self.origin.scope),
            service: Arc::clone(&self.origin.service),
            ..FinishedSpan::default()
        };
        let Some(span) = &self.detail else {
            // How it ended is known also without its attributes.
            let Some(end) = self.ending.as_str() else { return bare };
            return FinishedSpan {
                attributes: vec![(END_ATTRIBUTE.to_owned(), end.into())],
                ..bare
            };
        };
        FinishedSpan {
            trace_state: span.trace_state.clone(),
            attributes: attributes(&span.attributes),
            events: span.events.iter().map(event).collect(),
            links: span.links.iter().filter_map(link).collect(),
            status: match (self.outcome, &span.status) {
                (Outcome::Error, Some(status)) => Status::Error(status.message.clone()),
                _ => bare.status,
            },
            dropped: DroppedCounts {
                attributes: span.dropped_attributes_count,
                events: span.dropped_events_count,
                links: span.dropped_links_count,
            },
            ..bare
        }
    }
}

/// Names seen lately, each kept once: a program has few, used very often.
#[derive(Debug, Default)]
pub(crate) struct Names {
    seen: HashSet<Arc<str>>,
}

impl Names {
    pub(crate) fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(seen) = self.seen.get(name) {
            return Arc::clone(seen);
        }
        let new: Arc<str> = name.into();
        // A program that puts ids into its names has no use for sharing; spans
        // keep the names they have when the set starts again.
        if self.seen.len() == MAX_NAMES {
            self.seen.clear();
        }
        if new.len() <= MAX_SHARED_LEN {
            self.seen.insert(Arc::clone(&new));
        }
        new
    }
}

/// Names kept for sharing.
const MAX_NAMES: usize = 4_096;
/// Longer names are not shared, so that the set is bounded in bytes too.
const MAX_SHARED_LEN: usize = 256;

fn kind(number: i32) -> SpanKind {
    u64::try_from(number).ok().and_then(SpanKind::from_wire).unwrap_or_default()
}

fn outcome(span: &Span) -> Outcome {
    match span.status.as_ref().map_or(0, |status| status.code) {
        code if code == StatusCode::Ok as i32 => Outcome::Ok,
        code if code == StatusCode::Error as i32 => Outcome::Error,
        _ => Outcome::Unset,
    }
}

fn ending(attributes: &[KeyValue]) -> Ending {
    let end = attributes.iter().rev().find(|entry| entry.key == END_ATTRIBUTE);
    let value = end.map(|entry| value(entry.value.as_ref()));
    Ending::from_attribute(value.as_ref().and_then(Value::as_str))
}

fn attributes(entries: &[KeyValue]) -> Vec<(String, Value)> {
    let pair = |entry: &KeyValue| (entry.key.clone(), value(entry.value.as_ref()));
    entries.iter().map(pair).collect()
}

/// Recurses as deep as the message does; the decoder refuses more than a
/// hundred levels.
fn value(any: Option<&AnyValue>) -> Value {
    use any_value::Value as Wire;
    match any.and_then(|any| any.value.as_ref()) {
        // The last refers to a table that only profiles have.
        None | Some(Wire::StringValueStrindex(_)) => Value::Empty,
        Some(Wire::BoolValue(value)) => Value::Bool(*value),
        Some(Wire::IntValue(value)) => Value::Int(*value),
        Some(Wire::DoubleValue(value)) => Value::Double(*value),
        Some(Wire::StringValue(text)) => Value::String(text.clone()),
        Some(Wire::BytesValue(bytes)) => Value::Bytes(bytes.clone()),
        Some(Wire::ArrayValue(list)) => {
            Value::Array(list.values.iter().map(|any| value(Some(any))).collect())
        }
        Some(Wire::KvlistValue(map)) => Value::Map(attributes(&map.values)),
    }
}

fn event(event: &WireEvent) -> Event {
    Event {
        unix_nanos: event.time_unix_nano,
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
        dropped_attributes: event.dropped_attributes_count,
    }
}

/// `None` for a link whose ids have not their lengths.
fn link(link: &WireLink) -> Option<Link> {
    Some(Link {
        trace_id: link.trace_id.as_slice().try_into().ok()?,
        span_id: link.span_id.as_slice().try_into().ok()?,
        trace_state: link.trace_state.clone(),
        attributes: attributes(&link.attributes),
        dropped_attributes: link.dropped_attributes_count,
    })
}

fn attributes_bytes(entries: &[KeyValue]) -> usize {
    let of = |entry: &KeyValue| {
        size_of::<KeyValue>() + entry.key.len() + entry.value.as_ref().map_or(0, value_bytes)
    };
    entries.iter().map(of).sum()
}

fn value_bytes(any: &AnyValue) -> usize {
    use any_value::Value as Wire;
    match &any.value {
        Some(Wire::StringValue(text)) => text.len(),
        Some(Wire::BytesValue(bytes)) => bytes.len(),
        Some(Wire::ArrayValue(list)) => {
            let of = |any: &AnyValue| size_of::<AnyValue>() + value_bytes(any);
            list.values.iter().map(of).sum()
        }
        Some(Wire::KvlistValue(map)) => attributes_bytes(&map.values),
        _ => 0,
    }
}

fn event_bytes(event: &WireEvent) -> usize {
    size_of::<WireEvent>() + event.name.len() + attributes_bytes(&event.attributes)
}

fn link_bytes(link: &WireLink) -> usize {
    size_of::<WireLink>()
        + link.trace_id.len()
        + link.span_id.len()
        + link.trace_state.len()
        + attributes_bytes(&link.attributes)
}
