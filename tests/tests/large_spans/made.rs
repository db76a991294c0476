//! Spans that hold more than a slot does.

use throughline::exporters::CapturedSpan;
use throughline::{Span, Telemetry, span};

/// Live spans, each with thirteen attributes of an HTTP server's.
pub(crate) fn large_ones(telemetry: &Telemetry, count: usize) -> Vec<Span> {
    telemetry.context().scope(|| {
        let one = |number: usize| {
            let mut span = span!("GET");
            for (key, value) in ATTRIBUTES {
                span.set_attribute(key, value);
            }
            span.set_attribute("url.path", &*format!("/orders/{number}"));
            span
        };
        (0..count).map(one).collect()
    })
}

pub(crate) fn is_whole(span: &CapturedSpan) -> bool {
    ATTRIBUTES.iter().all(|(key, value)| span.attribute(key) == Some(*value))
        && span.attribute("url.path").is_some()
}

const ATTRIBUTES: [(&str, &str); 12] = [
    ("http.request.method", "GET"),
    ("http.route", "/orders/{order}"),
    ("http.response.status_code", "200"),
    ("url.scheme", "https"),
    ("server.address", "shop.example.com"),
    ("server.port", "443"),
    ("client.address", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    ("network.protocol.version", "1.1"),
    ("network.peer.address", "10.200.13.7"),
    ("network.peer.port", "49152"),
    (
        "user_agent.original",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    ("enduser.id", "7f5e1c52-9d0c-4b5e-8a51-0c7a3a1b9d11"),
];
