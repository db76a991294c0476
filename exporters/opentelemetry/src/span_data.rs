//! Finished spans, as the SDK has them.

use core::time::Duration;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use throughline_core::{
    AttributesView, Batch, ResourceView, Scope, SpanContext as Ours, SpanKind as OurKind, SpanView,
    StatusCode,
};

use crate::values;

/// The resource of a batch.
pub(crate) fn resource(resource: ResourceView<'_>) -> Resource {
    Resource::builder_empty().with_attributes(pairs(resource.attributes())).build()
}

/// The spans of a batch.
pub(crate) fn spans(batch: &Batch<'_>) -> Vec<SpanData> {
    let mut scopes: HashMap<*const Scope, InstrumentationScope> = HashMap::new();
    let spans = batch.spans().map(|(ours, span)| {
        let scope = scopes.entry(core::ptr::from_ref(ours)).or_insert_with(|| scope(ours));
        span_data(&span, scope.clone())
    });
    spans.collect()
}

fn scope(ours: &Scope) -> InstrumentationScope {
    let mut scope = InstrumentationScope::builder(ours.name().to_owned())
        .with_attributes(pairs(ours.attributes()));
    if !ours.version().is_empty() {
        scope = scope.with_version(ours.version());
    }
    if !ours.schema_url().is_empty() {
        scope = scope.with_schema_url(ours.schema_url());
    }
    scope.build()
}

fn span_data(span: &SpanView<'_>, scope: InstrumentationScope) -> SpanData {
    let mut events = SpanEvents::default();
    events.dropped_count = span.dropped_events();
    events.events = span
        .events()
        .map(|event| {
            let (name, at) = (event.name().to_owned(), time(event.unix_nanos()));
            Event::new(name, at, pairs(event.attributes()), event.dropped_attributes())
        })
        .collect();
    let mut links = SpanLinks::default();
    links.dropped_count = span.dropped_links();
    links.links = span
        .links()
        .map(|link| {
            let to = span_context(&link.span_context(), link.trace_state());
            Link::new(to, pairs(link.attributes()), link.dropped_attributes())
        })
        .collect();
    SpanData {
        span_context: span_context(&span.span_context(), span.trace_state()),
        parent_span_id: SpanId::from_bytes(span.parent_span_id().to_bytes()),
        parent_span_is_remote: span.has_remote_parent(),
        span_kind: kind(span.kind()),
        name: span.name().to_owned().into(),
        start_time: time(span.start_unix_nanos()),
        end_time: time(span.end_unix_nanos()),
        attributes: pairs(span.attributes()),
        dropped_attributes_count: span.dropped_attributes(),
        events,
        links,
        status: status(span.status()),
        instrumentation_scope: scope,
    }
}

fn pairs(attributes: AttributesView<'_>) -> Vec<KeyValue> {
    attributes.map(|(key, value)| KeyValue::new(key.to_owned(), values::value(value))).collect()
}

fn span_context(ours: &Ours, state: &str) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(ours.trace_id().to_bytes()),
        SpanId::from_bytes(ours.span_id().to_bytes()),
        TraceFlags::new(ours.trace_flags().to_bits()),
        ours.is_remote(),
        trace_state(state),
    )
}

/// The members that the SDK takes for well-formed.
fn trace_state(text: &str) -> TraceState {
    if text.is_empty() {
        return TraceState::NONE;
    }
    text.parse().unwrap_or_else(|_| {
        let members = text.rsplit(',').filter_map(|member| member.split_once('='));
        members.fold(TraceState::NONE, |kept, (key, value)| kept.insert(key, value).unwrap_or(kept))
    })
}

fn time(unix_nanos: u64) -> SystemTime {
    // Until the year 2554, which every system's clock can tell.
    UNIX_EPOCH.checked_add(Duration::from_nanos(unix_nanos)).unwrap_or(UNIX_EPOCH)
}

fn kind(kind: OurKind) -> SpanKind {
    match kind {
        OurKind::Internal => SpanKind::Internal,
        OurKind::Server => SpanKind::Server,
        OurKind::Client => SpanKind::Client,
        OurKind::Producer => SpanKind::Producer,
        OurKind::Consumer => SpanKind::Consumer,
    }
}

fn status((code, description): (StatusCode, &str)) -> Status {
    match code {
        StatusCode::Unset => Status::Unset,
        StatusCode::Ok => Status::Ok,
        StatusCode::Error => Status::error(description.to_owned()),
    }
}
