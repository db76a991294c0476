//! Spans from a program to the official service, through a whole pipeline.

use core::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use throughline_core::{Callsite, Scope};
use throughline_otlp::Otlp;
use throughline_runtime::{PipelineOptions, Span, Telemetry};

use crate::grpc::{Official, accepted};
use crate::partial;
use crate::raw::{Receiver, Step, answer};
use crate::runtime::Tokio;

static SCOPE: Scope = Scope::new("shop", "1.4");
static CALLSITE: Callsite = Callsite::new("load", &SCOPE);

/// Never reached: a test that waits so long has failed.
const WITHIN: Duration = Duration::from_secs(60);

fn start(otlp: Otlp) -> Telemetry {
    Telemetry::start(&PipelineOptions::default(), Tokio::new(), otlp)
}

fn make_span(telemetry: &Telemetry) {
    telemetry.context().scope(|| {
        Span::start(&CALLSITE, |span| span.set_attribute("id", 7_i64)).end();
    });
}

fn check(request: &ExportTraceServiceRequest) {
    let scope_spans = &request.resource_spans[0].scope_spans[0];
    assert_eq!(scope_spans.scope.as_ref().unwrap().name, "shop");
    let names: Vec<_> = scope_spans.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["load"]);
    assert_eq!(scope_spans.spans[0].attributes[0].key, "id");
}

#[tokio::test]
async fn a_span_arrives_over_http() {
    let mut receiver = Receiver::start([Step::Answer(answer("200 OK", "", b""))]).await;
    let telemetry = start(Otlp::http().endpoint(&receiver.url()).unwrap());
    make_span(&telemetry);
    let receipt = telemetry.flush(WITHIN).await;
    assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
    let body = receiver.request().await.body;
    check(&ExportTraceServiceRequest::decode(&body[..]).unwrap());
}

#[tokio::test]
async fn a_span_arrives_over_grpc() {
    let (official, otlp) = Official::start([accepted()], |service| service).await;
    let telemetry = start(otlp);
    make_span(&telemetry);
    let receipt = telemetry.flush(WITHIN).await;
    assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
    check(&official.seen.lock().unwrap()[0].1);
}

#[tokio::test]
async fn a_service_that_rejects_more_than_it_got_does_not_unbalance_the_ledger() {
    let (_, otlp) = Official::start([Ok(partial(1000))], |service| service).await;
    let telemetry = start(otlp);
    make_span(&telemetry);
    let receipt = telemetry.flush(WITHIN).await;
    let ledger = receipt.ledger();
    assert_eq!(ledger.exported(), 0, "{receipt}");
    assert_eq!(ledger.dropped_total(), 1, "{receipt}");
}

// The only thread of the exporter's runtime is the one that blocks; the service
// has another.
#[test]
fn a_blocked_runtime_still_sends_its_last_span_over_grpc() {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = std::thread::spawn(move || {
        current_thread().block_on(async {
            tell.send(Official::start([accepted()], |service| service).await).unwrap();
            let _ = stopped.await;
        });
    });
    let (official, otlp) = told.recv().unwrap();
    current_thread().block_on(async {
        let telemetry = start(otlp);
        make_span(&telemetry);
        let receipt = telemetry.shutdown_blocking(WITHIN);
        assert_eq!(receipt.ledger().exported(), 1, "{receipt}");
    });
    check(&official.seen.lock().unwrap()[0].1);
    stop.send(()).unwrap();
    service.join().unwrap();
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
