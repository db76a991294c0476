//! What gRPC says beside HTTP.
//!
//! Rules: [gRPC conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).

use http::{HeaderMap, header};
use throughline_core::StatusCode;
use throughline_core::w3c::Decoded;
use throughline_runtime::{CurrentSpan, Span, grpc_code_name};

/// Whether the message is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    value.starts_with(b"application/grpc")
        && matches!(value.get(b"application/grpc".len()), None | Some(b'+' | b';'))
}

/// The full name of the method: `package.Service/Method`.
pub(crate) fn method(path: &str) -> &str {
    let method = path.strip_prefix('/').unwrap_or(path);
    match method.split_once('/') {
        Some((service, name)) if !service.is_empty() && !name.is_empty() => method,
        _ => "_OTHER",
    }
}

/// Sets what a span of this method has from the beginning.
pub(crate) fn describe(span: &mut Span, method: &str) {
    span.set_attribute("rpc.system.name", "grpc");
    span.set_attribute("rpc.method", method);
}

/// Records the status that headers or trailers bring; whether they do.
pub(crate) fn record(headers: &HeaderMap, is_server: bool) -> bool {
    let Some(status) = headers.get("grpc-status") else { return false };
    let number = status.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    let name = number.map_or("UNKNOWN", grpc_code_name);
    let message = headers.get("grpc-message").and_then(|message| message.to_str().ok());
    record_name(name, message.unwrap_or_default(), is_server);
    true
}

/// Records that a stream ended without a status.
/// ([Status codes](https://grpc.io/docs/guides/status-codes/))
pub(crate) fn record_missing(is_server: bool) {
    record_name("UNKNOWN", "the stream ended without a status", is_server);
}

fn record_name(name: &str, message: &str, is_server: bool) {
    CurrentSpan::set_attribute("rpc.response.status_code", name);
    let is_error = if is_server { SERVER_ERRORS.contains(&name) } else { name != "OK" };
    if is_error {
        CurrentSpan::set_attribute("error.type", name);
        CurrentSpan::set_status(StatusCode::Error, &Decoded::new(message).to_string());
    }
}

/// Those that are the server's fault.
/// ([gRPC server span](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/#server))
const SERVER_ERRORS: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
