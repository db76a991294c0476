//! HTTP/1.1 connections that are kept for the next request.

use core::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::HOST;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use smol_hyper::rt::FuturesIo;

use example_runtimes::ServiceRuntime;

type Sender = SendRequest<Empty<Bytes>>;

/// Connections to one server. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections<R> {
    runtime: R,
    idle: Arc<Mutex<Vec<Sender>>>,
}

impl<R: ServiceRuntime> Connections<R> {
    pub(crate) fn new(runtime: R) -> Self {
        Connections { runtime, idle: Arc::default() }
    }

    /// Sends a request and reads the whole answer. Dropping the future closes the
    /// connection, by which the server learns of it.
    pub(crate) async fn send(
        &self,
        mut request: Request<Empty<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
        let mut sender = match self.kept() {
            Some(sender) => sender,
            None => self.open(request.uri()).await?,
        };
        let host = request.uri().authority().ok_or("the URL has no host")?;
        let host = HeaderValue::from_str(host.as_str())?;
        request.headers_mut().insert(HOST, host);
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).parse()?;
        *request.uri_mut() = path;

        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(Response::from_parts(head, Full::from(body)))
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        core::iter::from_fn(|| idle.pop()).find(Sender::is_ready)
    }

    async fn open(&self, url: &Uri) -> Result<Sender, Box<dyn Error + Send + Sync>> {
        let host = url.host().ok_or("the URL has no host")?;
        let stream = self.runtime.connect(host, url.port_u16().unwrap_or(80)).await?;
        let (sender, connection) = handshake(FuturesIo::new(stream)).await?;
        // Not in the context of this request: later ones use the connection too.
        self.runtime.spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}
