//! The layer of clients.

use http::HeaderMap;
use http::request::Parts;
use throughline_core::SpanKind;
use throughline_core::w3c::BAGGAGE;
use throughline_propagation::{Headers, global};
use throughline_runtime::{Span, SpanOptions};
use tower_layer::Layer;

use crate::spanned::{Client, Side};
use crate::{grpc, method, url};

/// Puts each request into a CLIENT span, whose context goes along in its headers.
///
/// - One span per attempt: the layer belongs below one that tries again.
/// - The span is called `GET`; a gRPC one by its method.
/// - It ends with the last byte of the response's body, or when nobody wants more of
///   it. A request that is dropped before its answer is cancelled.
/// - A status from 400 on is an error, and so is a request without an answer.
/// - `url.full` has no credentials in it.
/// - Trace headers that the request has already give way to those of the span.
///
/// ([HTTP client span](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span),
/// [gRPC client span](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/#client))
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientLayer;

impl ClientLayer {
    /// The layer.
    pub const fn new() -> Self {
        ClientLayer
    }
}

/// How often a request was sent before: an extension of the request, by whoever
/// tries again.
/// ([http.request.resend_count](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-request-retries-and-redirects))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResendCount(pub u32);

impl<S> Layer<S> for ClientLayer {
    type Service = Client<S>;

    fn layer(&self, inner: S) -> Client<S> {
        Client::new(inner, *self)
    }
}

impl Side for ClientLayer {
    const KIND: SpanKind = SpanKind::Client;

    fn start(&self, request: &mut Parts, is_grpc: bool) -> Span {
        let span = start(request, is_grpc);
        inject(&span, &mut request.headers);
        span
    }
}

fn start(request: &Parts, is_grpc: bool) -> Span {
    let known = method::callsite(&request.method);
    let mut options = SpanOptions::new().kind(SpanKind::Client);
    let called = is_grpc.then(|| grpc::method(request.uri.path()));
    if let Some(called) = called {
        options = options.name(called);
    }
    let callsite = if is_grpc { &method::GRPC } else { known };
    Span::start_with(callsite, options, |span| {
        let authority = url::authority(&request.uri, &request.headers);
        if let Some(authority) = &authority {
            let scheme = request.uri.scheme_str().unwrap_or("http");
            span.set_attribute("server.address", url::host(authority));
            if let Some(port) = url::port(authority, scheme) {
                span.set_attribute("server.port", i64::from(port));
            }
        }
        if let Some(called) = called {
            return grpc::describe(span, called);
        }
        method::describe(span, &request.method, known);
        span.set_attribute("url.full", url::full(&request.uri, authority.as_ref()).as_str());
        if let Some(ResendCount(count)) = request.extensions.get() {
            span.set_attribute("http.request.resend_count", i64::from(*count));
        }
    })
}

/// A trace header of another span must not stay beside those that are written:
/// `tracestate` is not, where there is none.
fn inject(span: &Span, headers: &mut HeaderMap) {
    let (context, propagator) = (span.context(), global());
    if context.span_context().is_valid() {
        for field in propagator.fields().iter().filter(|field| **field != BAGGAGE) {
            headers.remove(*field);
        }
    }
    propagator.inject(&context, &mut Headers(headers));
}
