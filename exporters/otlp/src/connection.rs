//! The exporter at work: one batch at a time, on one connection.

use core::fmt;
use core::future::{Future, ready};
use core::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use throughline_core::{Accepted, Batch, ExportError, Failure, SpanExporter};
use throughline_runtime::{Component, Config, Exporter, Runtime, remark};

#[cfg(feature = "gzip")]
use crate::config::Compression;
use crate::config::{Otlp, Protocol};
use crate::deadline::Deadline;
#[cfg(feature = "grpc")]
use crate::grpc::{self, Http2};
#[cfg(feature = "gzip")]
use crate::gzip::Gzip;
#[cfg(feature = "http")]
use crate::http::{self, Http1};
#[cfg(feature = "tls")]
use crate::tls::Wire;

/// The transmission of one batch.
pub type Sending = Pin<Box<dyn Future<Output = Result<Accepted, ExportError>> + Send>>;

/// An [`Otlp`] on a runtime's sockets.
///
/// The network is not touched before the first batch. A connection is kept for
/// the next batch and replaced when it fails; dropping this value, or the
/// future of a transmission, closes it.
///
/// What happened to a request is classified as
/// [OTLP](https://opentelemetry.io/docs/specs/otlp/#failures) says; repeating it
/// is the caller's. There is one exception: if a connection that was kept turns
/// out to have been closed, before any answer, the request goes out once more on
/// a new one, at once.
pub struct Connection<R: Runtime> {
    shared: Arc<Shared<R>>,
    /// Lent to a transmission, and reclaimed for the next one.
    buffer: BytesMut,
}

impl<R: Runtime> Exporter<R> for Otlp {
    type Connection = Connection<R>;

    fn describe(&self, config: &mut Config) {
        Otlp::describe(self, config);
    }

    fn component(&self) -> Component {
        let kind = match self.protocol {
            Protocol::HttpProtobuf => "otlp_http_span_exporter",
            Protocol::Grpc => "otlp_grpc_span_exporter",
        };
        let endpoint = &self.endpoint;
        Component::new(kind)
            .with_server(&endpoint.host, endpoint.port)
            .with_endpoint(&endpoint.public_url())
    }

    fn connect(&self, runtime: &R) -> Connection<R> {
        let template = match self.protocol {
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => Template::Http1(http::Template::new(self)),
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Template::Http2(grpc::Template::new(self)),
            #[cfg(not(all(feature = "http", feature = "grpc")))]
            _ => unreachable!("a value is made only of a protocol that was built in"),
        };
        Connection {
            shared: Arc::new(Shared {
                config: self.clone(),
                runtime: runtime.clone(),
                template,
                #[cfg(feature = "tls")]
                connector: match self.endpoint.secure {
                    true => self.tls.connector(self.protocol == Protocol::Grpc).ok(),
                    false => None,
                },
                idle: Mutex::new(Idle {
                    channel: None,
                    #[cfg(feature = "gzip")]
                    gzip: None,
                }),
            }),
            buffer: BytesMut::new(),
        }
    }
}

impl<R: Runtime> SpanExporter for Connection<R> {
    type Sending = Sending;

    fn export(&mut self, batch: &Batch<'_>) -> Sending {
        let request = self.request(batch.encoded_len(), |buffer| {
            batch.encode(|chunk| buffer.put_slice(chunk));
        });
        self.deliver(request)
    }
}

impl<R: Runtime> Connection<R> {
    /// Sends an `ExportTraceServiceRequest` that is encoded already, for example
    /// one read back from a file. The future of the previous call is to be
    /// finished or dropped.
    pub fn send(&mut self, request: &[u8]) -> Sending {
        let request = self.request(request.len(), |buffer| buffer.put_slice(request));
        self.deliver(request)
    }

