//! A receiver of OTLP on the loopback interface that fails as it is told to.
//!
//! It is written once for HTTP and gRPC and runs on a thread of its own, so that
//! it answers whatever state the program under test is in.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::pin;
use core::sync::atomic::{AtomicU16, Ordering};
use core::task::Poll;
use std::collections::VecDeque;
use std::net::TcpStream as Filler;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use futures::channel::oneshot;
use futures::future::{pending, select};
use futures::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use throughline::SpanId;
use throughline::exporters::{Otlp, Protocol};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::places::tokio_runtime;

/// What a receiver does to a request, or to whoever wants to send one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: it takes the spans.
    Nothing,
    /// It takes the spans but for so many of each request, in a partial success.
    TakesAllBut(usize),
    /// HTTP status 503 or gRPC's UNAVAILABLE, to be tried again after so many
    /// seconds.
    Unavailable {
        /// `Retry-After` or `RetryInfo`.
        retry_after: Option<u32>,
    },
    /// HTTP status 429 or gRPC's RESOURCE_EXHAUSTED.
    Exhausted {
        /// `Retry-After` or `RetryInfo`.
        retry_after: Option<u32>,
    },
    /// HTTP status 403 or gRPC's PERMISSION_DENIED.
    Forbids,
    /// It refuses requests of more spans than that for their size.
    TakesAtMost(usize),
    /// It takes the spans, and the connection ends in the middle of the answer.
    CutsOff,
    /// It reads the request and never answers.
    Hangs,
    /// It closes each connection at once.
    HangsUp,
    /// Nobody listens.
    IsAbsent,
    /// Nothing ever comes back, not even that there is a connection.
    IsBlackHole,
}

/// A receiver on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    protocol: Protocol,
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    _stop: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Log {
    script: VecDeque<Fault>,
    requests: usize,
    spans: Vec<SpanId>,
}

impl Receiver {
    /// A receiver whose requests meet these faults in turn, the last of them for
    /// ever. A fault that is met before there is a request stays for ever.
    ///
    /// # Panics
    ///
    /// If the operating system has no socket or thread.
    pub fn start(protocol: Protocol, script: impl IntoIterator<Item = Fault>) -> Self {
        let script: VecDeque<Fault> = script.into_iter().collect();
        let first = *script.front().expect("a fault");
        let log = Arc::new(Mutex::new(Log { script, ..Log::default() }));
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = std::sync::mpsc::channel();
        let shared = log.clone();
        std::thread::spawn(move || {
            tokio_runtime(0).block_on(async move {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(SocketAddr::from((own_loopback(), 0))).expect("a port");
                let address = socket.local_addr().expect("it is bound");
                let serving = async {
                    match first {
                        // The port is taken, and connecting to it fails.
                        Fault::IsAbsent => {
                            tell.send(address).expect("somebody waits");
                            pending::<()>().await;
                        }
                        Fault::IsBlackHole => {
                            let _full = fill(socket, address);
                            tell.send(address).expect("somebody waits");
                            pending::<()>().await;
                        }
                        _ => {
                            let listener = socket.listen(1_024).expect("it is bound");
                            tell.send(address).expect("somebody waits");
                            serve(listener, shared).await;
                        }
                    }
                };
                select(Box::pin(serving), stopped).await;
            });
        });
        let address = address.recv().expect("the thread tells it");
        Receiver { protocol, address, log, _stop: stop }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let path = if self.protocol == Protocol::Grpc { "" } else { "/v1/traces" };
        format!("http://{}{path}", self.address)
    }

    /// An exporter to it.
    pub fn exporter(&self) -> Otlp {
        let otlp = if self.protocol == Protocol::Grpc { Otlp::grpc() } else { Otlp::http() };
        otlp.endpoint(&self.url()).expect("a URL")
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        lock(&self.log).requests
    }

    /// The spans that it took, in their order.
    pub fn spans(&self) -> Vec<SpanId> {
        lock(&self.log).spans.clone()
    }
}

/// An address of its own for each receiver, where loopback has many: an exporter that
/// outlives its receiver must not find another test's at the port that became free.
fn own_loopback() -> [u8; 4] {
    static RECEIVERS: AtomicU16 = AtomicU16::new(0);
    if !cfg!(target_os = "linux") {
        return [127, 0, 0, 1];
    }
    // Ordering: Relaxed, nothing is read through it.
    let [high, low] = RECEIVERS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    [127, 128 | std::process::id() as u8, high, low]
}

/// A listener whose queue of connections is full, and what fills it. The kernel
/// answers no further connection (Linux), or takes a few more that nobody ever
/// accepts.
fn fill(socket: TcpSocket, address: SocketAddr) -> (TcpListener, Filler) {
    let listener = socket.listen(0).expect("it is bound");
    (listener, Filler::connect(address).expect("the queue has room for one"))
}

