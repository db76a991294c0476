//! Which method a request has, as a name that cannot become any text.

use http::Method;
use throughline_core::{Callsite, Scope};
use throughline_runtime::Span;

/// The call site of requests with this method: its name is the span's, until more
/// is known.
/// ([Name](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name))
pub(crate) fn callsite(method: &Method) -> &'static Callsite {
    KNOWN.iter().find(|known| known.name() == method.as_str()).unwrap_or(&OTHER)
}

/// Sets `http.request.method`.
/// ([HTTP attributes](https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/))
pub(crate) fn describe(span: &mut Span, method: &Method, callsite: &'static Callsite) {
    if core::ptr::eq(callsite, &OTHER) {
        span.set_attribute("http.request.method", "_OTHER");
        span.set_attribute("http.request.method_original", method.as_str());
    } else {
        span.set_attribute("http.request.method", callsite.name());
    }
}

/// The call site of gRPC requests.
pub(crate) static GRPC: Callsite = Callsite::new("grpc", &SCOPE);

static SCOPE: Scope = Scope::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// Any other method.
static OTHER: Callsite = Callsite::new("HTTP", &SCOPE);

/// Those of RFC 9110, and PATCH.
static KNOWN: [Callsite; 9] = [
    Callsite::new("GET", &SCOPE),
    Callsite::new("POST", &SCOPE),
    Callsite::new("PUT", &SCOPE),
    Callsite::new("DELETE", &SCOPE),
    Callsite::new("PATCH", &SCOPE),
    Callsite::new("HEAD", &SCOPE),
    Callsite::new("OPTIONS", &SCOPE),
    Callsite::new("CONNECT", &SCOPE),
    Callsite::new("TRACE", &SCOPE),
];
