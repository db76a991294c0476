//! OTLP/gRPC.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::http::response::Builder;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use throughline_core::{Accepted, ExportError, Failure};
use throughline_otlp::{Compression, Connection, Otlp};
use throughline_runtime::Exporter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

use crate::runtime::Tokio;
use crate::{NOT_UNDERSTOOD, bytes, explained, partial, request, retry};

pub(crate) type Answer = Result<ExportTraceServiceResponse, Status>;
pub(crate) type Seen = (HeaderMap, ExportTraceServiceRequest);

/// The official service, with answers prepared.
#[derive(Clone, Default)]
pub(crate) struct Official {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    peers: Arc<Mutex<Vec<Option<SocketAddr>>>>,
}

#[tonic::async_trait]
impl TraceService for Official {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.peers.lock().unwrap().push(request.remote_addr());
        let (metadata, _, message) = request.into_parts();
        let seen = (metadata.into_headers(), message);
        self.seen.lock().unwrap().push(seen);
        let answer = self.answers.lock().unwrap().pop_front();
        answer.expect("an answer for each request").map(tonic::Response::new)
    }
}

impl Official {
    pub(crate) async fn start(
        answers: impl IntoIterator<Item = Answer>,
        configure: fn(TraceServiceServer<Self>) -> TraceServiceServer<Self>,
    ) -> (Self, Otlp) {
        let official = Official::default();
        official.answers.lock().unwrap().extend(answers);
        let service = configure(TraceServiceServer::new(official.clone()));
        let (listener, otlp) = listen().await;
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (official, otlp)
    }
}

pub(crate) async fn listen() -> (TcpListener, Otlp) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, Otlp::grpc().endpoint(&url).unwrap())
}

fn connect(otlp: &Otlp) -> Connection<Tokio> {
    otlp.connect(&Tokio::new())
}

pub(crate) fn accepted() -> Answer {
    Ok(ExportTraceServiceResponse::default())
}

/// What becomes of a request that the official service answers so.
async fn answered(answer: Answer) -> Result<Accepted, ExportError> {
    let (_, otlp) = Official::start([answer], |service| service).await;
    connect(&otlp).send(&bytes(1)).await
}

/// A status with a `RetryInfo` of so many milliseconds, as another service would
/// encode it.
fn throttled(code: Code, millis: u64) -> Status {
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes, tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, tag = "1")]
        retry_delay: Option<Delay>,
    }
    let info = RetryInfo {
        retry_delay: Some(Delay {
            seconds: i64::try_from(millis / 1000).unwrap(),
            nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap(),
        }),
    };
    let other = Any {
        type_url: "type.googleapis.com/google.rpc.DebugInfo".to_owned(),
        value: vec![0xff; 3],
    };
    let retry = Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: info.encode_to_vec(),
    };
    let status =
        RpcStatus { code: code.into(), message: "later".to_owned(), details: vec![other, retry] };
    Status::with_details(code, "later", status.encode_to_vec().into())
}

#[tokio::test]
async fn the_official_service_understands_a_request() {
    let (official, otlp) = Official::start([accepted(), accepted()], |service| service).await;
    let otlp = otlp.header("x-tenant", "blue").unwrap();
    let mut connection = connect(&otlp);
    // Larger than the windows of HTTP/2.
    for length in [10, 1_000_000] {
        let sent = connection.send(&bytes(length)).await;
        assert_eq!(sent, Ok(Accepted { rejected: 0 }));
        let (headers, message) = official.seen.lock().unwrap().remove(0);
        assert!(message == request(length), "the message is the request");
        assert_eq!(headers["x-tenant"], "blue");
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["grpc-timeout"], "10000m");
        let agent = concat!("OTel-OTLP-Exporter-Rust-throughline/", env!("CARGO_PKG_VERSION"));
        assert_eq!(headers["user-agent"], agent);
    }
    let peers = official.peers.lock().unwrap();
    assert_eq!(peers[0], peers[1], "the connection was kept");
}

#[tokio::test]
async fn a_partial_success_is_accepted_and_counted() {
    let found = answered(Ok(partial(3))).await;
    assert_eq!(found, Ok(Accepted { rejected: 3 }));
}

/// GRPC-5 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
#[tokio::test]
async fn exhaustion_is_repeated_only_if_the_service_says_when() {
    let found = answered(Err(throttled(Code::ResourceExhausted, 2500))).await;
    let after = Some(Duration::from_millis(2500));
    assert_eq!(found, Err(retry(Failure::Grpc(8), after)));
    let found = answered(Err(Status::resource_exhausted("quota"))).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Grpc(8))));
}

