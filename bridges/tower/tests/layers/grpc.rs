//! [gRPC spans](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/)

use core::convert::Infallible;

use http::{HeaderMap, Response};
use throughline::{SpanKind, StatusCode};
use throughline_tower::{ClientLayer, ServerLayer};
use tower::{Layer, ServiceExt, service_fn};

use crate::stage::{Frames, Stage, grpc, read};

fn status(code: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().expect("a value"));
    trailers.insert("grpc-message", "it%20broke".parse().expect("a value"));
    trailers
}

async fn answer(body: Frames) -> Result<Response<Frames>, Infallible> {
    Ok(Response::new(body))
}

/// One call, on both sides.
fn call(stage: &Stage, path: &str, body: impl Fn() -> Frames) {
    let url = format!("http://host:50051{path}");
    stage.run(async {
        let server = ServerLayer::new().layer(service_fn(|_| answer(body())));
        drop(read(server.oneshot(grpc(&url)).await.expect("an answer").into_body()).await);
        let client = ClientLayer.layer(service_fn(|_| answer(body())));
        drop(read(client.oneshot(grpc(&url)).await.expect("an answer").into_body()).await);
    });
}

#[test]
fn a_call_is_named_by_its_method_and_has_the_status_of_its_trailers() {
    let stage = Stage::new();
    call(&stage, "/shop.Orders/Get", || Frames::data(&["message"]).then(status("0")));
    let spans = stage.spans().spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client]);
    for span in spans {
        assert_eq!(span.name, "shop.Orders/Get");
        for (key, value) in [
            ("rpc.system.name", "grpc"),
            ("rpc.method", "shop.Orders/Get"),
            ("rpc.response.status_code", "OK"),
            ("server.address", "host"),
            ("server.port", "50051"),
        ] {
            assert_eq!(span.attribute(key), Some(value), "{key}");
        }
        assert_eq!((span.status.0, span.ending()), (StatusCode::Unset, None));
        assert_eq!(span.attribute("http.request.method"), None);
    }
}

#[test]
fn some_codes_are_errors_of_servers_and_all_but_ok_of_clients() {
    for (code, name, is_error_of_server) in [
        ("1", "CANCELLED", false),
        ("2", "UNKNOWN", true),
        ("3", "INVALID_ARGUMENT", false),
        ("4", "DEADLINE_EXCEEDED", true),
        ("5", "NOT_FOUND", false),
        ("12", "UNIMPLEMENTED", true),
        ("13", "INTERNAL", true),
        ("14", "UNAVAILABLE", true),
        ("15", "DATA_LOSS", true),
        ("16", "UNAUTHENTICATED", false),
        ("99", "UNKNOWN", true),
    ] {
        let stage = Stage::new();
        call(&stage, "/shop.Orders/Get", || Frames::default().then(status(code)));
        let spans = stage.spans().spans();
        assert_eq!(spans.len(), 2);
        for (span, is_error) in spans.iter().zip([is_error_of_server, true]) {
            assert_eq!(span.attribute("rpc.response.status_code"), Some(name));
            assert_eq!(span.attribute("error.type"), is_error.then_some(name));
            let message = if is_error { "it broke" } else { "" };
            let expected = if is_error { StatusCode::Error } else { StatusCode::Unset };
            assert_eq!(span.status, (expected, message.to_owned()), "{name}");
        }
    }
}

#[test]
fn a_status_in_the_headers_counts_and_a_missing_one_is_an_error() {
    let stage = Stage::new();
    stage.run(async {
        let refuse = ServerLayer::new().layer(service_fn(|_| async {
            let mut response = Response::new(Frames::default());
            *response.headers_mut() = status("7");
            Ok::<_, Infallible>(response)
        }));
        drop(read(refuse.oneshot(grpc("/a.B/C")).await.expect("an answer").into_body()).await);
        let silent = ServerLayer::new().layer(service_fn(|_| answer(Frames::data(&["x"]))));
        drop(read(silent.oneshot(grpc("/nonsense")).await.expect("an answer").into_body()).await);
    });
    let spans = stage.spans();
    let refused = spans.span("a.B/C");
    assert_eq!(refused.attribute("rpc.response.status_code"), Some("PERMISSION_DENIED"));
    assert_eq!(refused.status.0, StatusCode::Unset);
    let silent = spans.span("_OTHER");
    assert_eq!(silent.attribute("rpc.response.status_code"), Some("UNKNOWN"));
    assert_eq!(silent.status.0, StatusCode::Error);
}
