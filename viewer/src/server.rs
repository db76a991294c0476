//! Sockets, connections and requests, until told to stop.
//!
//! Both ports understand both protocols, told apart by the request itself: the
//! most common mistake with OTLP is the right address with the wrong port.

use core::convert::Infallible;
use core::time::Duration;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;

use crate::grpc::{self, Grpc};
use crate::http::{self, BODY_TIMEOUT};
use crate::{Store, ViewerConfig};

/// Serves both listeners until `stop` resolves, then finishes what is being
/// received, for as long as the configuration grants.
pub(crate) async fn serve(
    listeners: [StdListener; 2],
    store: Arc<Store>,
    config: ViewerConfig,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let [grpc, http] = listeners.map(TcpListener::from_std);
    let (grpc, http) = (grpc?, http?);
    let receiver = Arc::new(Receiver {
        grpc: grpc::service(Arc::clone(&store), config.max_body_bytes),
        store,
        max_body_bytes: config.max_body_bytes,
        requests: Semaphore::new(MAX_REQUESTS),
    });
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        loop {
            // The permit comes first: what cannot be served waits in the backlog.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = grpc.accept() => accepted,
                accepted = http.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection =
                        serve_connection(stream, Arc::clone(&receiver), graceful.watcher(), permit);
                    tokio::spawn(connection);
                }
                // The peer is gone already, or there are no descriptors left: in
                // the latter case an immediate retry would spin.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stop => {}
    }
    drop((grpc, http));
    // A client that is idle, or blocked in the same process, never says goodbye;
    // only requests are worth waiting for.
    let nothing_left = async {
        let _all = receiver.requests.acquire_many(MAX_REQUESTS as u32).await;
        tokio::time::sleep(ANSWER_PAUSE).await;
    };
    let finish = async {
        tokio::select! {
            () = graceful.shutdown() => {}
            () = nothing_left => {}
        }
    };
    // What does not finish in time is cut off with the runtime.
    let _ = tokio::time::timeout(config.grace, finish).await;
    Ok(())
}

async fn serve_connection(
    stream: TcpStream,
    receiver: Arc<Receiver>,
    watcher: Watcher,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let service = service_fn(move |request| {
        let receiver = Arc::clone(&receiver);
        async move { Ok::<_, Infallible>(receiver.answer(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // A connection that breaks has nobody left to tell.
    let _ = watcher.watch(connection.into_owned()).await;
}

/// What answers requests; one for all connections.
struct Receiver {
    store: Arc<Store>,
    grpc: Grpc,
    max_body_bytes: usize,
    /// Requests that may hold a body in memory.
    requests: Semaphore,
}

impl Receiver {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        // Never closed, so the permit always comes.
        let _permit = self.requests.acquire().await;
        let kind = request.headers().get(CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if !is_grpc {
            return http::answer(&self.store, request, self.max_body_bytes).await;
        }
        let answer = self.grpc.clone().call(request);
        match tokio::time::timeout(BODY_TIMEOUT, answer).await {
            Ok(Ok(response)) => response,
            Err(_) => Status::deadline_exceeded("the request took too long").into_http(),
        }
    }
}

/// Connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 128;
/// Requests in memory at a time: this many bodies of the largest size bound the
/// receiver's memory.
const MAX_REQUESTS: usize = 16;
/// Requests on one connection at a time.
const MAX_STREAMS: u32 = 32;
/// A batch of a thousand spans fits without waiting for the window to open.
const WINDOW_BYTES: u32 = 1 << 20;
/// How long a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last answers may take to leave.
const ANSWER_PAUSE: Duration = Duration::from_millis(50);
/// How long nothing is accepted after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
