//! What is told of a transmission: where to, and what the other side said.

use core::time::Duration;
use std::net::TcpListener;
use std::sync::mpsc;

use prost::Message;
use throughline_core::{Callsite, ExportError, Failure, Scope};
use throughline_otlp::Otlp;
use throughline_runtime::{Diagnostic, Diagnostics, PipelineOptions, Resource, Span, Telemetry};

use crate::explained;
use crate::grpc::Official;
use crate::raw::{Receiver, Step, answer};
use crate::runtime::Tokio;

static CALLSITE: Callsite = Callsite::new("load", &Scope::new("shop", "1.4"));

/// Never reached: a test that waits so long has failed.
const WITHIN: Duration = Duration::from_secs(60);

/// The first thing that a pipeline says when it has exported a span there.
async fn told(otlp: Otlp) -> Diagnostic {
    let (sender, told) = mpsc::channel();
    let tell = move |diagnostic: &Diagnostic| {
        // Of the others nobody wants to know.
        let _ = sender.send(diagnostic.clone());
    };
    let mut options = PipelineOptions::default();
    options.diagnostics = Diagnostics::to(tell);
    options.resource = Resource::empty().with("service.name", "shop");
    // What cannot be sent at once is given up.
    options.flusher.retry.max_repetitions = 0;
    let telemetry = Telemetry::start(&options, Tokio::new(), otlp);
    telemetry.context().scope(|| Span::start(&CALLSITE, |_| ()).end());
    let receipt = telemetry.flush(WITHIN).await;
    let health = telemetry.health();
    let told = told.recv_timeout(WITHIN).expect("something is told");
    // Who asks learns what was told.
    for failed in [receipt.failure(), health.last_failure().map(|(failed, _)| failed)] {
        match (&told, failed) {
            (Diagnostic::ExportFailing { target, error, detail }, Some(failed)) => {
                assert_eq!(failed.error(), *error);
                assert_eq!(failed.endpoint(), target.endpoint.as_deref());
                assert_eq!(failed.detail(), detail.as_deref());
            }
            (_, failed) => assert_eq!(failed, None),
        }
    }
    told
}

/// Taken apart: whose spans, where to, why, and in which words.
fn failing(told: Diagnostic) -> (String, String, ExportError, String) {
    match told {
        Diagnostic::ExportFailing { target, error, detail } => {
            let text = |text: Option<std::sync::Arc<str>>| text.unwrap_or_default().to_string();
            (text(target.service), text(target.endpoint), error, text(detail))
        }
        other => panic!("{other:?}"),
    }
}

fn http(status: u16) -> ExportError {
    ExportError::Permanent(Failure::Http(status))
}

#[tokio::test]
async fn a_connection_that_is_refused_says_where_to_and_by_whom() {
    // A port that nobody listens on.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://u:secret@{address}/v1/traces?key=secret");
    let (service, endpoint, error, detail) =
        failing(told(Otlp::http().endpoint(&url).unwrap()).await);
    assert_eq!(service, "shop");
    assert_eq!(endpoint, format!("http://{address}/v1/traces"));
    assert_eq!(error, ExportError::Retry { after: None, failure: Failure::Connect });
    assert!(detail.to_lowercase().contains("refused"), "{detail}");
}

#[tokio::test]
async fn the_beginning_of_a_refusal_is_told_in_one_line() {
    let mut body = b"unknown\r\n tenant \x1b[31m".to_vec();
    body.extend("é".repeat(1_000).as_bytes());
    let steps = [Step::Answer(answer("400 Bad Request", "content-type: text/plain\r\n", &body))];
    let receiver = Receiver::start(steps).await;
    let otlp = Otlp::http().endpoint(&receiver.url()).unwrap();
    let (_, endpoint, error, detail) = failing(told(otlp).await);
    assert_eq!((endpoint, error), (receiver.url(), http(400)));
    assert!(detail.starts_with("unknown tenant [31m"), "{detail}");
    assert_eq!(detail.chars().count(), 200);
}

/// HTTP-4 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures-1)).
#[tokio::test]
async fn the_message_of_a_status_in_protobuf_is_told() {
    // A `google.rpc.Status` with a code and a message.
    let body = [&[0x08, 3, 0x12, 10][..], b"bad tenant"].concat();
    let header = "content-type: application/x-protobuf\r\n";
    for (body, expected) in [(&body[..], "bad tenant"), (&body[..5], ""), (&[], "")] {
        let steps = [Step::Answer(answer("400 Bad Request", header, body))];
        let receiver = Receiver::start(steps).await;
        let otlp = Otlp::http().endpoint(&receiver.url()).unwrap();
        let (_, _, error, detail) = failing(told(otlp).await);
        assert_eq!((error, &*detail), (http(400), expected));
    }
}

#[tokio::test]
async fn a_page_of_a_wrong_port_is_told() {
    let page = b"<html>log in</html>";
    let steps = [Step::Answer(answer("200 OK", "content-type: text/html\r\n", page))];
    let receiver = Receiver::start(steps).await;
    let otlp = Otlp::http().endpoint(&receiver.url()).unwrap();
    let (_, _, error, detail) = failing(told(otlp).await);
    assert_eq!(error, ExportError::Permanent(Failure::Protocol));
    assert_eq!(detail, "<html>log in</html>");
}

#[tokio::test]
async fn the_message_of_a_grpc_status_is_told_as_it_was_meant() {
    // It travels percent-encoded.
    let refused = Err(tonic::Status::permission_denied("tenant “blue” is 100% unknown"));
    let (_official, otlp) = Official::start([refused], |service| service).await;
    let url = otlp.url();
    let (_, endpoint, error, detail) = failing(told(otlp).await);
    assert_eq!((endpoint, error), (url, ExportError::Permanent(Failure::Grpc(7))));
    assert_eq!(detail, "tenant “blue” is 100% unknown");
}

/// OTLP-11: 0 rejected and a message is a warning
/// ([Partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success-1)).
#[tokio::test]
async fn what_a_partial_success_says_is_told_also_when_nothing_was_rejected() {
    for rejected in [0, 1] {
        let body = explained(rejected, "the key `http.url` is deprecated").encode_to_vec();
        let header = "content-type: application/x-protobuf\r\n";
        let receiver = Receiver::start([Step::Answer(answer("200 OK", header, &body))]).await;
        let told_first = told(Otlp::http().endpoint(&receiver.url()).unwrap()).await;
        match told_first {
            Diagnostic::PartialSuccess { target, rejected: told, message } => {
                assert_eq!(told, rejected.unsigned_abs());
                assert_eq!(target.endpoint.as_deref(), Some(&*receiver.url()));
                assert_eq!(&*message, "the key `http.url` is deprecated");
            }
            other => panic!("{other:?}"),
        }
    }
    let warns = Ok(explained(0, "too old"));
    let (_official, otlp) = Official::start([warns], |service| service).await;
    match told(otlp).await {
        Diagnostic::PartialSuccess { rejected: 0, message, .. } => assert_eq!(&*message, "too old"),
        other => panic!("{other:?}"),
    }
}
