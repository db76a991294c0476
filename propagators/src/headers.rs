//! The headers of the crate `http` as a carrier.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use throughline_core::w3c::{Getter, Setter};

/// The headers of a request, to read contexts from or to write them into.
///
/// ```
/// use http::Request;
/// use throughline_propagation::{Headers, extract, inject};
///
/// # let incoming = Request::new(());
/// let context = extract(&Headers(incoming.headers()));
/// let mut request = Request::new(());
/// inject(&context, &mut Headers(request.headers_mut()));
/// ```
///
/// Every line of a header that is repeated is read, in order.
#[derive(Clone, Copy, Debug)]
pub struct Headers<H>(pub H);

impl Getter for Headers<&HeaderMap> {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(HeaderName::as_str)
    }
}

impl Setter for Headers<&mut HeaderMap> {
    /// What is no header of HTTP is left out.
    fn set(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (header_name(name), HeaderValue::from_str(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The usual names need no memory.
fn header_name(name: &str) -> Result<HeaderName, http::header::InvalidHeaderName> {
    match name {
        "traceparent" => Ok(HeaderName::from_static("traceparent")),
        "tracestate" => Ok(HeaderName::from_static("tracestate")),
        "baggage" => Ok(HeaderName::from_static("baggage")),
        other => HeaderName::from_bytes(other.as_bytes()),
    }
}