/// GRPC-6 ([OTLP/gRPC throttling](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling)).
#[tokio::test]
async fn an_unavailable_service_is_asked_again_and_may_say_when() {
    let found = answered(Err(throttled(Code::Unavailable, 70_000))).await;
    let after = Some(Duration::from_secs(70));
    assert_eq!(found, Err(retry(Failure::Grpc(14), after)));
    let found = answered(Err(Status::unavailable("soon"))).await;
    assert_eq!(found, Err(retry(Failure::Grpc(14), None)));
}

#[tokio::test]
async fn a_refusal_is_permanent_and_keeps_the_connection() {
    let refusal = Err(Status::permission_denied("no"));
    let answers = [refusal, accepted()];
    let (official, otlp) = Official::start(answers, |service| service).await;
    let mut connection = connect(&otlp);
    let found = connection.send(&bytes(1)).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Grpc(7))));
    assert!(connection.send(&bytes(1)).await.is_ok());
    let peers = official.peers.lock().unwrap();
    assert_eq!(peers[0], peers[1]);
}

/// HTTP-4 ([OTLP/HTTP request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)).
#[tokio::test]
async fn a_compressed_request_can_be_read() {
    let (official, otlp) = Official::start([accepted(), accepted()], |service| {
        service.accept_compressed(CompressionEncoding::Gzip)
    })
    .await;
    let mut connection = connect(&otlp.compression(Compression::Gzip));
    for length in [1, 1_000_000] {
        assert!(connection.send(&bytes(length)).await.is_ok());
        let (_, message) = official.seen.lock().unwrap().remove(0);
        assert!(message == request(length), "the message is the request");
    }
}

#[tokio::test]
async fn a_message_over_the_services_limit_is_too_large() {
    let (_, otlp) = Official::start([], |service| service.max_decoding_message_size(100)).await;
    let found = connect(&otlp).send(&bytes(1000)).await;
    assert_eq!(found, Err(ExportError::TooLarge));
}

/// OTLP-5 ([OTLP/HTTP request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request)).
#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let (official, otlp) = Official::start([accepted()], |service| service).await;
    let length = bytes(100).len();
    let mut connection = connect(&otlp.max_request_bytes(length).unwrap());
    let found = connection.send(&bytes(101)).await;
    assert_eq!(found, Err(ExportError::TooLarge));
    assert!(official.seen.lock().unwrap().is_empty());
    assert!(connection.send(&bytes(100)).await.is_ok());
}

/// HTTP-7 ([All other responses](https://opentelemetry.io/docs/specs/otlp/#all-other-responses)).
#[tokio::test]
async fn nobody_there_is_a_failed_connection() {
    let (listener, otlp) = listen().await;
    drop(listener);
    let found = connect(&otlp).send(&bytes(1)).await;
    assert_eq!(found, Err(retry(Failure::Connect, None)));
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_a_disconnection() {
    let (listener, otlp) = listen().await;
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let found = connect(&otlp).send(&bytes(1)).await;
    assert_eq!(found, Err(retry(Failure::Disconnected, None)));
}

// The clock is paused: it jumps to the timeout once nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_is_a_timeout_and_leaves_no_task_behind() {
    let (_listener, otlp) = listen().await;
    let runtime = Tokio::new();
    let mut connection = otlp.connect(&runtime);
    for length in [1, 32 << 20] {
        let found = connection.send(&bytes(length)).await;
        assert_eq!(found, Err(retry(Failure::Timeout, None)));
        runtime.no_tasks().await;
    }
}

#[tokio::test]
async fn a_service_that_never_reads_is_a_timeout_and_leaves_no_task_behind() {
    // Windows as large as they can be, so that only the sockets' buffers limit
    // what is written; and these are full when the exporter gives up.
    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff";
    const WINDOW_UPDATE: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";
    let (listener, otlp) = listen().await;
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(SETTINGS).await.unwrap();
        stream.write_all(WINDOW_UPDATE).await.unwrap();
        stream
    });
    let runtime = Tokio::new();
    let otlp = otlp.timeout(Duration::from_millis(500));
    let found = otlp.connect(&runtime).send(&bytes(32 << 20)).await;
    assert_eq!(found, Err(retry(Failure::Timeout, None)));
    runtime.no_tasks().await;
    drop(peer.await.unwrap());
}

#[tokio::test]
async fn a_dropped_exporter_leaves_no_task_behind() {
    let (_, otlp) = Official::start([accepted()], |service| service).await;
    let runtime = Tokio::new();
    let mut connection = otlp.connect(&runtime);
    assert!(connection.send(&bytes(1)).await.is_ok());
    assert!(runtime.tasks() > 0);
    drop(connection);
    runtime.no_tasks().await;
}

