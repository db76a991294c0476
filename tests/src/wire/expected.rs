//! What the official messages must be, told from the plan alone.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use throughline_core::{Ending, SpanContext, SpanLimits, StatusCode, Value};

use super::{End, Made, Pairs, Plan, Step};
use crate::simulation::Virtual;

/// The request that carries the spans of these plans.
pub fn expected_request(
    plans: &[Plan],
    made: &[Made],
    limits: &SpanLimits,
) -> ExportTraceServiceRequest {
    let mut scopes: Vec<ScopeSpans> = Vec::new();
    for (plan, made) in plans.iter().zip(made) {
        let scope = plan.callsite.scope();
        let scope = InstrumentationScope {
            name: scope.name().to_owned(),
            version: scope.version().to_owned(),
            ..InstrumentationScope::default()
        };
        let span = span(plan, made, limits);
        match scopes.iter_mut().find(|known| known.scope.as_ref() == Some(&scope)) {
            Some(known) => known.spans.push(span),
            None => {
                let (scope, spans) = (Some(scope), vec![span]);
                scopes.push(ScopeSpans { scope, spans, ..ScopeSpans::default() });
            }
        }
    }
    let service = entry("service.name", &Value::Str("simulated"), &SpanLimits::new());
    let resource = Resource { attributes: vec![service], ..Resource::default() };
    let spans =
        ResourceSpans { resource: Some(resource), scope_spans: scopes, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }
}

fn span(plan: &Plan, made: &Made, limits: &SpanLimits) -> Span {
    let parent = plan.parent.filter(|(parent, _)| parent.is_valid());
    let start = plan.own_start.unwrap_or_else(|| Virtual::unix_nanos(plan.start));
    let end = if let End::At(at) = plan.end { at } else { Virtual::unix_nanos(made.end) };
    let mut expected = Span {
        trace_id: made.context.trace_id().to_bytes().to_vec(),
        span_id: made.context.span_id().to_bytes().to_vec(),
        parent_span_id: parent.map_or(vec![], |(it, _)| it.span_id().to_bytes().to_vec()),
        trace_state: parent.map_or("", |(_, state)| state).to_owned(),
        flags: flags(&made.context, parent.is_some_and(|(parent, _)| parent.is_remote())),
        name: plan.callsite.name().to_owned(),
        kind: plan.kind.unwrap_or(plan.callsite.kind()) as i32,
        start_time_unix_nano: start,
        // A span never ends before it starts.
        end_time_unix_nano: end.max(start),
        ..Span::default()
    };
    for (tick, step) in (plan.start + 1..).zip(&plan.steps) {
        match step {
            Step::Attribute(key, value) => set_attribute(&mut expected, key, value, limits),
            Step::Event(name, at, attributes) => {
                if expected.events.len() as u32 >= limits.event_count {
                    expected.dropped_events_count += 1;
                    continue;
                }
                let (attributes, dropped_attributes_count) =
                    pairs(attributes, limits.attribute_per_event_count, limits);
                expected.events.push(span::Event {
                    time_unix_nano: at.unwrap_or_else(|| Virtual::unix_nanos(tick)),
                    name: (*name).to_owned(),
                    attributes,
                    dropped_attributes_count,
                });
            }
            Step::Link(to, state, attributes) => {
                add_link(&mut expected, to, state, attributes, limits)
            }
            Step::Status(code, description) => set_status(&mut expected, *code, description),
            Step::Name(name) => expected.name = (*name).to_owned(),
        }
    }
    let ending = match plan.end {
        End::As(ending) => ending,
        End::Drop => Ending::Dropped,
        _ => Ending::Completed,
    };
    if let Some(text) = ending.as_str() {
        expected.attributes.push(entry("throughline.end", &Value::Str(text), &SpanLimits::new()));
    }
    expected
}

fn set_attribute(span: &mut Span, key: &str, value: &Value<'_>, limits: &SpanLimits) {
    let former = span.attributes.iter().position(|attribute| attribute.key == key);
    let is_full = span.attributes.len() as u32 >= limits.attribute_count;
    if key.is_empty() || (former.is_none() && is_full) {
        span.dropped_attributes_count += 1;
        return;
    }
    if let Some(former) = former {
        span.attributes.remove(former);
    }
    span.attributes.push(entry(key, value, limits));
}

