//! What both services share: a server, and a span per request.

use core::pin::pin;
use core::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::channel::oneshot;
use futures::future::{Either, RemoteHandle, select};
use hyper::server::conn::http1;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use smol_hyper::rt::FuturesIo;
use throughline::propagation::Headers;
use throughline::{CurrentSpan, InSpanExt, StatusCode, Telemetry, span};

use crate::runtime::ServiceRuntime;

/// A service on a port of loopback, until it is told to stop.
pub(crate) struct Server {
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    task: RemoteHandle<()>,
}

impl Server {
    /// Serves the routes, whose spans go to the service's own pipeline.
    pub(crate) fn start<R: ServiceRuntime>(
        runtime: &R,
        routes: Router,
        telemetry: Telemetry,
    ) -> std::io::Result<Self> {
        let (listener, address) = runtime.listen()?;
        let routes = routes.layer(middleware::from_fn(move |request, next| {
            let telemetry = telemetry.clone();
            async move { traced(&telemetry, request, next).await }
        }));
        let (stop, stopped) = oneshot::channel();
        let task = runtime.task(serve(runtime.clone(), listener, routes, stopped));
        Ok(Server { url: format!("http://{address}"), stop, task })
    }

    /// Takes no more requests, and waits for those under way.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await;
    }
}

/// Serves each connection in a task of its own until the server is told to stop.
async fn serve<R: ServiceRuntime>(
    runtime: R,
    listener: R::Listener,
    routes: Router,
    mut stopped: oneshot::Receiver<()>,
) {
    let under_way = GracefulShutdown::new();
    loop {
        let stream = match select(&mut stopped, pin!(R::accept(&listener))).await {
            Either::Left(_) => break,
            Either::Right((Ok(stream), _)) => stream,
            Either::Right((Err(_), _)) => {
                // Too many open files, mostly, which passes.
                runtime.sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone());
        let connection = http1::Builder::new().serve_connection(FuturesIo::new(stream), service);
        let connection = under_way.watch(connection);
        runtime.start(async move {
            // A caller that goes away is no error of the server.
            let _ = connection.await;
        });
    }
    under_way.shutdown().await;
}

/// Continues the caller's trace for the time of the request. When the caller
/// goes away, the server drops this future, and the span ends as cancelled.
async fn traced(telemetry: &Telemetry, request: Request, next: Next) -> Response {
    let incoming = throughline::extract(&Headers(request.headers()));
    let incoming = incoming.with_pipeline(telemetry.pipeline());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = route.unwrap_or("/").to_owned();
    let mut span = span!(
        parent: &incoming,
        kind: Server,
        "GET",
        http.request.method = request.method().as_str(),
        http.route = &route,
        url.path = request.uri().path(),
    );
    span.update_name(&format!("GET {route}"));
    async move {
        let response = next.run(request).await;
        CurrentSpan::set_attribute("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            CurrentSpan::set_attribute("error.type", response.status().as_str());
            CurrentSpan::set_status(StatusCode::Error, "");
        }
        response
    }
    .in_span(span)
    .await
}
