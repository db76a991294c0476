//! OTLP/HTTP.

use core::time::Duration;
use std::io::Read;

use flate2::read::GzDecoder;
use prost::Message;
use throughline_core::{Accepted, ExportError, Failure};
use throughline_otlp::{Compression, Connection, Otlp};
use throughline_runtime::Exporter;
use tokio::net::TcpListener;

use crate::raw::{Receiver, Step, answer};
use crate::runtime::Tokio;
use crate::{NOT_UNDERSTOOD, bytes, explained, partial, request, retry};

fn otlp(receiver: &Receiver) -> Otlp {
    Otlp::http().endpoint(&receiver.url()).unwrap()
}

fn connect(otlp: &Otlp) -> Connection<Tokio> {
    otlp.connect(&Tokio::new())
}

/// What a request becomes if it is answered so and the connection closed.
async fn answered(bytes_of_answer: &[u8]) -> Result<Accepted, ExportError> {
    let step = Step::AnswerAndClose(bytes_of_answer.to_vec());
    let receiver = Receiver::start([step]).await;
    connect(&otlp(&receiver)).send(&bytes(1)).await
}

fn ok() -> Step {
    Step::Answer(answer("200 OK", "", b""))
}

/// OTLP-9 ([User agent](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#user-agent)).
/// HTTP-3 ([Binary protobuf](https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding)).
#[tokio::test]
async fn a_request_arrives_as_the_specification_says() {
    let mut receiver = Receiver::start([ok()]).await;
    let otlp =
        otlp(&receiver).header("X-Tenant", "blue").unwrap().user_agent_prefix("shop/1.4").unwrap();
    let sent = connect(&otlp).send(&bytes(10)).await;
    assert_eq!(sent, Ok(Accepted { rejected: 0 }));

    let received = receiver.request().await;
    assert_eq!(received.line, "POST /v1/traces HTTP/1.1");
    let header = |name| received.headers.get(name).map(String::as_str);
    assert_eq!(header("host"), Some(&*receiver.address.to_string()));
    assert_eq!(header("content-type"), Some("application/x-protobuf"));
    assert_eq!(header("content-encoding"), None);
    assert_eq!(header("x-tenant"), Some("blue"));
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!("shop/1.4 OTel-OTLP-Exporter-Rust-throughline/{version}");
    assert_eq!(header("user-agent"), Some(&*agent));
    assert_eq!(Message::decode(&received.body[..]), Ok(request(10)), "the body is the request");
}

#[tokio::test]
async fn a_connection_is_kept_after_success_and_after_refusal() {
    let busy = Step::Answer(answer("503 Busy", "", b"later, please"));
    let mut receiver = Receiver::start([ok(), busy, ok()]).await;
    let mut connection = connect(&otlp(&receiver));
    assert!(connection.send(&bytes(1)).await.is_ok());
    assert!(connection.send(&bytes(2)).await.is_err());
    assert!(connection.send(&bytes(3)).await.is_ok());
    for length in 1..=3 {
        let request = receiver.request().await;
        assert_eq!(request.connection, 1);
        assert_eq!(request.body, bytes(length));
    }
}

#[tokio::test]
async fn a_partial_success_is_accepted_and_counted() {
    let body = partial(3).encode_to_vec();
    let type_ = "content-type: application/x-protobuf\r\n";
    let found = answered(&answer("200 OK", type_, &body)).await;
    assert_eq!(found, Ok(Accepted { rejected: 3 }));
}

/// HTTP-6 ([OTLP/HTTP throttling](https://opentelemetry.io/docs/specs/otlp/#otlphttp-throttling)).
#[tokio::test]
async fn throttling_gives_the_wait_in_seconds_or_from_a_date() {
    let found = answered(&answer("503 Busy", "retry-after: 7\r\n", b"")).await;
    let seconds = Some(Duration::from_secs(7));
    assert_eq!(found, Err(retry(Failure::Http(503), seconds)));

    let headers = "date: Sun, 06 Nov 1994 08:49:00 GMT\r\n\
                   retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let found = answered(&answer("429 Slow", headers, b"")).await;
    let seconds = Some(Duration::from_secs(37));
    assert_eq!(found, Err(retry(Failure::Http(429), seconds)));

    let found = answered(&answer("502 Bad", "", b"")).await;
    assert_eq!(found, Err(retry(Failure::Http(502), None)));
}

