//! What came out of the sink.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// All spans that were sent, in their order.
pub(crate) struct Sent {
    pub(crate) batches: usize,
    pub(crate) spans: Vec<Span>,
}

impl Sent {
    /// Reads requests, each behind its length.
    ///
    /// # Errors
    ///
    /// The file is not there, a message is broken, or one lacks its resource or
    /// its scope.
    pub(crate) fn read(path: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let mut rest = &*bytes;
        let mut sent = Sent { batches: 0, spans: Vec::new() };
        while !rest.is_empty() {
            let request = ExportTraceServiceRequest::decode_length_delimited(&mut rest)
                .map_err(|error| format!("message {}: {error}", sent.batches))?;
            sent.batches += 1;
            for resource in request.resource_spans {
                let attributes = resource.resource.unwrap_or_default().attributes;
                if text(&attributes, "service.name") != Some("sensor-node") {
                    return Err(format!("message {} has no resource", sent.batches));
                }
                for scope in resource.scope_spans {
                    let name = scope.scope.unwrap_or_default().name;
                    if name != "firmware" {
                        return Err(format!("message {} has the scope {name:?}", sent.batches));
                    }
                    sent.spans.extend(scope.spans);
                }
            }
        }
        Ok(sent)
    }

    /// The spans of this name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The only span of this name.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<&'a Span, String> {
        let mut all = self.named(name);
        match (all.next(), all.next()) {
            (Some(span), None) => Ok(span),
            (None, _) => Err(format!("there is no span {name:?}")),
            (Some(_), Some(_)) => Err(format!("there are several spans {name:?}")),
        }
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let entry = attributes.iter().find(|entry| entry.key == key)?;
    entry.value.as_ref().and_then(|AnyValue { value, .. }| value.as_ref())
}

/// The text of an attribute.
pub(crate) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match value(attributes, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The number in an attribute.
pub(crate) fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match value(attributes, key)? {
        Value::IntValue(number) => Some(*number),
        Value::BoolValue(value) => Some((*value).into()),
        _ => None,
    }
}
