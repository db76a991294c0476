//! The same spans, through throughline's own OTLP encoding and through opentelemetry-otlp:
//! both requests decode to equal messages.
//!
//! What differs by right, and is made equal before they are compared:
//!
//! - A status that was never set: a message without content there, no message here. On the
//!   wire of proto3 both say the same.
//! - The order of the resource's attributes, which the SDK keeps in a hash map.
//! - Values that `SpanData` has no place for (maps, bytes, empty ones, arrays that are
//!   nested or mixed): text there. `values_without_a_place_are_text` shows which.

use core::cell::RefCell;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::executor::block_on;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use prost::Message;
use throughline::{Exporter, SpanLimits, Thread, Value};
use throughline_core::{Batch, SpanExporter as _};
use throughline_exporter_opentelemetry::{Connection, OpenTelemetry};
use throughline_tests::wire::{Bench, CALLSITES, End, Pairs, Plan, Step, plans};

thread_local! {
    /// Pipelines live for ever, so the cases share one.
    static BOTH: RefCell<Both> = RefCell::new(Both::new());
}

/// A pipeline, and opentelemetry-otlp behind it.
struct Both {
    bench: Bench,
    sent: Sent,
    connection: Connection<SpanExporter>,
}

/// Keeps the last request.
#[derive(Clone, Debug, Default)]
struct Sent(Arc<Mutex<Bytes>>);

#[async_trait]
impl HttpClient for Sent {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        *self.0.lock().expect("no panic") = request.into_body();
        Ok(Response::new(Bytes::new()))
    }
}

impl Both {
    fn new() -> Self {
        let sent = Sent::default();
        let once = RetryPolicy::default().with_max_retries(0);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sent.clone())
            .with_endpoint("http://collector.invalid/v1/traces")
            .with_retry_policy(once)
            .build()
            .expect("a client is given");
        let thread = Thread::start().expect("a thread");
        let connection = OpenTelemetry::new(exporter).connect(&thread);
        Both { bench: Bench::new(SpanLimits::new()), sent, connection }
    }

    /// Our request, and theirs.
    fn requests(&mut self, plans: &[Plan]) -> [ExportTraceServiceRequest; 2] {
        let Both { bench, sent, connection } = self;
        bench.make(plans, |_, batch| {
            block_on(connection.export(batch)).expect("accepted");
            let theirs = sent.0.lock().expect("no panic").clone();
            [encoded(batch), theirs.to_vec()]
                .map(|bytes| ExportTraceServiceRequest::decode(bytes.as_slice()).expect("valid"))
        })
    }
}

fn encoded(batch: &Batch<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(|piece| bytes.extend_from_slice(piece));
    bytes
}

/// The same request, without what differs by right.
fn alike(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for resource in &mut request.resource_spans {
        if let Some(resource) = &mut resource.resource {
            resource.attributes.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let spans = resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans);
        for span in spans {
            span.status.get_or_insert_default();
        }
    }
    request
}

/// The plan with values for which `SpanData` has a place.
fn representable(mut plan: Plan) -> Plan {
    let value = |value: &mut Value<'static>| match value {
        Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => {
            *value = Value::Str("of another kind");
        }
        _ => {}
    };
    let pairs = |pairs: &mut Pairs| pairs.iter_mut().for_each(|(_, v)| value(v));
    for step in &mut plan.steps {
        match step {
            Step::Attribute(_, v) => value(v),
            Step::Event(_, _, attributes) | Step::Link(_, _, attributes) => pairs(attributes),
            Step::Status(..) | Step::Name(_) => {}
        }
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// EXP-1, OTLP-2 and the payload of [OTLP](https://opentelemetry.io/docs/specs/otlp/):
    /// spans and all that is in them, in their order, below resource and scopes.
    #[test]
    fn both_requests_decode_to_equal_messages(plans in plans()) {
        let plans: Vec<Plan> = plans.into_iter().map(representable).collect();
        let [ours, theirs] = BOTH.with_borrow_mut(|both| both.requests(&plans)).map(alike);
        // Bytes, since not every number equals itself.
        if ours.encode_to_vec() != theirs.encode_to_vec() {
            prop_assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
        }
    }
}

/// ATT-6 of [non-OTLP protocols](https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols).
#[test]
fn values_without_a_place_are_text() {
    const MIXED: &[Value<'_>] = &[
        Value::I64(1),
        Value::Str("a\"b"),
        Value::Empty,
        Value::F64(f64::NAN),
        Value::Bytes(b"f"),
    ];
    let cases: [(Value<'static>, &str); 6] = [
        (Value::Empty, ""),
        (Value::Bytes(b"foo"), "Zm9v"),
        (Value::Array(MIXED), r#"[1,"a\"b",null,"NaN","Zg=="]"#),
        (Value::Array(&[Value::I64s(&[1, 2]), Value::Bools(&[])]), "[[1,2],[]]"),
        (Value::Map(&[("k", Value::Bool(true)), ("l", Value::F64(0.5))]), r#"{"k":true,"l":0.5}"#),
        (Value::U64(u64::MAX), "18446744073709551615"),
    ];
    for (value, text) in cases {
        let plan = Plan {
            callsite: &CALLSITES[0],
            kind: None,
            parent: None,
            start: 1,
            own_start: None,
            steps: vec![Step::Attribute("k", value)],
            end: End::Now,
        };
        let [_, theirs] = BOTH.with_borrow_mut(|both| both.requests(&[plan]));
        let span = &theirs.resource_spans[0].scope_spans[0].spans[0];
        let found = span.attributes[0].value.clone().and_then(|value| value.value);
        assert_eq!(found, Some(any_value::Value::StringValue(text.to_owned())));
    }
}