/// OTLP-12 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
#[tokio::test]
async fn other_refusals_are_permanent() {
    let too_large = answered(&answer("413 Large", "", b"")).await;
    assert_eq!(too_large, Err(ExportError::TooLarge));
    for status in [302, 400, 401, 404, 408, 500] {
        let found = answered(&answer(&format!("{status} No"), "", b"")).await;
        assert_eq!(found, Err(ExportError::Permanent(Failure::Http(status))));
    }
}

/// HTTP-7 ([All other responses](https://opentelemetry.io/docs/specs/otlp/#all-other-responses)).
#[tokio::test]
async fn an_answer_cut_off_anywhere_is_a_disconnection() {
    let type_ = "content-type: application/x-protobuf\r\n";
    let whole = answer("200 OK", type_, &partial(3).encode_to_vec());
    for cut in 0..whole.len() {
        let found = answered(&whole[..cut]).await;
        let expected = Err(retry(Failure::Disconnected, None));
        assert_eq!(found, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_refusal_counts_even_if_its_body_is_cut_off() {
    let mut refusal = answer("400 No", "", b"because");
    refusal.truncate(refusal.len() - 3);
    let found = answered(&refusal).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Http(400))));
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_permanent() {
    let protobuf = "content-type: application/x-protobuf\r\n";
    let html = "content-type: text/html; charset=utf-8\r\n";
    let unknown = "content-encoding: br\r\n";
    for answer in [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n".to_vec(),
        answer("200 OK", protobuf, b"\x0a\x05\x08"),
        answer("200 OK", html, b"<p>log in first"),
        answer("200 OK", unknown, b"\x0a\x00"),
        answer("200 OK", "content-encoding: gzip\r\n", b"no gzip"),
    ] {
        let found = answered(&answer).await;
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(found, Err(NOT_UNDERSTOOD), "{text}");
    }
}

#[tokio::test]
async fn json_is_taken_for_an_acceptance() {
    let json = "content-type: application/json\r\n";
    let found = answered(&answer("200 OK", json, b"{}")).await;
    assert_eq!(found, Ok(Accepted { rejected: 0 }));
}

/// OTLP-6 ([OTLP/HTTP response](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response)).
#[tokio::test]
async fn an_answer_over_the_limit_is_permanent() {
    // It could be read, were there no limit.
    let body = explained(3, &"m".repeat(1000)).encode_to_vec();
    let announced = answer("200 OK", "", &body);
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(64) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let packed = gzip(&body);
    assert!(packed.len() <= 100);
    let packed = answer("200 OK", "content-encoding: gzip\r\n", &packed);
    for answer in [announced, chunked, packed] {
        for (limit, expected) in
            [(body.len(), Ok(Accepted { rejected: 3 })), (body.len() - 1, Err(NOT_UNDERSTOOD))]
        {
            let receiver = Receiver::start([Step::Answer(answer.clone())]).await;
            let otlp = otlp(&receiver).max_response_bytes(limit).unwrap();
            assert_eq!(connect(&otlp).send(&bytes(1)).await, expected);
        }
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let body = gzip(&partial(5).encode_to_vec());
    let headers = "content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n";
    let found = answered(&answer("200 OK", headers, &body)).await;
    assert_eq!(found, Ok(Accepted { rejected: 5 }));
}

/// HTTP-4 ([OTLP/HTTP request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)).
#[tokio::test]
async fn a_compressed_request_can_be_read() {
    let mut receiver = Receiver::start([ok(), ok()]).await;
    let otlp = otlp(&receiver).compression(Compression::Gzip);
    let mut connection = connect(&otlp);
    for length in [1, 1_000_000] {
        assert!(connection.send(&bytes(length)).await.is_ok());
        let received = receiver.request().await;
        assert_eq!(received.headers["content-encoding"], "gzip");
        assert!(received.body.len() < 10_000);
        let mut body = Vec::new();
        let mut decoder = GzDecoder::new(&received.body[..]);
        decoder.read_to_end(&mut body).unwrap();
        assert_eq!(body, bytes(length));
    }
}

/// OTLP-5 ([OTLP/HTTP request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)).
#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let mut receiver = Receiver::start([ok()]).await;
    let length = bytes(100).len();
    let otlp = otlp(&receiver).max_request_bytes(length).unwrap();
    let mut connection = connect(&otlp);
    let too_large = connection.send(&bytes(101)).await;
    assert_eq!(too_large, Err(ExportError::TooLarge));
    assert!(!receiver.has_request());
    assert!(connection.send(&bytes(100)).await.is_ok());
}

/// OTLP-5 ([OTLP/HTTP request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)).
#[tokio::test]
async fn what_compression_makes_too_large_is_not_sent() {
    let mut receiver = Receiver::start([ok()]).await;
    let otlp = otlp(&receiver).compression(Compression::Gzip).max_request_bytes(10).unwrap();
    // Ten bytes, and no fewer with the frame around them.
    let sent = connect(&otlp).send(b"0123456789").await;
    assert_eq!(sent, Err(ExportError::TooLarge));
    assert!(!receiver.has_request());
}

/// HTTP-7 ([All other responses](https://opentelemetry.io/docs/specs/otlp/#all-other-responses)).
#[tokio::test]
async fn nobody_there_is_a_failed_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let otlp = Otlp::http().endpoint(&url).unwrap();
    let found = connect(&otlp).send(&bytes(1)).await;
    assert_eq!(found, Err(retry(Failure::Connect, None)));
}

