//! The headers of the crate `http`.

use http::HeaderMap;
use throughline_core::w3c::{Getter, Setter};
use throughline_propagation::{Headers, Jaeger, Propagator, Standard};
use throughline_runtime::Context;

use crate::carrier::{PARENT, extracted};

/// PROP-6, PROP-7, PROP-8: [Getter](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#getter-argument).
#[test]
fn names_ignore_case_values_come_in_order_and_setting_replaces() {
    let mut map = HeaderMap::new();
    let name: http::HeaderName = "X-Some".parse().expect("a name");
    map.append(&name, "1".parse().expect("a value"));
    map.append(&name, "2".parse().expect("a value"));
    let carrier = Headers(&map);
    assert_eq!(carrier.get_all("x-some").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(carrier.get_all("X-SOME").count(), 2);
    assert_eq!(carrier.keys().collect::<Vec<_>>(), ["x-some"]);
    assert_eq!(carrier.get_all("x-other").count(), 0);
    Headers(&mut map).set("X-Some", "3");
    assert_eq!(Headers(&map).get_all("x-some").collect::<Vec<_>>(), [b"3"]);
}

#[test]
fn a_context_goes_through_headers_and_what_http_forbids_is_left_out() {
    let context = extracted(
        &Standard,
        &[("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "k|=1")],
    );
    let mut map = HeaderMap::new();
    Standard.inject(&context, &mut Headers(&mut map));
    Jaeger.inject(&context, &mut Headers(&mut map));
    assert_eq!(map.len(), 5, "{map:?}");
    let again = Standard.extract(Context::empty(), &Headers(&map));
    assert_eq!(again.span_context(), context.span_context());
    Headers(&mut map).set("not a name", "1");
    Headers(&mut map).set("name", "\n");
    assert_eq!(map.len(), 5);
}
