//! Servers of axum and of tonic, whose tasks nobody of ours starts: with the runtime's task
//! hooks, the pipeline and the context are there all the same.
#![cfg(tokio_unstable)]

use core::future::Future;

use axum::Router;
use axum::extract::MatchedPath;
use axum::routing::get;
use hyper::http::Uri;
use hyper_util::rt::TokioIo;
use throughline::exporters::Memory;
use throughline::propagation::{Standard, preset_global};
use throughline::tokio::BuilderExt;
use throughline::tower::{ClientLayer, ServerLayer};
use throughline::{InSpanExt, SpawnPolicy, Telemetry, Tokio, span};
use throughline_tests::conformance::DEADLINE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, service_fn};

struct Stage {
    runtime: Runtime,
    telemetry: Telemetry,
    memory: Memory,
}

impl Stage {
    /// Of each flavour. What this file starts is a child of what starts it; what libraries
    /// start links back.
    fn each() -> impl Iterator<Item = Stage> {
        [Builder::new_current_thread(), Builder::new_multi_thread()].into_iter().map(
            |mut builder| {
                builder.enable_all().carry_context(|task| {
                    let is_own = task.spawned_at().file().ends_with("tokio_hooks_servers.rs");
                    if is_own { SpawnPolicy::Child } else { SpawnPolicy::Linked }
                });
                let (runtime, memory) = (builder.build().expect("a runtime"), Memory::new());
                let tokio = Tokio::new(runtime.handle().clone());
                let settings = throughline::builder().long_poll(None);
                let telemetry = settings.start(tokio, memory.clone());
                Stage { runtime, telemetry, memory }
            },
        )
    }

    /// In a pipeline that is not the default one: spans are found only where the context
    /// went.
    fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future.with_context(self.telemetry.context()))
    }

    fn finish(&self) -> &Memory {
        let receipt = self.runtime.block_on(self.telemetry.shutdown(DEADLINE));
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
        &self.memory
    }
}

/// Work that a handler starts as it would without throughline.
fn start_background() -> tokio::task::JoinHandle<()> {
    tokio::spawn(async {
        tokio::task::yield_now().await;
        span!("background").end();
    })
}

async fn order() -> &'static str {
    start_background().await.expect("no panic");
    span!("load").in_scope(|| "done")
}

#[test]
fn requests_to_axum_are_spans_with_all_that_their_handlers_start() {
    for stage in Stage::each() {
        stage.run(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let layer = ServerLayer::new()
                .route(|request| request.extensions.get().map(MatchedPath::as_str));
            let routes = Router::new().route("/orders/{id}", get(order)).layer(layer);
            let (stop, stopped) = oneshot::channel::<()>();
            let serving =
                axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
            let server = span!("start").in_scope(|| tokio::spawn(serving.into_future()));

            // Both requests come over one connection.
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let get = |more| format!("GET /orders/7 HTTP/1.1\r\nHost: shop\r\n{more}\r\n");
            let requests = get("") + &get("Connection: close\r\n");
            stream.write_all(requests.as_bytes()).await.expect("it reads");
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.expect("answers");
            assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
            let _ = stop.send(());
            server.await.expect("no panic").expect("it stops");
        });
        let memory = stage.finish();
        memory.assert_tree(
            "
            start
            GET /orders/{id}
              background
              load
            GET /orders/{id}
              background
              load
            ",
        );
        // A connection outlives requests: none of them is in the trace of what opened it.
        let traces = memory.spans().into_iter().filter(|span| !span.parent_span_id.is_valid());
        let mut traces: Vec<_> = traces.map(|span| span.trace_id).collect();
        traces.dedup();
        assert_eq!(traces.len(), 3);
    }
}

#[test]
fn calls_to_tonic_are_one_tree_on_both_sides_and_their_connection_is_apart() {
    // Other tests of this process may have set it.
    preset_global(Standard);
    for stage in Stage::each() {
        stage.run(async {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address"));
            let incoming = incoming.expect("a free port");
            let address = incoming.local_addr().expect("an address");
            let (_, health) = tonic_health::server::health_reporter();
            let (tell, mut background) = mpsc::unbounded_channel();
            let health = InterceptedService::new(health, move |request| {
                span!("handled").end();
                tell.send(start_background()).expect("the test waits for it");
                Ok(request)
            });
            let (stop, stopped) = oneshot::channel::<()>();
            let serving = Server::builder()
                .layer(ServerLayer::new())
                .add_service(health)
                .serve_with_incoming_shutdown(incoming, async { drop(stopped.await) });
            let server = tokio::spawn(serving);

            let connect = service_fn(move |_: Uri| async move {
                span!("connect").end();
                TcpStream::connect(address).await.map(TokioIo::new)
            });
            let check = |mut client: HealthClient<_>| async move {
                client.check(HealthCheckRequest::default()).await.expect("it serves");
            };
            let client = async {
                let channel = Endpoint::from_static("http://shop");
                let channel = channel.connect_with_connector_lazy(connect);
                let client = HealthClient::new(ClientLayer.layer(channel));
                check(client.clone()).await;
                client
            };
            let client = client.in_span(span!("first")).await;
            check(client.clone()).in_span(span!("second")).await;
            drop(client);
            let _ = stop.send(());
            server.await.expect("no panic").expect("it stops");
            while let Some(task) = background.recv().await {
                task.await.expect("no panic");
            }
        });
        let memory = stage.finish();
        let [first, second] = ["first", "second"].map(|name| memory.span(name));
        let spans = memory.spans();
        for root in [&first, &second] {
            let count = |name: &str| {
                let is_here = |span: &&throughline::exporters::CapturedSpan| {
                    span.name == name && span.trace_id == root.trace_id
                };
                spans.iter().filter(is_here).count()
            };
            assert_eq!(count("grpc.health.v1.Health/Check"), 2, "client and server");
            assert_eq!((count("handled"), count("background")), (1, 1), "{}", memory.tree());
            assert_eq!(count("connect"), 0, "the connection is nobody's");
        }
        // It was opened for the first.
        let links = memory.span("connect").links;
        assert_eq!(links.iter().map(|link| link.trace_id()).collect::<Vec<_>>(), [first.trace_id]);
    }
}
