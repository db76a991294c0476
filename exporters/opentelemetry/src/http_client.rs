//! HTTP for exporters that take a client.

use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::Poll;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use throughline_otlp::Io;
use throughline_runtime::Runtime;

/// An HTTP/1.1 client over a runtime's own sockets, for opentelemetry-otlp and every
/// other exporter that takes an [`opentelemetry_http::HttpClient`].
///
/// Each request is one connection, of which there is one per batch. It has no timeout of
/// its own: the pipeline's `export_timeout` gives the transmission up. `http` only: where
/// a certificate is to be checked, throughline's own OTLP exporter does that.
#[derive(Clone)]
pub struct HttpClient<R> {
    runtime: R,
}

impl<R: Runtime> HttpClient<R> {
    /// A client on this runtime. One for [`Tokio`] works while a tokio runtime is entered
    /// ([`OpenTelemetry::on_tokio`](crate::OpenTelemetry)); those for smol, async-std and
    /// a thread work from anywhere.
    ///
    /// [`Tokio`]: https://docs.rs/throughline-tokio
    pub fn new(runtime: R) -> Self {
        HttpClient { runtime }
    }
}

#[async_trait]
impl<R: Runtime> opentelemetry_http::HttpClient for HttpClient<R> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut head, body) = request.into_parts();
        let uri = core::mem::take(&mut head.uri);
        let host = uri.host().ok_or("the URL has no host")?;
        if uri.scheme_str() != Some("http") {
            return Err("the URL's scheme is not http".into());
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // Credentials in a URL are not for the header.
        let authority = authority.rsplit('@').next().unwrap_or_default();
        head.headers.insert(HOST, HeaderValue::from_str(authority)?);
        head.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = self.runtime.connect(host, uri.port_u16().unwrap_or(80)).await?;
        let (mut sender, connection) = http1::handshake(Io::new(stream)).await?;
        let exchange = async move {
            let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        driven(connection, exchange).await
    }
}

/// Moves bytes until the exchange is done.
async fn driven<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut is_open = true;
    core::future::poll_fn(move |context| {
        let exchange: Pin<&mut _> = exchange.as_mut();
        // The connection first: then the exchange sees what has just arrived, or that
        // nothing will.
        is_open = is_open && connection.as_mut().poll(context).is_pending();
        match exchange.poll(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

impl<R> fmt::Debug for HttpClient<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// OTLP-6: what [an answer](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response)
/// may be long.
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;
