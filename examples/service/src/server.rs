//! What both services share: a server span per request.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use throughline::{CurrentSpan, InSpanExt, StatusCode, Telemetry, span};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wire::Headers;

/// A service on a port of loopback, until it is told to stop.
pub(crate) struct Server {
    pub(crate) url: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves the routes, whose spans go to the service's own pipeline.
    pub(crate) async fn start(routes: Router, telemetry: Telemetry) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = routes.layer(middleware::from_fn(move |request, next| {
            let telemetry = telemetry.clone();
            async move { traced(&telemetry, request, next).await }
        }));
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // What ends a server early would end its requests with errors.
            let _ = axum::serve(listener, routes).with_graceful_shutdown(stopped).await;
        });
        Ok(Server { url, stop, task })
    }

    /// Takes no more requests, and waits for those under way.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
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
