//! [HTTP server span](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span)

use core::convert::Infallible;
use core::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use throughline::{
    Additions, Decision, Sampler, SamplingParameters, SpanKind, StatusCode, builder, span,
};
use throughline_tower::{ClientLayer, ServerLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::stage::{Frames, PARENT, Stage, get, grpc, read};

/// SPN-6: a sampler decides by the name under which the request is exported
/// ([Span creation](https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation)).
#[test]
fn a_sampler_sees_the_route_in_the_name_and_the_method_of_grpc() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let stage = Stage::with(builder().sampler(Names(seen.clone())));
    stage.run(async {
        let mut request = get("/orders/7");
        request.extensions_mut().insert(Route("/orders/{id}"));
        let service = layer().layer(service_fn(|_| answer(respond(200))));
        drop(read(service.oneshot(request).await.expect("an answer").into_body()).await);
        let call = grpc("http://host/shop.Orders/Get");
        let client = ClientLayer.layer(service_fn(|_| answer(respond(200))));
        drop(read(client.oneshot(call).await.expect("an answer").into_body()).await);
    });
    assert_eq!(*seen.lock().expect("no panic"), ["GET /orders/{id}", "shop.Orders/Get"]);
}

/// Notes the names that it is asked about.
#[derive(Debug)]
struct Names(Arc<Mutex<Vec<String>>>);

impl Sampler for Names {
    fn should_sample(&self, known: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        self.0.lock().expect("no panic").push(known.name.to_owned());
        Decision::Drop
    }

    fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Names")
    }
}

#[derive(Clone)]
struct Route(&'static str);

fn layer() -> ServerLayer {
    ServerLayer::new().route(|request| request.extensions.get::<Route>().map(|route| route.0))
}

async fn answer<B>(response: Response<B>) -> Result<Response<B>, Infallible> {
    Ok(response)
}

fn respond(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from("done")).expect("a response")
}