async fn serve(listener: TcpListener, log: Arc<Mutex<Log>>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        if lock(&log).script.front() != Some(&Fault::HangsUp) {
            tokio::spawn(converse(stream, log.clone()));
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, log: Arc<Mutex<Log>>) {
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request: Request<Incoming>| {
        let (log, cut) = (log.clone(), cut.clone());
        async move { Ok::<_, Infallible>(respond(request, &log, cut).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // It ends when the exporter hangs up; what was cut is dropped, half-way.
    select(pin!(cut.notified()), pin!(connection)).await;
}

type Body = BoxBody<Bytes, Infallible>;

async fn respond(request: Request<Incoming>, log: &Mutex<Log>, cut: Arc<Notify>) -> Response<Body> {
    let wire = Wire {
        grpc: request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/grpc"),
    };
    let Ok(body) = request.into_body().collect().await else {
        return wire.refuse(StatusCode::BAD_REQUEST, 13, "", None);
    };
    let body = body.to_bytes();
    let message = if wire.grpc { &body[5..] } else { &body[..] };
    let message = ExportTraceServiceRequest::decode(message).expect("a request of the exporter");
    let spans: Vec<SpanId> = message
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .map(|span| SpanId::from_bytes(span.span_id[..].try_into().expect("eight bytes")))
        .collect();
    let fault = lock(log).next();
    let take = |spans: &[SpanId]| lock(log).spans.extend(spans);
    match fault {
        Fault::Nothing => {
            take(&spans);
            wire.accept(0)
        }
        Fault::TakesAllBut(rejected) => {
            take(&spans[rejected..]);
            wire.accept(rejected)
        }
        Fault::Unavailable { retry_after } => {
            wire.refuse(StatusCode::SERVICE_UNAVAILABLE, 14, "later", retry_after)
        }
        Fault::Exhausted { retry_after } => {
            wire.refuse(StatusCode::TOO_MANY_REQUESTS, 8, "quota", retry_after)
        }
        Fault::Forbids => wire.refuse(StatusCode::FORBIDDEN, 7, "no", None),
        Fault::TakesAtMost(most) if spans.len() > most => {
            let text = "grpc: received message larger than max (2 vs. 1)";
            wire.refuse(StatusCode::PAYLOAD_TOO_LARGE, 8, text, None)
        }
        Fault::TakesAtMost(_) => {
            take(&spans);
            wire.accept(0)
        }
        Fault::CutsOff => {
            take(&spans);
            wire.half_an_answer(cut)
        }
        Fault::Hangs | Fault::HangsUp | Fault::IsAbsent | Fault::IsBlackHole => pending().await,
    }
}

impl Log {
    fn next(&mut self) -> Fault {
        self.requests += 1;
        if self.script.len() > 1 {
            self.script.pop_front().expect("there are two")
        } else {
            self.script[0]
        }
    }
}

/// How answers are written.
#[derive(Clone, Copy)]
struct Wire {
    grpc: bool,
}

impl Wire {
    fn accept(self, rejected: usize) -> Response<Body> {
        let mut frames = vec![Frame::data(self.message(rejected))];
        if self.grpc {
            frames.push(Frame::trailers(headers(&[("grpc-status", "0")])));
        }
        self.head(body(stream::iter(frames)))
    }

    /// The head and a part of the body, and when these have left the connection
    /// is cut.
    fn half_an_answer(self, cut: Arc<Notify>) -> Response<Body> {
        let message = self.message(1_000);
        let part = Frame::data(message.slice(..message.len() - 1));
        let mut polled = false;
        let end = stream::poll_fn(move |context| {
            // What is pending leaves between two polls.
            if polled {
                cut.notify_one();
            } else {
                polled = true;
                context.waker().wake_by_ref();
            }
            Poll::Pending
        });
        let mut response = self.head(body(stream::iter([part]).chain(end)));
        if !self.grpc {
            response.headers_mut().insert("content-length", message.len().into());
        }
        response
    }

    fn refuse(
        self,
        http: StatusCode,
        grpc: u8,
        text: &str,
        retry_after: Option<u32>,
    ) -> Response<Body> {
        let mut response = self.head(body(stream::empty()));
        if self.grpc {
            let trailers = [("grpc-status", &*grpc.to_string()), ("grpc-message", text)];
            response.headers_mut().extend(headers(&trailers));
            if let Some(seconds) = retry_after {
                let details = base64::engine::general_purpose::STANDARD_NO_PAD
                    .encode(status_with_retry_info(grpc, seconds));
                let details = headers(&[("grpc-status-details-bin", &details)]);
                response.headers_mut().extend(details);
            }
        } else {
            *response.status_mut() = http;
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
        }
        response
    }

    fn head(self, body: Body) -> Response<Body> {
        let kind = if self.grpc { "application/grpc" } else { "application/x-protobuf" };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    fn message(self, rejected: usize) -> Bytes {
        let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: rejected as i64,
            error_message: "too many".to_owned(),
        });
        let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        if !self.grpc {
            return message.into();
        }
        let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
        [&[0], &length[..], &message].concat().into()
    }
}

fn body(frames: impl futures::Stream<Item = Frame<Bytes>> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(frames.map(Ok)))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    pairs.iter().map(header).collect()
}

/// A `google.rpc.Status` whose details are a `google.rpc.RetryInfo`.
fn status_with_retry_info(code: u8, seconds: u32) -> Vec<u8> {
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(message, optional, tag = "2")]
        value: Option<RetryInfo>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Seconds>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Seconds {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }
    let retry_delay = Some(Seconds { seconds: seconds.into() });
    let info = Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        // On the wire a message and the bytes of one look the same.
        value: Some(RetryInfo { retry_delay }),
    };
    Status { code: code.into(), details: vec![info] }.encode_to_vec()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
