//! HTTP between the services: contexts go out with requests and come in with
//! them.

use axum::http::{Request, StatusCode};
use example_runtimes::ServiceRuntime;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use throughline::tower::ClientLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::connections::Connections;

/// A client of one server, whose requests are spans.
#[derive(Clone)]
pub(crate) struct HttpClient<R> {
    connections: Connections<R>,
}

impl<R: ServiceRuntime> HttpClient<R> {
    pub(crate) fn new(runtime: R) -> Self {
        HttpClient { connections: Connections::new(runtime) }
    }

    /// Makes a GET request in a span of its own, whose context goes along.
    pub(crate) async fn get(&self, url: String) -> Result<(StatusCode, String), String> {
        let request = Request::get(&url).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let send = service_fn(|request| self.connections.send(request));
        let response = ClientLayer.layer(send).oneshot(request).await;
        let (head, body) = response.map_err(|error| error.to_string())?.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
    }
}
