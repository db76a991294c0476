//! The exporter against receivers on the loopback interface: official ones, and
//! ones that do what no receiver should.

#![cfg(all(feature = "http", feature = "grpc", feature = "gzip"))]

mod grpc;
mod http;
mod pipeline;
mod raw;
mod runtime;
#[cfg(feature = "tls")]
mod tls;
mod told;

use core::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use throughline_core::{ExportError, Failure};

/// A request of one span, whose name is of this length.
fn request(name_length: usize) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "n".repeat(name_length),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn bytes(name_length: usize) -> Vec<u8> {
    request(name_length).encode_to_vec()
}

/// An answer that counts so many spans as rejected.
fn partial(rejected_spans: i64) -> ExportTraceServiceResponse {
    explained(rejected_spans, "too many")
}

fn explained(rejected_spans: i64, error_message: &str) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: error_message.to_owned(),
        }),
    }
}

fn retry(failure: Failure, after: Option<Duration>) -> ExportError {
    ExportError::Retry { after, failure }
}

const NOT_UNDERSTOOD: ExportError = ExportError::Permanent(Failure::Protocol);
