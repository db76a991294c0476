//! What both services share: a server, and a span per request.

use axum::Router;
use axum::extract::MatchedPath;
use example_runtimes::{ServiceRuntime, serve};
use futures::channel::oneshot;
use futures::future::RemoteHandle;
use hyper_util::service::TowerToHyperService;
use throughline::Telemetry;
use throughline::tower::ServerLayer;

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
        telemetry: &Telemetry,
    ) -> std::io::Result<Self> {
        let (listener, address) = runtime.listen(([127, 0, 0, 1], 0).into())?;
        let layer = ServerLayer::new()
            .route(|request| request.extensions.get().map(MatchedPath::as_str))
            .pipeline(telemetry.pipeline());
        let service = TowerToHyperService::new(routes.layer(layer));
        let (stop, stopped) = oneshot::channel();
        let task = runtime.task(serve(runtime.clone(), listener, service, stopped));
        Ok(Server { url: format!("http://{address}"), stop, task })
    }

    /// Takes no more requests, and waits for those under way.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await;
    }
}
