//! What a response, or its absence, means for the current span.

use core::any::type_name;
use core::fmt::Display;

use http::response::Parts;
use http::{HeaderMap, Method};
use throughline_core::{Exception, SpanKind, StatusCode as SpanStatus};
use throughline_runtime::CurrentSpan;

use crate::{grpc, url};

/// What is known of a request when its answer comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) is_server: bool,
    pub(crate) is_grpc: bool,
    /// The answer has no body, whatever its headers say.
    pub(crate) is_head: bool,
    has_grpc_status: bool,
}

impl Outcome {
    pub(crate) fn new(kind: SpanKind, method: &Method, is_grpc: bool) -> Self {
        let is_server = kind == SpanKind::Server;
        Outcome { is_server, is_grpc, is_head: method == Method::HEAD, has_grpc_status: false }
    }

    /// Records the head of the response.
    /// ([Status](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status))
    pub(crate) fn head(&mut self, head: &Parts) {
        if !self.is_server
            && let Some(version) = url::version(head.version)
        {
            CurrentSpan::set_attribute("network.protocol.version", version);
        }
        if self.is_grpc {
            self.trailers(&head.headers);
            return;
        }
        let status = head.status;
        CurrentSpan::set_attribute("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() || !self.is_server && status.is_client_error() {
            CurrentSpan::set_attribute("error.type", status.as_str());
            CurrentSpan::set_status(SpanStatus::Error, "");
        }
    }

    /// Records what comes after the body.
    pub(crate) fn trailers(&mut self, headers: &HeaderMap) {
        if self.is_grpc && !self.has_grpc_status {
            self.has_grpc_status = grpc::record(headers, self.is_server);
        }
    }

    /// Records that nothing more comes.
    pub(crate) fn end(&self) {
        if self.is_grpc && !self.has_grpc_status {
            grpc::record_missing(self.is_server);
        }
    }

    /// Records that there is no answer, or not all of it.
    /// ([Recording errors](https://opentelemetry.io/docs/specs/semconv/general/recording-errors/))
    pub(crate) fn error<E: Display>(&mut self, error: &E) {
        self.has_grpc_status = true;
        if !CurrentSpan::is_recording() {
            return;
        }
        let name = type_name::<E>();
        // The type behind a `dyn Error` is not known.
        let kind = if name.contains("dyn ") { "" } else { name };
        CurrentSpan::set_attribute("error.type", if kind.is_empty() { "_OTHER" } else { kind });
        let message = error.to_string();
        CurrentSpan::record_exception(&Exception { kind, message: &message, stacktrace: "" });
    }
}