#[test]
fn a_request_is_a_span_named_by_its_route_below_the_context_that_came() {
    let stage = Stage::new();
    stage.run(async {
        let mut request = get("/orders/7?a=1&sig=secret");
        request.extensions_mut().insert(Route("/orders/{id}"));
        request.extensions_mut().insert(SocketAddr::from(([192, 0, 2, 9], 4711)));
        for (name, value) in [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("host", "shop.example:8080"),
            ("user-agent", "test/1"),
        ] {
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        let layer = layer().peer(|request| request.extensions.get::<SocketAddr>().copied());
        let inner = |_| async {
            span!("inside").in_scope(|| ());
            answer(respond(200)).await
        };
        let response = layer.layer(service_fn(inner)).oneshot(request).await.expect("an answer");
        assert_eq!(read(response.into_body()).await.expect("a body"), "done");
    });
    let spans = stage.spans();
    spans.assert_tree("GET /orders/{id} (remote parent)\n  inside");
    let span = spans.span("GET /orders/{id}");
    assert_eq!(
        (span.kind, span.ending(), span.status.0),
        (SpanKind::Server, None, StatusCode::Unset)
    );
    assert_eq!(span.trace_id.to_string(), &PARENT[3..35]);
    assert_eq!(span.parent_span_id.to_string(), &PARENT[36..52]);
    assert!(span.has_remote_parent && span.trace_state == "a=1,b=2");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("url.path", "/orders/7"),
        ("url.query", "a=1&sig=REDACTED"),
        ("server.address", "shop.example"),
        ("server.port", "8080"),
        ("client.address", "192.0.2.9"),
        ("network.peer.address", "192.0.2.9"),
        ("network.peer.port", "4711"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "test/1"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
    assert_eq!(span.attribute("error.type"), None);
}

#[test]
fn without_a_route_the_name_is_the_method_and_an_unknown_method_is_no_name() {
    let stage = Stage::new();
    stage.run(async {
        for method in ["POST", "BREW"] {
            let request = Request::builder().method(method).uri("/any").body(()).expect("one");
            let service = layer().layer(service_fn(|_| answer(respond(200))));
            drop(read(service.oneshot(request).await.expect("an answer").into_body()).await);
        }
    });
    let spans = stage.spans();
    assert_eq!(spans.span("POST").attribute("http.request.method_original"), None);
    let other = spans.span("HTTP");
    assert_eq!(other.attribute("http.request.method"), Some("_OTHER"));
    assert_eq!(other.attribute("http.request.method_original"), Some("BREW"));
}

#[test]
fn what_proxies_say_of_the_client_is_told() {
    let stage = Stage::new();
    stage.run(async {
        let mut request = get("/");
        let forwarded = "for=192.0.2.1;proto=https;host=front.example";
        request.headers_mut().insert("forwarded", forwarded.parse().expect("a value"));
        let service = layer().layer(service_fn(|_| answer(respond(200))));
        drop(read(service.oneshot(request).await.expect("an answer").into_body()).await);
    });
    let span = stage.spans().span("GET");
    for (key, value) in [
        ("client.address", "192.0.2.1"),
        ("url.scheme", "https"),
        ("server.address", "front.example"),
        ("server.port", "443"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
}

/// EXC-4: [Recording errors](https://opentelemetry.io/docs/specs/semconv/general/recording-errors/).
#[test]
fn only_a_status_from_500_on_is_an_error_of_a_server() {
    let stage = Stage::new();
    stage.run(async {
        for status in [200, 302, 404, 499, 500, 503] {
            let service = layer().layer(service_fn(|_| answer(respond(status))));
            drop(read(service.oneshot(get("/")).await.expect("an answer").into_body()).await);
        }
    });
    let spans = stage.spans().spans();
    assert_eq!(spans.len(), 6);
    for span in spans {
        let code = span.attribute("http.response.status_code").expect("a code").to_owned();
        let is_error = code.as_str() >= "500";
        let expected = if is_error { StatusCode::Error } else { StatusCode::Unset };
        assert_eq!(span.status, (expected, String::new()), "{code}");
        assert_eq!(span.attribute("error.type"), is_error.then_some(code.as_str()));
    }
}

#[test]
fn the_span_ends_with_the_last_byte_of_the_body_and_not_before() {
    let stage = Stage::new();
    stage.run(async {
        let service =
            layer().layer(service_fn(|_| answer(Response::new(Frames::data(&["a", "b"])))));
        let response = service.oneshot(get("/")).await.expect("an answer");
        let mut body = response.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.is_some());
            assert_eq!(stage.telemetry.ledger().in_flight(), 1);
        }
        assert!(body.frame().await.is_none());
        assert_eq!(
            stage.telemetry.flush(core::time::Duration::from_secs(60)).await.ledger().exported(),
            1
        );
        drop(body);
    });
    assert_eq!(stage.spans().span("GET").ending(), None);
}

/// A server of HTTP/1.1 does not ask for the end of a body whose last byte it has, nor
/// for the body of an answer that has none.
#[test]
fn a_body_that_is_not_asked_for_its_end_is_whole_all_the_same() {
    let stage = Stage::new();
    stage.run(async {
        let full = layer().layer(service_fn(|_| answer(respond(200))));
        let mut body = full.oneshot(get("/full")).await.expect("an answer").into_body();
        assert!(body.frame().await.is_some());
        drop(body);

        let length = Response::builder().header("content-length", "2");
        let mut length = Some(length.body(Frames::data(&["a", "b"])).expect("a response"));
        let mut counted = layer().layer(service_fn(|_| answer(length.take().expect("one"))));
        let mut body = counted.call(get("/counted")).await.expect("an answer").into_body();
        assert!(body.frame().await.is_some() && body.frame().await.is_some());
        drop(body);

        let empty = layer().layer(service_fn(|_| answer(Response::new(Empty::<Bytes>::new()))));
        drop(empty.oneshot(get("/empty")).await.expect("an answer"));
        let head = Request::head("/head").body(()).expect("a request");
        let headed = layer().layer(service_fn(|_| answer(respond(200))));
        drop(headed.oneshot(head).await.expect("an answer"));
        let unmodified = layer().layer(service_fn(|_| {
            answer(Response::builder().status(304).body(Frames::default()).expect("a response"))
        }));
        drop(unmodified.oneshot(get("/unmodified")).await.expect("an answer"));
    });
    let spans = stage.spans().spans();
    assert_eq!(spans.len(), 5);
    for span in spans {
        assert_eq!(span.ending(), None, "{:?}", span.attribute("url.path"));
    }
}

#[test]
fn a_client_that_goes_away_cancels_the_request_before_and_within_the_body() {
    let stage = Stage::new();
    stage.run(async {
        let never = layer().layer(service_fn(|_| async {
            let _inside = span!("waiting");
            core::future::pending::<Result<Response<Frames>, Infallible>>().await
        }));
        let mut call = Box::pin(never.oneshot(get("/never")));
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);

        let half = layer().layer(service_fn(|_| answer(Response::new(Frames::data(&["a", "b"])))));
        let mut body = half.oneshot(get("/half")).await.expect("an answer").into_body();
        assert!(body.frame().await.is_some());
        drop(body);
    });
    let spans = stage.spans().spans();
    let endings: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "GET")
        .map(|span| {
            (span.attribute("url.path"), span.ending(), span.attribute("http.response.status_code"))
        })
        .collect();
    assert_eq!(
        endings,
        [
            (Some("/never"), Some("cancelled"), None),
            (Some("/half"), Some("cancelled"), Some("200")),
        ]
    );
}