// The clock is paused: it jumps to the timeout once nothing else can happen.
/// EXP-3 ([Export](https://opentelemetry.io/docs/specs/otel/trace/sdk/#exportbatch)).
#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_a_timeout_and_its_connection_is_closed() {
    let mut receiver = Receiver::start([Step::Hang]).await;
    let found = connect(&otlp(&receiver)).send(&bytes(1)).await;
    assert_eq!(found, Err(retry(Failure::Timeout, None)));
    receiver.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_reads_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let otlp = Otlp::http().endpoint(&url).unwrap();
    // More than the buffers of both sockets hold.
    let found = connect(&otlp).send(&bytes(32 << 20)).await;
    assert_eq!(found, Err(retry(Failure::Timeout, None)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_is_a_timeout_and_a_refusal_that_stops_is_a_refusal() {
    for (status, expected) in [
        ("200 OK", retry(Failure::Timeout, None)),
        ("404 No", ExportError::Permanent(Failure::Http(404))),
    ] {
        let mut stopped = answer(status, "", b"something");
        stopped.truncate(stopped.len() - 4);
        let mut receiver = Receiver::start([Step::Answer(stopped)]).await;
        let found = connect(&otlp(&receiver)).send(&bytes(1)).await;
        // If the clock jumped before the answer came, there was none.
        let early = retry(Failure::Timeout, None);
        assert!(found == Err(expected) || found == Err(early), "{found:?}");
        receiver.closed().await;
    }
}

#[tokio::test]
async fn a_transmission_given_up_closes_its_connection() {
    let mut receiver = Receiver::start([Step::Hang, ok()]).await;
    let mut connection = connect(&otlp(&receiver));
    let mut sending = connection.send(&bytes(1));
    tokio::select! {
        _ = receiver.request() => {}
        found = &mut sending => panic!("{found:?}"),
    }
    drop(sending);
    receiver.closed().await;
    assert!(connection.send(&bytes(2)).await.is_ok());
    assert_eq!(receiver.request().await.connection, 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_at_once() {
    let last = Step::AnswerAndClose(answer("200 OK", "", b""));
    // The second connection is closed when it is used for the second time.
    let steps = [last, ok(), Step::AnswerAndClose(Vec::new()), ok()];
    let mut receiver = Receiver::start(steps).await;
    let mut connection = connect(&otlp(&receiver));
    for length in 1..=3 {
        assert!(connection.send(&bytes(length)).await.is_ok());
    }
    for (connection, length) in [(1, 1), (2, 2), (2, 3), (3, 3)] {
        let request = receiver.request().await;
        assert_eq!(request.connection, connection);
        assert_eq!(request.body, bytes(length));
    }
}

#[tokio::test]
async fn the_connection_needs_no_task() {
    let receiver = Receiver::start([ok()]).await;
    let runtime = Tokio::new();
    let mut connection = otlp(&receiver).connect(&runtime);
    assert!(connection.send(&bytes(1)).await.is_ok());
    assert_eq!(runtime.tasks(), 0);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    flate2::read::GzEncoder::new(bytes, flate2::Compression::best())
        .read_to_end(&mut output)
        .unwrap();
    output
}
