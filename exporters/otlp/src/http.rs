//! OTLP/HTTP over HTTP/1.1.
//! ([OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp))

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use futures_io::{AsyncRead, AsyncWrite};
use hyper::client::conn::http1;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, Response, Uri};
use throughline_core::{Accepted, ExportError, Failure};

use crate::body::{Incomplete, Received, Whole, receive};
use crate::config::Otlp;
use crate::connection::{Attempt, Payload};
use crate::deadline::Deadline;
use crate::io::Io;
use crate::outcome;

/// A kept-alive connection.
///
/// It is not a task of its own: whoever waits for an answer moves its bytes, and
/// dropping it closes the socket. So nothing is left behind by a peer that hangs,
/// and an executor is not needed. That the peer has closed it is noticed when it
/// is used next.
pub(crate) struct Http1<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    sender: http1::SendRequest<Whole>,
    /// Until it has ended: a future is not to be polled after that.
    connection: Option<http1::Connection<Io<S>, Whole>>,
    /// Memory for the headers of the next request: that of the last answer's, which
    /// hyper had from the request before.
    headers: HeaderMap,
}

/// The request but for its body.
pub(crate) struct Template {
    target: Uri,
    headers: HeaderMap,
}

impl Template {
    pub(crate) fn new(config: &Otlp) -> Self {
        let endpoint = &config.endpoint;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, config.user_agent.clone());
        headers.extend(config.headers.clone());
        // Both were parts of one URL that has been parsed.
        if let Ok(host) = HeaderValue::from_str(&endpoint.authority) {
            headers.insert(HOST, host);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        let target = endpoint.target.parse().unwrap_or_default();
        Template { target, headers }
    }

    fn request(&self, payload: &Payload, mut headers: HeaderMap) -> Request<Whole> {
        headers.clear();
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        if payload.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut request = Request::new(Whole::new(payload.bytes.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl<S> Http1<S>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    pub(crate) async fn open(stream: S) -> Result<Self, ExportError> {
        match http1::handshake(Io::new(stream)).await {
            Ok((sender, connection)) => {
                Ok(Http1 { sender, connection: Some(connection), headers: HeaderMap::new() })
            }
            Err(_) => Err(ExportError::Retry { after: None, failure: Failure::Connect }),
        }
    }

    /// Whether the peer has left the connection open, as far as is known.
    pub(crate) async fn is_open(&mut self) -> bool {
        let _ = poll_fn(|cx| Poll::Ready(self.poll_connection(cx))).await;
        self.connection.is_some() && self.sender.is_ready()
    }

    pub(crate) async fn exchange(
        &mut self,
        template: &Template,
        payload: &Payload,
        max_bytes: usize,
        deadline: &mut Deadline<'_>,
    ) -> Attempt {
        let headers = core::mem::take(&mut self.headers);
        let response = self.sender.send_request(template.request(payload, headers));
        let response = match deadline.within(self.drive(response)).await {
            Some(Some(Ok(response))) => response,
            Some(Some(Err(error))) if error.is_parse() => {
                return Attempt::failed(ExportError::Permanent(Failure::Protocol));
            }
            Some(_) => return Attempt::Unanswered,
            None => return Attempt::timed_out(),
        };
        let (head, body) = response.into_parts();
        let mut body = deadline.within(self.drive(receive(body, max_bytes))).await;
        let head = Response::from_parts(head, ());
        if !head.status().is_success() {
            // The status has said it all; the rest is read for the next request's
            // sake, and for people. (Nothing in it is to be acted on.)
            if let Some(Some(Ok(received))) = &mut body {
                let data = core::mem::take(&mut received.data);
                let encoding = text(head.headers(), &CONTENT_ENCODING);
                let data = deadline.within(decoded(encoding, data, max_bytes)).await;
                outcome::say_why(head.headers(), &data.and_then(Result::ok).unwrap_or_default());
            }
            return Attempt::Settled {
                verdict: Err(outcome::http_refusal(head.status(), head.headers())),
                reusable: matches!(body, Some(Some(Ok(_)))),
            };
        }
        let received = match body {
            Some(Some(Ok(received))) => received,
            Some(Some(Err(Incomplete::TooLarge))) => {
                return Attempt::failed(ExportError::Permanent(Failure::Protocol));
            }
            Some(Some(Err(Incomplete::Cut)) | None) => {
                return Attempt::failed(ExportError::Retry {
                    after: None,
                    failure: Failure::Disconnected,
                });
            }
            None => return Attempt::timed_out(),
        };
        let read = deadline.within(read(&head, received, max_bytes)).await;
        self.headers = head.into_parts().0.headers;
        match read {
            Some(verdict) => Attempt::Settled { verdict, reusable: true },
            None => Attempt::timed_out(),
        }
    }

    /// Moves bytes until the step is done; `None` if the connection ends first.
    async fn drive<F: Future>(&mut self, step: F) -> Option<F::Output> {
        let mut step = pin!(step);
        poll_fn(|cx| {
            // The connection first: then the step sees what has just arrived.
            let ended = self.poll_connection(cx).is_ready();
            match step.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn poll_connection(&mut self, cx: &mut core::task::Context<'_>) -> Poll<()> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(());
        };
        let polled = Pin::new(connection).poll(cx);
        if polled.is_ready() {
            self.connection = None;
        }
        polled.map(|_| ())
    }
}

/// What a success says. The body has to be protobuf as the request was; JSON is
/// taken for an acceptance too, since receivers exist that answer so, and refused
/// spans are then not known. Anything else, such as the log-in page of a wrong
/// port, means that nobody understood the request.
async fn read(
    head: &Response<()>,
    received: Received,
    max_bytes: usize,
) -> Result<Accepted, ExportError> {
    let headers = head.headers();
    let data = decoded(text(headers, &CONTENT_ENCODING), received.data, max_bytes).await?;
    let media_type = text(headers, &CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    if data.is_empty() || media_type.is_empty() || media_type.eq_ignore_ascii_case(PROTOBUF) {
        outcome::accepted(&data)
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Ok(Accepted::default())
    } else {
        outcome::say(&data);
        Err(ExportError::Permanent(Failure::Protocol))
    }
}

/// A header's value, or nothing.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[cfg_attr(
    not(feature = "gzip"),
    expect(clippy::unused_async, reason = "waits only to decompress")
)]
pub(crate) async fn decoded(
    encoding: &str,
    data: Vec<u8>,
    max_bytes: usize,
) -> Result<Vec<u8>, ExportError> {
    let encoding = encoding.trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(data);
    }
    #[cfg(feature = "gzip")]
    if encoding.eq_ignore_ascii_case("gzip") {
        let output = crate::gzip::decompress(&data, max_bytes).await;
        return output.map_err(|_| ExportError::Permanent(Failure::Protocol));
    }
    let _ = max_bytes;
    Err(ExportError::Permanent(Failure::Protocol))
}

const PROTOBUF: &str = "application/x-protobuf";