/// EXC-1, EXC-2: [Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/).
#[test]
fn a_service_or_a_body_that_fails_is_an_error_with_its_reason() {
    let stage = Stage::new();
    stage.run(async {
        let failing = layer().layer(service_fn(|_| async {
            Err::<Response<Frames>, _>(std::io::Error::other("no disk"))
        }));
        failing.oneshot(get("/service")).await.expect_err("it fails");
        let breaking = layer().layer(service_fn(|_| {
            answer(Response::new(Frames::data(&["a"]).then_fail("cut off")))
        }));
        let body = breaking.oneshot(get("/body")).await.expect("an answer").into_body();
        assert_eq!(read(body).await, Err("cut off"));
    });
    let spans = stage.spans().spans();
    assert_eq!(spans.len(), 2);
    for (span, (kind, message)) in
        spans.iter().zip([("std::io::error::Error", "no disk"), ("&str", "cut off")])
    {
        assert_eq!(span.status, (StatusCode::Error, message.to_owned()));
        assert_eq!((span.attribute("error.type"), span.ending()), (Some(kind), None));
        assert_eq!(span.events.len(), 1);
        assert_eq!(span.events[0].0, "exception");
    }
}

#[test]
fn a_handler_that_panics_ends_its_span_as_panicked() {
    let stage = Stage::new();
    let panics = || {
        stage.run(async {
            let service = layer().layer(service_fn(|_| async {
                let answers: Vec<Result<Response<Frames>, Infallible>> = Vec::new();
                answers.into_iter().next().expect("a bug")
            }));
            let _ = service.oneshot(get("/")).await;
        });
    };
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(panics)).expect_err("it panics");
    assert_eq!(stage.spans().span("GET").ending(), Some("panicked"));
}

/// TP-8, PROP-2: [Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#extract).
#[test]
fn a_broken_parent_begins_a_trace_and_what_the_server_itself_does_is_no_parent() {
    let stage = Stage::new();
    stage.run(async {
        let mut accepting = span!("accept loop");
        let service = layer().layer(service_fn(|_| answer(respond(200))));
        let mut request = get("/");
        request.headers_mut().insert("traceparent", "00-broken".parse().expect("a value"));
        let call = accepting.enter_for(|| service.oneshot(request));
        drop(read(call.await.expect("an answer").into_body()).await);
    });
    let span = stage.spans().span("GET");
    assert!(span.trace_id.is_valid() && !span.parent_span_id.is_valid() && !span.has_remote_parent);
}