    /// The request behind the room for its prefix, unless it is too large.
    fn request(&mut self, length: usize, fill: impl FnOnce(&mut BytesMut)) -> Option<Bytes> {
        let max_bytes = self.shared.config.max_request_bytes;
        if length > max_bytes {
            return None;
        }
        let prefix = self.shared.prefix();
        self.buffer.clear();
        self.buffer.reserve(prefix + length);
        self.buffer.put_bytes(0, prefix);
        fill(&mut self.buffer);
        if self.buffer.len() - prefix > max_bytes {
            return None;
        }
        self.shared.frame(&mut self.buffer, false);
        Some(self.buffer.split().freeze())
    }

    fn deliver(&self, request: Option<Bytes>) -> Sending {
        let Some(request) = request else {
            return Box::pin(ready(Err(ExportError::TooLarge)));
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.deliver(request).await })
    }
}

impl<R: Runtime> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// The body of a request.
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    pub(crate) gzip: bool,
}

/// What became of a request on one connection.
pub(crate) enum Attempt {
    /// There is nothing more to be learnt.
    Settled {
        verdict: Result<Accepted, ExportError>,
        /// Whether the connection can carry another request.
        reusable: bool,
    },
    /// The connection ended before any answer.
    Unanswered,
}

impl Attempt {
    pub(crate) fn failed(error: ExportError) -> Self {
        Attempt::Settled { verdict: Err(error), reusable: false }
    }

    pub(crate) fn timed_out() -> Self {
        Self::failed(TIMED_OUT)
    }
}

/// What a transmission needs, and what it leaves for the next one.
struct Shared<R: Runtime> {
    config: Otlp,
    runtime: R,
    template: Template,
    /// For an `https` endpoint. Whether it can be made was tried when the
    /// certificates were set.
    #[cfg(feature = "tls")]
    connector: Option<futures_rustls::TlsConnector>,
    /// Taken out for the time of a transmission, so that nothing waits for the
    /// lock, and that a transmission given up closes its connection.
    idle: Mutex<Idle<R>>,
}

struct Idle<R: Runtime> {
    channel: Option<Channel<R>>,
    #[cfg(feature = "gzip")]
    gzip: Option<Gzip>,
}

enum Template {
    #[cfg(feature = "http")]
    Http1(http::Template),
    #[cfg(feature = "grpc")]
    Http2(grpc::Template),
}

/// An open connection of either protocol.
enum Channel<R: Runtime> {
    #[cfg(feature = "http")]
    Http1(Box<Http1<Wire<R::Stream>>>),
    #[cfg(feature = "grpc")]
    Http2(Http2),
    #[cfg(not(feature = "http"))]
    #[expect(dead_code, reason = "gives `R` a place where HTTP/1.1 is not built")]
    Never(core::convert::Infallible, core::marker::PhantomData<R>),
}

#[cfg(all(feature = "http", not(feature = "tls")))]
type Wire<S> = S;

impl<R: Runtime> Shared<R> {
    async fn deliver(&self, request: Bytes) -> Result<Accepted, ExportError> {
        let sleep = pin!(self.config.timeout.map(|timeout| self.runtime.sleep(timeout)));
        let mut deadline = Deadline::after(sleep);
        let payload = deadline.within(self.compress(request)).await;
        let payload = payload.ok_or(TIMED_OUT)??;
        let kept = self.idle().channel.take();
        if let Some(mut channel) = kept
            && channel.is_open().await
        {
            match self.exchange(&mut channel, &payload, &mut deadline).await {
                Attempt::Settled { verdict, reusable } => {
                    return self.settle(channel, verdict, reusable);
                }
                Attempt::Unanswered => {}
            }
        }
        let channel = deadline.within(self.open()).await;
        let mut channel = channel.ok_or(TIMED_OUT)??;
        match self.exchange(&mut channel, &payload, &mut deadline).await {
            Attempt::Settled { verdict, reusable } => self.settle(channel, verdict, reusable),
            Attempt::Unanswered => {
                Err(ExportError::Retry { after: None, failure: Failure::Disconnected })
            }
        }
    }

