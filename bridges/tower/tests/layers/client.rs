//! [HTTP client span](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span)

use core::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use throughline::{InSpanExt, SpanKind, StatusCode, span};
use throughline_tower::{ClientLayer, ResendCount};
use tower::{Layer, ServiceExt, service_fn};

use crate::stage::{Frames, PARENT, Stage, get, read};

/// What was sent, as the other end sees it.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<HeaderMap>>>);

impl Sent {
    async fn send<A>(
        self,
        request: Request<A>,
        status: u16,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        self.0.lock().expect("no panic").push(request.headers().clone());
        Ok(Response::builder().status(status).body(Full::from("done")).expect("a response"))
    }

    fn header(&self, at: usize, name: &str) -> Option<String> {
        let sent = self.0.lock().expect("no panic");
        sent[at].get(name).map(|value| value.to_str().expect("text").to_owned())
    }
}

/// TP-10: [Processing model](https://www.w3.org/TR/trace-context-2/#processing-model).
#[test]
fn each_attempt_is_a_span_of_its_own_whose_context_is_sent() {
    let (stage, sent) = (Stage::new(), Sent::default());
    stage.run(async {
        async {
            for (attempt, status) in [(0, 503), (1, 200)] {
                let sent = sent.clone();
                let service = ClientLayer::new()
                    .layer(service_fn(move |request| sent.clone().send(request, status)));
                let mut request = get("https://user:pass@shop.example/orders?id=7");
                if attempt > 0 {
                    request.extensions_mut().insert(ResendCount(attempt));
                }
                let response = service.oneshot(request).await.expect("an answer");
                assert_eq!(read(response.into_body()).await.expect("a body"), "done");
            }
        }
        .in_span(span!("order"))
        .await;
    });
    let spans = stage.spans();
    let attempts: Vec<_> = spans.spans().into_iter().filter(|span| span.name == "GET").collect();
    assert_eq!(attempts.len(), 2);
    for (at, span) in attempts.iter().enumerate() {
        assert_eq!(
            (span.kind, span.parent_span_id),
            (SpanKind::Client, spans.span("order").span_id)
        );
        let expected = format!("00-{}-{}-03", span.trace_id, span.span_id);
        assert_eq!(sent.header(at, "traceparent"), Some(expected));
        for (key, value) in [
            ("url.full", "https://REDACTED:REDACTED@shop.example/orders?id=7"),
            ("server.address", "shop.example"),
            ("server.port", "443"),
            ("network.protocol.version", "1.1"),
        ] {
            assert_eq!(span.attribute(key), Some(value), "{key}");
        }
    }
    assert_eq!(attempts[0].attribute("http.request.resend_count"), None);
    assert_eq!(attempts[1].attribute("http.request.resend_count"), Some("1"));
    assert_eq!(attempts[0].attribute("error.type"), Some("503"));
}

/// EXC-4: [Recording errors](https://opentelemetry.io/docs/specs/semconv/general/recording-errors/).
#[test]
fn a_status_from_400_on_is_an_error_of_a_client() {
    let stage = Stage::new();
    stage.run(async {
        for status in [200, 304, 400, 404, 500] {
            let service =
                ClientLayer.layer(service_fn(|request| Sent::default().send(request, status)));
            drop(
                read(service.oneshot(get("http://a/")).await.expect("an answer").into_body()).await,
            );
        }
    });
    for span in stage.spans().spans() {
        let code = span.attribute("http.response.status_code").expect("a code");
        let is_error = code >= "400";
        assert_eq!(span.status.0 == StatusCode::Error, is_error, "{code}");
        assert_eq!(span.attribute("error.type"), is_error.then_some(code));
    }
}

/// PROP-6: [Set](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#set).
#[test]
fn trace_headers_of_another_span_give_way_and_other_headers_stay() {
    let (stage, sent) = (Stage::new(), Sent::default());
    stage.run(async {
        let mut request = get("http://a/");
        for (name, value) in [
            ("traceparent", PARENT),
            ("tracestate", "old=1"),
            ("baggage", "mine=1"),
            ("accept", "*/*"),
        ] {
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let client = sent.clone();
        let service =
            ClientLayer.layer(service_fn(move |request| client.clone().send(request, 200)));
        drop(read(service.oneshot(request).await.expect("an answer").into_body()).await);
    });
    let span = stage.spans().span("GET");
    let parent = format!("00-{}-{}-03", span.trace_id, span.span_id);
    assert_eq!(sent.header(0, "traceparent"), Some(parent));
    assert_eq!(sent.header(0, "tracestate"), None);
    assert_eq!(sent.header(0, "baggage").as_deref(), Some("mine=1"));
    assert_eq!(sent.header(0, "accept").as_deref(), Some("*/*"));
}

/// TP-11: [Mutating](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field).
#[test]
fn a_context_goes_on_unchanged_where_it_is_suppressed_or_shut_down() {
    let (stage, sent) = (Stage::new(), Sent::default());
    let headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=2")];
    let forward = || {
        let client = sent.clone();
        let service =
            ClientLayer.layer(service_fn(move |request| client.clone().send(request, 200)));
        futures::executor::block_on(async {
            drop(
                read(service.oneshot(get("http://a/")).await.expect("an answer").into_body()).await,
            );
        });
    };
    let incoming = stage.telemetry.context().scope(|| throughline::extract(&headers[..]));
    incoming.clone().suppressed().scope(forward);
    stage.telemetry.shutdown_blocking(core::time::Duration::from_secs(60));
    incoming.scope(forward);
    for at in 0..2 {
        for (name, value) in headers {
            assert_eq!(sent.header(at, name).as_deref(), Some(value), "{name}");
        }
    }
}

#[test]
fn an_answer_that_nobody_reads_to_its_end_is_no_cancellation_and_a_dropped_request_is() {
    let stage = Stage::new();
    stage.run(async {
        let frames = || async { Ok::<_, Infallible>(Response::new(Frames::data(&["a", "b"]))) };
        let service = ClientLayer.layer(service_fn(|_| frames()));
        let mut body = service.oneshot(get("http://read/")).await.expect("an answer").into_body();
        assert!(body.frame().await.is_some());
        drop(body);
        let never = ClientLayer
            .layer(service_fn(|_| core::future::pending::<Result<Response<Frames>, Infallible>>()));
        let mut call = Box::pin(never.oneshot(get("http://dropped/")));
        assert!(futures::poll!(&mut call).is_pending());
    });
    let endings: Vec<_> = stage
        .spans()
        .spans()
        .iter()
        .map(|span| {
            (span.attribute("server.address").map(str::to_owned), span.ending().map(str::to_owned))
        })
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(endings, [(text("read"), None), (text("dropped"), text("cancelled"))]);
}

#[test]
fn a_request_without_an_answer_is_an_error_with_its_reason() {
    let stage = Stage::new();
    stage.run(async {
        let refused = ClientLayer.layer(service_fn(|_| async {
            let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            Err::<Response<Frames>, Box<dyn core::error::Error + Send + Sync>>(error.into())
        }));
        refused.oneshot(get("http://a:1/")).await.expect_err("it fails");
    });
    let span = stage.spans().span("GET");
    assert_eq!(span.status, (StatusCode::Error, "connection refused".to_owned()));
    assert_eq!(span.attribute("error.type"), Some("_OTHER"), "its type is not known");
    assert_eq!(span.attribute("http.response.status_code"), None);
}