fn add_link(span: &mut Span, to: &SpanContext, state: &str, pairs: &Pairs, limits: &SpanLimits) {
    if !to.is_valid() && state.is_empty() && pairs.is_empty() {
        return;
    }
    if span.links.len() as u32 >= limits.link_count {
        span.dropped_links_count += 1;
        return;
    }
    let (attributes, dropped_attributes_count) =
        self::pairs(pairs, limits.attribute_per_link_count, limits);
    span.links.push(span::Link {
        trace_id: to.trace_id().to_bytes().to_vec(),
        span_id: to.span_id().to_bytes().to_vec(),
        trace_state: state.to_owned(),
        attributes,
        dropped_attributes_count,
        flags: flags(to, to.is_remote()),
    });
}

fn set_status(span: &mut Span, code: StatusCode, description: &str) {
    let current = span.status.as_ref().map_or(0, |status| status.code);
    // Ok is final, and nothing goes back to Unset.
    if code == StatusCode::Unset || current == i32::from(StatusCode::Ok.to_wire()) {
        return;
    }
    let description = if code == StatusCode::Error { description } else { "" };
    let code = code.to_wire().into();
    span.status = Some(Status { message: description.to_owned(), code });
}

/// The last of each key, without empty keys, as many as the limit allows; and
/// how many were dropped.
fn pairs(pairs: &Pairs, limit: u32, limits: &SpanLimits) -> (Vec<KeyValue>, u32) {
    let mut kept = Vec::new();
    let mut dropped = 0;
    for (i, (key, value)) in pairs.iter().enumerate() {
        if key.is_empty() {
            dropped += 1;
        } else if pairs[i + 1..].iter().any(|(later, _)| later == key) {
            // Replaced, which is not dropped.
        } else if kept.len() as u32 == limit {
            dropped += 1;
        } else {
            kept.push(entry(key, value, limits));
        }
    }
    (kept, dropped)
}

fn entry(key: &str, value: &Value<'_>, limits: &SpanLimits) -> KeyValue {
    let value = Some(expected_value(value, limits, limits.attribute_value_depth.max(1)));
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The official message of a value, of which so many levels are kept.
pub fn expected_value(value: &Value<'_>, limits: &SpanLimits, depth: u32) -> AnyValue {
    use any_value::Value as Any;
    let most = limits.attribute_value_length as usize;
    let below = |value: &Value<'_>| expected_value(value, limits, depth - 1);
    let array = |values: Vec<AnyValue>| Any::ArrayValue(ArrayValue { values });
    let string = |text: &str| Any::StringValue(text.chars().take(most).collect());
    let value = match *value {
        Value::Empty => None,
        Value::Bool(value) => Some(Any::BoolValue(value)),
        Value::I64(value) => Some(Any::IntValue(value)),
        Value::U64(value) => Some(match i64::try_from(value) {
            Ok(value) => Any::IntValue(value),
            Err(_) => Any::StringValue(value.to_string()),
        }),
        Value::F64(value) => Some(Any::DoubleValue(value)),
        Value::Str(text) => Some(string(text)),
        Value::Bytes(bytes) => Some(Any::BytesValue(bytes[..bytes.len().min(most)].to_vec())),
        _ if depth == 0 => None,
        Value::Array(values) => Some(array(values.iter().map(below).collect())),
        Value::Strs(values) => Some(array(values.iter().map(|v| below(&(*v).into())).collect())),
        Value::I64s(values) => Some(array(values.iter().map(|v| below(&(*v).into())).collect())),
        Value::F64s(values) => Some(array(values.iter().map(|v| below(&(*v).into())).collect())),
        Value::Bools(values) => Some(array(values.iter().map(|v| below(&(*v).into())).collect())),
        Value::Map(entries) => {
            let entry = |(key, value): &(&str, Value<'_>)| KeyValue {
                key: (*key).to_owned(),
                value: Some(below(value)),
                ..KeyValue::default()
            };
            // Of equal keys the last one counts.
            let is_last = |&(i, (key, _)): &(usize, &(&str, Value<'_>))| {
                !entries[i + 1..].iter().any(|(other, _)| other == key)
            };
            let kept = entries.iter().enumerate().filter(is_last);
            let values = kept.map(|(_, each)| entry(each)).collect();
            Some(Any::KvlistValue(KeyValueList { values }))
        }
        ref other => unreachable!("a new kind of value: {other:?}"),
    };
    AnyValue { value }
}

fn flags(context: &SpanContext, is_remote: bool) -> u32 {
    u32::from(context.trace_flags().to_bits()) | 0x100 | if is_remote { 0x200 } else { 0 }
}
