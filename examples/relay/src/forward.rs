//! The client: one request to one URL.

use core::error::Error;
use core::pin::pin;

use example_runtimes::ServiceRuntime;
use futures::io::{AsyncRead, AsyncWrite};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Request, Response};
use smol_hyper::rt::FuturesIo;
use throughline::tower::ClientLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::tls;

type Failure = Box<dyn Error + Send + Sync>;

/// Posts the JSON to the URL, in a span whose context goes along. Dropping the
/// future, or the body, closes the connection.
pub(crate) async fn forward<R: ServiceRuntime>(
    runtime: &R,
    url: &str,
    json: String,
) -> Result<Response<impl Body<Data = Bytes>>, Failure> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(json))?;
    let send = service_fn(|request| send(runtime.clone(), request));
    ClientLayer.layer(send).oneshot(request).await
}

/// Reads some of a body that nobody wants, so that its sender can finish.
pub(crate) async fn drain(body: impl Body<Data = Bytes>) {
    let (mut body, mut left) = (pin!(body), MAX_READ_BYTES);
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            break;
        }
    }
}

/// Sends a request over a connection of its own.
async fn send<R: ServiceRuntime>(
    runtime: R,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let url = request.uri().clone();
    let is_secure = match url.scheme_str().map(str::to_ascii_lowercase).as_deref() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("only http and https URLs can be forwarded to".into()),
    };
    let host = url.host().ok_or("the URL has no host")?;
    let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = runtime.connect(name, port).await?;
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    request.headers_mut().insert(HOST, HeaderValue::try_from(host)?);
    let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
    *request.uri_mut() = Uri::try_from(path)?;
    if is_secure {
        exchange(&runtime, tls::connect(name, stream).await?, request).await
    } else {
        exchange(&runtime, stream, request).await
    }
}

async fn exchange<R, S>(
    runtime: &R,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure>
where
    R: ServiceRuntime,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(FuturesIo::new(stream)).await?;
    // It ends with the response's body, or when nobody waits for that any more.
    runtime.spawn(async move {
        let _ = connection.await;
    });
    Ok(sender.send_request(request).await?)
}

const MAX_READ_BYTES: usize = 64 * 1024;