/// What becomes of a request that is answered so, over HTTP/2 but by no gRPC
/// library.
async fn answered_raw(
    answer: fn() -> Builder,
    frames: Vec<Frame<Bytes>>,
    max_bytes: usize,
) -> Result<Accepted, ExportError> {
    let (listener, otlp) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, answer, frames).await;
    });
    let otlp = otlp.max_response_bytes(max_bytes).unwrap();
    connect(&otlp).send(&bytes(1)).await
}

/// Answers each request on the stream so, over HTTP/2.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    answer: fn() -> Builder,
    frames: Vec<Frame<Bytes>>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let frames: Vec<_> = frames.iter().map(copy).map(Ok).collect();
        async move {
            request.into_body().collect().await.unwrap();
            let body = match frames.is_empty() {
                true => Full::default().boxed(),
                false => BodyExt::boxed(StreamBody::new(tokio_stream::iter(frames))),
            };
            Ok::<_, Infallible>(answer().body(body).unwrap())
        }
    });
    // It fails when the exporter is done and hangs up.
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (_, trailers) => Frame::trailers(trailers.cloned().unwrap_or_default()),
    }
}

pub(crate) fn plain() -> Builder {
    hyper::Response::builder().header("content-type", "application/grpc")
}

pub(crate) fn data(bytes: &[u8]) -> Frame<Bytes> {
    Frame::data(Bytes::copy_from_slice(bytes))
}

fn trailers(pairs: &[(&'static str, &'static str)]) -> Frame<Bytes> {
    let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Frame::trailers(HeaderMap::from_iter(pairs))
}

pub(crate) fn done() -> Frame<Bytes> {
    trailers(&[("grpc-status", "0")])
}

#[tokio::test]
async fn a_message_in_pieces_is_read() {
    let frames = vec![data(&[0, 0]), data(&[0, 0, 4, 0x0a, 2]), data(&[8, 9]), done()];
    let found = answered_raw(plain, frames, 4).await;
    assert_eq!(found, Ok(Accepted { rejected: 9 }));
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_permanent() {
    let cases: [(&str, Vec<Frame<Bytes>>); 9] = [
        ("nothing at all", vec![]),
        ("no trailers", vec![data(&[0, 0, 0, 0, 0])]),
        ("trailers without a status", vec![data(&[0, 0, 0, 0, 0]), trailers(&[])]),
        ("no message", vec![done()]),
        ("half a prefix", vec![data(&[0, 0]), done()]),
        ("half a message", vec![data(&[0, 0, 0, 0, 4, 0x0a, 0]), done()]),
        ("more than one message", vec![data(&[0, 0, 0, 0, 0, 0x0a, 0]), done()]),
        ("compressed by nobody knows what", vec![data(&[1, 0, 0, 0, 0]), done()]),
        ("no protobuf", vec![data(&[0, 0, 0, 0, 1, 0x0a]), done()]),
    ];
    for (name, frames) in cases {
        let found = answered_raw(plain, frames, 1000).await;
        assert_eq!(found, Err(NOT_UNDERSTOOD), "{name}");
    }
}

/// OTLP-6 ([OTLP/HTTP response](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response)).
#[tokio::test]
async fn an_answer_over_the_limit_is_permanent() {
    // It could be read, were there no limit.
    let message = explained(3, &"m".repeat(100)).encode_to_vec();
    let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    body.extend(&message);
    let frames = || vec![data(&body), done()];
    let found = answered_raw(plain, frames(), message.len()).await;
    assert_eq!(found, Ok(Accepted { rejected: 3 }));
    let found = answered_raw(plain, frames(), message.len() - 1).await;
    assert_eq!(found, Err(NOT_UNDERSTOOD));
}

#[tokio::test]
async fn a_status_that_is_garbage_does_no_harm() {
    let garbage = [
        ("grpc-status", "8"),
        ("grpc-message", "%%%zz"),
        ("grpc-status-details-bin", "!!! no base64"),
    ];
    let found = answered_raw(plain, vec![trailers(&garbage)], 100).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Grpc(8))));
    let found = answered_raw(plain, vec![trailers(&[("grpc-status", "many")])], 100).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Grpc(2))));
}

#[tokio::test]
async fn a_proxy_that_answers_is_classified_by_its_http_status() {
    fn busy() -> Builder {
        hyper::Response::builder().status(503).header("retry-after", "4")
    }
    fn missing() -> Builder {
        hyper::Response::builder().status(404)
    }
    let found = answered_raw(busy, vec![], 100).await;
    let after = Some(Duration::from_secs(4));
    assert_eq!(found, Err(retry(Failure::Http(503), after)));
    let found = answered_raw(missing, vec![], 100).await;
    assert_eq!(found, Err(ExportError::Permanent(Failure::Http(404))));
}
