//! What metrics about the pipeline call its parts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The type of an exporter, and where it sends to, as metrics name them.
///
/// ([otel.component.type](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/))
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    kind: &'static str,
    server: Option<(String, u16)>,
    endpoint: Option<Arc<str>>,
}

impl Component {
    /// A component of this type: `otlp_http_span_exporter` for example.
    pub fn new(kind: &'static str) -> Self {
        Component { kind, server: None, endpoint: None }
    }

    /// A component for which the conventions have no name: that of its Rust type.
    pub fn of_type<T: ?Sized>() -> Self {
        Self::new(core::any::type_name::<T>())
    }

    /// The same, which sends to this host and port.
    #[must_use]
    pub fn with_server(self, host: &str, port: u16) -> Self {
        Component { server: Some((host.to_owned(), port)), ..self }
    }

    /// The same, which sends to this URL: scheme, host, port and path. What goes wrong is
    /// told with it, so it is to be without credentials and query.
    #[must_use]
    pub fn with_endpoint(self, url: &str) -> Self {
        Component { endpoint: Some(url.into()), ..self }
    }

    /// The type, as the attribute `otel.component.type` has it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Host and port of the receiver, if there is one.
    pub fn server(&self) -> Option<(&str, u16)> {
        self.server.as_ref().map(|(host, port)| (host.as_str(), *port))
    }

    /// The URL of the receiver, if it was given.
    pub fn endpoint(&self) -> Option<&Arc<str>> {
        self.endpoint.as_ref()
    }

    /// A name that no other component of this process has: the type and a number
    /// that counts from 0.
    pub(crate) fn unique_name(&self) -> String {
        static COUNTS: Mutex<BTreeMap<&str, u64>> = Mutex::new(BTreeMap::new());
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(self.kind).or_insert(0);
        let name = format!("{}/{count}", self.kind);
        *count += 1;
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_type_and_a_number_from_zero() {
        let component = Component::new("test_exporter");
        assert_eq!(component.unique_name(), "test_exporter/0");
        assert_eq!(component.unique_name(), "test_exporter/1");
        assert_eq!(Component::new("other_test_exporter").unique_name(), "other_test_exporter/0");
    }
}