    fn settle(
        &self,
        channel: Channel<R>,
        verdict: Result<Accepted, ExportError>,
        reusable: bool,
    ) -> Result<Accepted, ExportError> {
        if reusable {
            self.idle().channel = Some(channel);
        }
        verdict
    }

    async fn exchange(
        &self,
        channel: &mut Channel<R>,
        payload: &Payload,
        deadline: &mut Deadline<'_>,
    ) -> Attempt {
        let max_bytes = self.config.max_response_bytes;
        match (channel, &self.template) {
            #[cfg(feature = "http")]
            (Channel::Http1(channel), Template::Http1(template)) => {
                channel.exchange(template, payload, max_bytes, deadline).await
            }
            #[cfg(feature = "grpc")]
            (Channel::Http2(channel), Template::Http2(template)) => {
                channel.exchange(template, payload, max_bytes, deadline).await
            }
            #[cfg(not(feature = "http"))]
            (Channel::Never(never, _), _) => match *never {},
            #[cfg(all(feature = "http", feature = "grpc"))]
            _ => unreachable!("a channel is opened for its template"),
        }
    }

    async fn open(&self) -> Result<Channel<R>, ExportError> {
        const FAILED: ExportError = ExportError::Retry { after: None, failure: Failure::Connect };
        let endpoint = &self.config.endpoint;
        let connect = self.runtime.connect(&endpoint.host, endpoint.port);
        let stream = connect.await.map_err(|error| {
            remark(&error.to_string());
            FAILED
        })?;
        #[cfg(feature = "tls")]
        let stream = Wire::open(stream, endpoint, self.connector.as_ref()).await?;
        match &self.template {
            #[cfg(feature = "http")]
            Template::Http1(_) => Ok(Channel::Http1(Box::new(Http1::open(stream).await?))),
            #[cfg(feature = "grpc")]
            Template::Http2(_) => Ok(Channel::Http2(Http2::open(&self.runtime, stream).await?)),
        }
    }

    #[cfg(feature = "gzip")]
    async fn compress(&self, request: Bytes) -> Result<Payload, ExportError> {
        if self.config.compression != Compression::Gzip {
            return Ok(Payload { bytes: request, gzip: false });
        }
        let gzip = self.idle().gzip.take();
        let mut gzip = gzip.unwrap_or_else(Gzip::new);
        let prefix = self.prefix();
        let bytes = gzip.compress(&request[prefix..], prefix).await;
        self.idle().gzip = Some(gzip);
        let mut bytes = bytes.map_err(|_| ExportError::Permanent(Failure::Write))?;
        if bytes.len() - prefix > self.config.max_request_bytes {
            return Err(ExportError::TooLarge);
        }
        self.frame(&mut bytes, true);
        Ok(Payload { bytes: bytes.freeze(), gzip: true })
    }

    #[cfg(not(feature = "gzip"))]
    async fn compress(&self, request: Bytes) -> Result<Payload, ExportError> {
        Ok(Payload { bytes: request, gzip: false })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle<R>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prefix(&self) -> usize {
        match &self.template {
            #[cfg(feature = "http")]
            Template::Http1(_) => 0,
            #[cfg(feature = "grpc")]
            Template::Http2(_) => grpc::PREFIX,
        }
    }

    fn frame(&self, message: &mut [u8], gzip: bool) {
        match &self.template {
            #[cfg(feature = "http")]
            Template::Http1(_) => {
                let _ = (message, gzip);
            }
            #[cfg(feature = "grpc")]
            Template::Http2(_) => grpc::frame(message, gzip),
        }
    }
}

impl<R: Runtime> Channel<R> {
    async fn is_open(&mut self) -> bool {
        match self {
            #[cfg(feature = "http")]
            Channel::Http1(channel) => channel.is_open().await,
            #[cfg(feature = "grpc")]
            Channel::Http2(channel) => channel.is_open(),
            #[cfg(not(feature = "http"))]
            Channel::Never(never, _) => match *never {},
        }
    }
}

const TIMED_OUT: ExportError = ExportError::Retry { after: None, failure: Failure::Timeout };
